"""The embedded PostgreSQL: a foreground child that lives exactly as long as the service.

Promises: one service at a time on a data directory; durable settings always on; never root; however the service
ends (SIGTERM, SIGINT, SIGKILL), PostgreSQL shuts down and leaves clean files. A PostgreSQL that dies by itself is
started again. What root needs beyond this is in `timebank.postgres_files`.
"""

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import quote

from timebank import postgres_child
from timebank.postgres_data import (
    hold,
    is_alive,
    noted_number,
    read_passwords,
    refuse_other_version,
    runs_on,
    status_lines,
    sync_directory,
    write_passwords,
)
from timebank.postgres_files import choose_account, find_programs, make_home, make_socket_directory
from timebank.refusal import Refusal

DATABASE = "timebank"
SUPERUSER, OWNER, SERVICE = "postgres", "timebank_owner", "timebank"
DURABLE = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}
# Written into postgresql.conf once, where the operator may change them.
FIRST_CONFIGURATION = {
    "shared_buffers": "128MB",
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    "max_wal_size": "2GB",
    # A new bank's tables are looked at soon. Until then plans are made in ignorance, and every foreign key to a scan is
    # checked by reading all scans: after 15,000 check-ins in a first minute, each costs ten times what it should.
    "autovacuum_naptime": "10s",
}
# A large bank that crashed replays up to max_wal_size before it is ready.
START_SECONDS = 600
STOP_SECONDS = 120
LARGEST_LOG_BYTES = 16 * 2**20
# As many restarts as this within a minute, and PostgreSQL is taken to be broken.
RESTARTS_PER_MINUTE = 10
BOOTSTRAP = """
CREATE ROLE ledger_owner NOLOGIN
CREATE ROLE ledger_service NOLOGIN
CREATE ROLE timebank_service NOLOGIN IN ROLE ledger_service
CREATE ROLE {owner} LOGIN PASSWORD '{owner_password}' IN ROLE ledger_owner
CREATE ROLE {service} LOGIN PASSWORD '{service_password}' IN ROLE timebank_service
CREATE DATABASE {database} OWNER {owner}
REVOKE ALL ON DATABASE {database} FROM PUBLIC
GRANT CONNECT ON DATABASE {database} TO {service}
"""


@dataclass(frozen=True)
class Server:
    """A running PostgreSQL and how to reach it."""

    socket_directory: Path
    port: int
    programs: Path
    passwords: Mapping[str, str]

    def url(self, role: str, database: str = DATABASE) -> str:
        """A `postgresql://` URL over the socket, for `timebank.database` and for PostgreSQL's own clients."""
        host = quote(str(self.socket_directory), safe="")
        return f"postgresql://{role}:{self.passwords[role]}@/{database}?host={host}&port={self.port}"

    @property
    def owner_url(self) -> str:
        """For migrations."""
        return self.url(OWNER)

    @property
    def service_url(self) -> str:
        """For serving."""
        return self.url(SERVICE)

    @property
    def superuser_url(self) -> str:
        """For making databases, and for restoring; the service never has it."""
        return self.url(SUPERUSER, "postgres")


class EmbeddedPostgres:
    """Supervises the PostgreSQL of one data directory. `start` before anything else, `stop` at the end."""

    def __init__(
        self,
        data: Path,
        *,
        tcp_port: int | None = None,
        options: Mapping[str, str] | None = None,
        on_failure: Callable[[], None] = lambda: None,
    ) -> None:
        """`tcp_port` also listens on 127.0.0.1; `options` override postgresql.conf while this runs.

        `on_failure` is called from another thread when PostgreSQL keeps dying and is given up.
        """
        self.data = data.absolute()
        self.tcp_port = tcp_port
        self.port = tcp_port or 5432
        self.options = dict(options or {})
        self.on_failure = on_failure
        self._stopping = threading.Event()
        self._ready = threading.Event()
        self._turn = threading.Lock()
        self._lock: IO[str] | None = None
        self._keeper: threading.Thread | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self.trouble = ""

    def __enter__(self) -> Server:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, describe: Callable[[str], None] = lambda _: None) -> Server:
        """Start, or initialise and start, and answer when connections are accepted.

        `describe` hears what takes long. Raises Refusal; nothing is left running then.
        """
        try:
            self.home = make_home(self.data)
            self._lock = hold(self.data)
        except OSError as error:
            raise Refusal(
                "data_directory_closed", f"{error.filename or self.data} cannot be used: {error.strerror}"
            ) from None
        try:
            self.account = choose_account(self.home)
            self.programs = find_programs(self.account)
            self.cluster = self.home / "cluster"
            self.log = self.home / "server.log"
            self._stop_orphan(describe)
            self._clear_leftovers()
            if not self.cluster.is_dir():
                describe("Creating the database")
                self._initialise()
            refuse_other_version(self.cluster)
            self.socket_directory = make_socket_directory(self.home, self.account)
            # The keeper forks PostgreSQL, and PostgreSQL dies with the thread that forked it: one of its own, for the
            # thread that calls `start` may end earlier than the service.
            self._keeper = threading.Thread(target=self._keep, name="postgres", daemon=True)
            self._keeper.start()
            self._wait_until_ready()
            return Server(self.socket_directory, self.port, self.programs, read_passwords(self.home))
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Shut PostgreSQL down in good order (open transactions are rolled back) and let go of the directory."""
        with self._turn:
            self._stopping.set()
        if self._process is not None:
            shut_down(self._process)
        if self._keeper is not None:
            self._keeper.join()
        if self._lock is not None:
            self._lock.truncate(0)
            self._lock.close()
            self._lock = None

    @property
    def process_id(self) -> int | None:
        """Of the postmaster, while it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def _keep(self) -> None:
        """Run PostgreSQL until asked to stop, and say so when it cannot be run any more. A thread of its own."""
        try:
            self._run_again_and_again()
        except OSError as error:
            # No memory for a process, no room for a line of the log: nobody else would notice.
            self.trouble = str(error)
        if self._ready.is_set() and not self._stopping.is_set():
            self.on_failure()

    def _run_again_and_again(self) -> None:
        """Run PostgreSQL, and start it again when it dies by itself; answers when it was stopped or given up."""
        deaths: list[float] = []
        while not self._stopping.is_set():
            with self._turn, self._open_log() as log:
                if self._stopping.is_set():
                    return
                self._process = self._spawn(signal.SIGINT, self._server_command(), log)
            self._process.wait()
            if self._stopping.is_set() or not (self._ready.is_set() or self._is_held_by_children()):
                return
            now = time.monotonic()
            deaths = [*(death for death in deaths if death > now - 60), now]
            if len(deaths) > RESTARTS_PER_MINUTE:
                self.trouble = f"it died {len(deaths)} times within a minute"
                return
            self._stopping.wait(min(5.0, 0.1 * 2 ** len(deaths)))

    def _is_held_by_children(self) -> bool:
        """Whether the last start failed for what passes by itself: a killed postmaster's children still live."""
        return any("pre-existing shared memory block" in line for line in self._log_tail())

    def _server_command(self) -> list[str]:
        options = {
            **self.options,
            **DURABLE,
            "unix_socket_directories": str(self.socket_directory),
            "unix_socket_permissions": "0700",
            "listen_addresses": "127.0.0.1" if self.tcp_port else "",
        }
        flags = [f"--{name}={value}" for name, value in options.items()]
        return ["postgres", "-D", str(self.cluster), "-p", str(self.port), *flags]

    def _spawn(
        self, death_signal: int, command: list[str], output: IO[bytes] | int, source: int = subprocess.DEVNULL
    ) -> subprocess.Popen[bytes]:
        """Run one of PostgreSQL's programs as the account, in a session of its own so that Ctrl-C is ours alone."""
        identity = [self.account.user_id, self.account.group_id, os.getpid(), int(death_signal)]
        program = str(self.programs / command[0])
        return subprocess.Popen(  # noqa: S603
            [sys.executable, "-I", "-S", postgres_child.__file__, *map(str, identity), program, *command[1:]],
            stdin=source,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=self.home,
            env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
            start_new_session=True,
        )

    def _run(self, command: list[str], text: str | None = None) -> None:
        """Run a program to its end; its output is the error when it fails."""
        process = self._spawn(signal.SIGTERM, command, subprocess.PIPE, subprocess.PIPE)
        try:
            output, _ = process.communicate(text.encode() if text is not None else None)
        except BaseException:
            # Whoever asks us to stop in the middle must not leave it writing.
            process.terminate()
            process.wait()
            raise
        if process.returncode != 0:
            words = output.decode(errors="replace").strip()
            raise Refusal("postgresql_failed", f"{command[0]} failed: {words}", program=command[0])

    def _initialise(self) -> None:
        """Make the cluster with its roles in a directory beside, then rename it: it is whole or not there."""
        passwords = {role: secrets.token_hex(24) for role in (SUPERUSER, OWNER, SERVICE)}
        beside = Path(tempfile.mkdtemp(prefix="cluster-new-", dir=self.home))
        password_file, cluster = beside / "password", beside / "cluster"
        password_file.write_text(passwords[SUPERUSER])
        for path in (beside, password_file):
            os.chown(path, self.account.user_id, self.account.group_id)
        command = ["initdb", "-D", str(cluster), "--username", SUPERUSER, "--pwfile", str(password_file)]
        command += ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        command += ["--auth=scram-sha-256", "--data-checksums"]
        for name, value in FIRST_CONFIGURATION.items():
            command += ["--set", f"{name}={value}"]
        self._run(command)
        roles = BOOTSTRAP.strip().format(
            owner=OWNER,
            owner_password=passwords[OWNER],
            service=SERVICE,
            service_password=passwords[SERVICE],
            database=DATABASE,
        )
        self._run(["postgres", "--single", "-D", str(cluster), "-c", "exit_on_error=on", "postgres"], roles + "\n")
        write_passwords(self.home, passwords)
        cluster.rename(self.cluster)
        sync_directory(self.home)
        shutil.rmtree(beside)

    def _clear_leftovers(self) -> None:
        """Directories of an initialisation that was interrupted, and the number of a process that is not ours.

        After a crash of the machine the number in postmaster.pid may be somebody else's, and PostgreSQL would refuse to
        start. Our own PostgreSQL has ended when this is called.
        """
        deadline = time.monotonic() + STOP_SECONDS
        while leftovers := list(self.home.glob("cluster-new-*")):
            for leftover in leftovers:
                shutil.rmtree(leftover, ignore_errors=True)
            if time.monotonic() > deadline:
                break
            # The initdb of a service that was killed may still be ending, and put a last file where this has been.
            time.sleep(0.02)
        number = noted_number(self.cluster)
        if number and is_alive(number):
            (self.cluster / "postmaster.pid").unlink()

    def _stop_orphan(self, describe: Callable[[str], None]) -> None:
        """End a PostgreSQL that a killed service left here, in good order, and wait for it."""
        process_id = noted_number(self.cluster)
        if process_id is None or not runs_on(process_id, self.cluster):
            return
        describe("Stopping the PostgreSQL that an earlier service left running")
        deadline = time.monotonic() + STOP_SECONDS
        with contextlib.suppress(ProcessLookupError):
            os.kill(process_id, signal.SIGINT)
        while runs_on(process_id, self.cluster):
            if time.monotonic() > deadline:
                raise Refusal(
                    "orphan_not_stopping",
                    f"PostgreSQL (process {process_id}) does not stop",
                    process_id=process_id,
                )
            time.sleep(0.02)

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._keeper is None or not self._keeper.is_alive():
                break
            lines = status_lines(self.cluster)
            if len(lines) > 7 and lines[0] == str(self.process_id) and lines[7] == "ready":
                self._ready.set()
                return
            time.sleep(0.01)
        raise Refusal("postgresql_not_starting", f"PostgreSQL does not start: {self.last_words()}")

    def last_words(self) -> str:
        """What went wrong, as far as it is known, with the end of PostgreSQL's log."""
        trouble = f"{self.trouble}; " if self.trouble else ""
        return f"{trouble}{self.log} ends with: {' / '.join(self._log_tail())}"

    def _log_tail(self) -> list[str]:
        return self.log.read_text(errors="replace").splitlines()[-5:] if self.log.is_file() else []

    def _open_log(self) -> IO[bytes]:
        if self.log.exists() and self.log.stat().st_size > LARGEST_LOG_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
        return self.log.open("ab")


def shut_down(process: subprocess.Popen[bytes]) -> None:
    """Ask in good order, then less politely; each of the three leaves no acknowledged write behind."""
    for signal_number, seconds in ((signal.SIGINT, STOP_SECONDS), (signal.SIGQUIT, 10), (signal.SIGKILL, 10)):
        process.send_signal(signal_number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
            return


@contextlib.contextmanager
def reach(data: Path) -> Iterator[Server]:
    """The PostgreSQL of `data`: the one that a running service holds, else one started for the time of the block."""
    embedded = EmbeddedPostgres(data)
    try:
        server = embedded.start()
    except Refusal as refusal:
        if refusal.code != "data_directory_in_use":
            raise
        yield running(data, refusal)
        return
    try:
        yield server
    finally:
        embedded.stop()


def running(data: Path, in_use: Refusal) -> Server:
    """How to reach the PostgreSQL that another process holds; raises `in_use` when it is not serving."""
    home = (data.absolute() / "postgres").resolve()
    lines = status_lines(home / "cluster")
    if len(lines) < 8 or lines[7] != "ready":
        raise in_use
    account = choose_account(home)
    return Server(Path(lines[4]), int(lines[3]), find_programs(account), read_passwords(home))
