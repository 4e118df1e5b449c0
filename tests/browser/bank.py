"""A bank as anybody starts it: `timebank run --demo` on a data directory of its own."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from timebank.clock import DemoClock
from timebank.keys import Keys

START_SECONDS = 120


@dataclass
class Service:
    """A running bank."""

    address: str
    data: Path
    environment: dict[str, str]

    @property
    def keys(self) -> Keys:
        """The keys that it made at its first start."""
        return Keys.load(self.data / "keys.json")

    def pass_time(self, **amount: float) -> None:
        """Let time go by at the bank, as `timedelta` counts it."""
        DemoClock(self.data / "clock").advance(timedelta(**amount))

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """One `timebank` command beside it."""
        return subprocess.run(
            [sys.executable, "-m", "api.cli", *words],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


@contextmanager
def started(data: Path) -> Iterator[Service]:
    """A bank that has just been opened in `data`, with its demo city; its log is beside the directory."""
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TIMEBANK_")}
    environment |= {"TIMEBANK_DATA": str(data), "TIMEBANK_PORT": str(port), "TIMEBANK_DEMO": "1"}
    log = data.with_name(f"{data.name}.log").open("w+")
    process = subprocess.Popen(
        [sys.executable, "-m", "api.cli", "run", "--demo"], env=environment, stdout=log, stderr=subprocess.STDOUT
    )
    try:
        address = f"http://127.0.0.1:{port}"
        wait_until_ready(process, address, log)
        yield Service(address, data, environment)
    finally:
        process.terminate()
        process.wait(60)
        log.close()


def free_port() -> int:
    """A port of the loopback address that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def wait_until_ready(process: subprocess.Popen[Any], address: str, log: Any) -> None:
    """Wait for the bank to say that it is ready; its log when it ends instead."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/health/ready", timeout=2):  # noqa: S310
                return
        except OSError:
            time.sleep(0.2)
    log.seek(0)
    raise AssertionError(log.read()[-4000:])
