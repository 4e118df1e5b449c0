"""Processes of the bank as an operator starts them, on directories, ports and accounts of their own."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from timebank.postgres_data import noted_number, status_lines

ROOT = Path(__file__).parents[2]
# An account that every Linux has and that owns nothing: an ordinary user, for tests that root runs.
ORDINARY = 65534
PATIENCE_SECONDS = 240.0


@dataclass(frozen=True)
class Operator:
    """Who starts the bank: a name, what comes before the command, the interpreter, what else its environment needs."""

    name: str
    prefix: tuple[str, ...] = ()
    python: str = sys.executable
    environment: dict[str, str] = field(default_factory=dict)

    def own(self, directory: Path) -> None:
        """Let a directory and all below it belong to this operator, if it is not the one who runs the tests."""
        if self.prefix:
            subprocess.run(["chown", "-R", f"{ORDINARY}:{ORDINARY}", str(directory)], check=True)

    def command(self, *arguments: str) -> list[str]:
        """How this operator runs a module of Python."""
        return [*self.prefix, self.python, "-m", *arguments]


SELF = Operator("root" if os.geteuid() == 0 else "an ordinary user")


@cache
def ordinary_user() -> Operator:
    """An ordinary user whom root becomes. Skips where such a user can run no Python or not read this checkout."""
    prefix = ("setpriv", f"--reuid={ORDINARY}", f"--regid={ORDINARY}", "--clear-groups", "--")
    paths = f"{ROOT}:{sysconfig.get_path('purelib')}:{sysconfig.get_path('platlib')}"
    environment = {"PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1", "HOME": "/nonexistent"}
    # One that itself can start another: root's rights reach as far as the first.
    script = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import api.cli'], check=True)"
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for python in (sys.executable, f"/usr/bin/{version}", f"/usr/local/bin/{version}"):
        tried = subprocess.run(
            [*prefix, python, "-c", script],
            env={"PATH": os.environ["PATH"], **environment},
            cwd="/",
            capture_output=True,
            check=False,
        )
        if tried.returncode == 0:
            return Operator("an ordinary user", prefix, python, environment)
    pytest.skip(f"an ordinary user of this machine can run no {version}, or may not read {ROOT}")


def environment(data: Path, operator: Operator = SELF, **settings: object) -> dict[str, str]:
    """This process's environment without the bank's settings, with these instead: `port=8001` is TIMEBANK_PORT."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TIMEBANK_")}
    chosen = {f"TIMEBANK_{name.upper()}": str(value) for name, value in settings.items()}
    return {**kept, "TIMEBANK_DATA": str(data), "COLUMNS": "200", **operator.environment, **chosen}


def timebank(
    *arguments: object, data: Path, operator: Operator = SELF, text: str | None = None, **settings: object
) -> subprocess.CompletedProcess[str]:
    """Run one `timebank` command to its end. Its words are in `stdout`, errors too.

    One that does not end says where each of its threads stands, and the test fails with that.
    """
    command = operator.command("api.cli", *map(str, arguments))
    with subprocess.Popen(
        command,
        env={**environment(data, operator, **settings), "PYTHONFAULTHANDLER": "1"},
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            words, _ = process.communicate(text or "", PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)
            words, _ = process.communicate()
            raise AssertionError(f"{arguments} does not end: {words}") from None
    return subprocess.CompletedProcess(command, process.returncode, words)


def free_port() -> int:
    """A TCP port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(condition: Callable[[], Any], what: str, seconds: float = PATIENCE_SECONDS) -> Any:
    """Answer what `condition` answers as soon as it is true; AssertionError when that never happens."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited in vain for: {what}"
        time.sleep(0.02)
    return found


def is_gone(process_id: int) -> bool:
    """Whether a process has ended; one that nobody waits for counts as ended."""
    try:
        state = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state == "Z"


def owner_of(process_id: int) -> int:
    """The number of the account that a process runs as."""
    return os.stat(f"/proc/{process_id}").st_uid


@dataclass
class Supervised:
    """A process that does nothing but supervise the embedded PostgreSQL of `data`: `tests/service/supervise.py`."""

    data: Path
    process: subprocess.Popen[str]
    said: dict[str, Any] = field(default_factory=dict)

    @classmethod
    @contextlib.contextmanager
    def start(
        cls, data: Path, operator: Operator = SELF, prefix: tuple[str, ...] = (), **options: Any
    ) -> Iterator[Any]:
        """Start one and wait until it says something; it is ended with the block, if it still lives."""
        supervised = cls.begin(data, operator, prefix, **options)
        try:
            supervised.hear()
            yield supervised
        finally:
            supervised.end()

    @classmethod
    def begin(cls, data: Path, operator: Operator = SELF, prefix: tuple[str, ...] = (), **options: Any) -> "Supervised":
        """Start one and do not wait."""
        process = subprocess.Popen(
            [*prefix, *operator.command("tests.service.supervise", str(data), json.dumps(options))],
            env=environment(data, operator),
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return cls(data, process)

    def hear(self) -> None:
        """Wait until PostgreSQL is ready, or refused to be."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said |= json.loads(line)
            if "ready" in self.said or "refused" in self.said:
                return
        raise AssertionError(f"the supervisor ended with {self.process.wait()} and said {self.said}")

    @property
    def postmaster(self) -> int:
        """The process number of the PostgreSQL that runs now."""
        number = noted_number(self.data / "postgres" / "cluster")
        assert number
        return number

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the supervisor, and wait until it has ended."""
        self.process.send_signal(number)
        self.process.wait(PATIENCE_SECONDS)

    def end(self) -> None:
        """End it in good order, if it still lives."""
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()
        self.process.wait(PATIENCE_SECONDS)


@dataclass
class Service:
    """A `timebank run` of `data`, on a port of its own."""

    data: Path
    port: int
    process: subprocess.Popen[bytes]
    log: Path

    @classmethod
    @contextlib.contextmanager
    def start(cls, data: Path, *arguments: str, operator: Operator = SELF, **settings: object) -> "Iterator[Service]":
        """Start one and wait until it is ready; it is ended with the block, if it still lives."""
        service = cls.begin(data, *arguments, operator=operator, **settings)
        try:
            service.wait_ready()
            yield service
        finally:
            service.end()

    @classmethod
    def begin(cls, data: Path, *arguments: str, operator: Operator = SELF, **settings: object) -> "Service":
        """Start one and do not wait."""
        port = int(str(settings.pop("port", 0))) or free_port()
        log = data.with_name(f"{data.name}-{port}.log")
        with log.open("ab") as output:
            process = subprocess.Popen(
                operator.command("api.cli", "run", *arguments),
                env=environment(data, operator, port=port, **settings),
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        return cls(data, port, process, log)

    @property
    def address(self) -> str:
        """Where it serves."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def words(self) -> str:
        """Everything it has said."""
        return self.log.read_text(errors="replace")

    @property
    def complaints(self) -> list[str]:
        """What it has said of failures of its own, a line each."""
        return [line for line in self.words.splitlines() if '"code":"unexpected"' in line]

    def is_ready(self) -> bool:
        """Whether it says so."""
        try:
            return httpx.get(f"{self.address}/health/ready", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    def wait_ready(self) -> None:
        """Wait until it is ready."""

        def ready_or_dead() -> bool:
            assert self.process.poll() is None, f"ended with {self.process.returncode}: {self.words}"
            return self.is_ready()

        wait_until(ready_or_dead, "the service is ready")

    def hear(self, words: str) -> None:
        """Wait until it has said something."""
        wait_until(lambda: words in self.words, f"the service says {words}")

    @property
    def workers(self) -> list[int]:
        """The process numbers of what serves."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [number for number in map(int, children) if "api.cli" in command_line(number)]

    @property
    def postmaster(self) -> int:
        """The process number of its PostgreSQL."""
        number = noted_number(self.data / "postgres" / "cluster")
        assert number
        return number

    def send(self, number: signal.Signals) -> int:
        """Send a signal, wait until the service has ended, and answer its exit status."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_SECONDS)

    def end(self) -> None:
        """End it in good order, if it still lives."""
        if self.process.poll() is None:
            self.send(signal.SIGTERM)


def command_line(process_id: int) -> str:
    """What a process was started with; "" when it is gone."""
    try:
        return Path(f"/proc/{process_id}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


async def ask(url: str, *statements: str) -> Any:
    """Run statements on a connection of their own; answers the single value of the last."""
    connection = await asyncpg.connect(url, timeout=20)
    try:
        for statement in statements[:-1]:
            await connection.execute(statement)
        return await connection.fetchval(statements[-1])
    finally:
        await connection.close()


def is_ready(data: Path) -> bool:
    """Whether the embedded PostgreSQL of `data` says that it takes connections."""
    lines = status_lines(data / "postgres" / "cluster")
    return len(lines) > 7 and lines[7] == "ready"


def log_of(data: Path) -> str:
    """Everything that the embedded PostgreSQL of `data` has said."""
    return (data / "postgres" / "server.log").read_text(errors="replace")


def copy_data(made: Path, data: Path, operator: Operator = SELF) -> Path:
    """A data directory like `made`, whose PostgreSQL does not run, for `operator`."""
    subprocess.run(["cp", "-a", str(made), str(data)], check=True)
    operator.own(data)
    return data
