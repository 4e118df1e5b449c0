"""SIGTERM while something is being prepared."""

import signal
import subprocess
import sys

import pytest

AT_WORK = """
import asyncio, signal
from api.stopping import asked_to_stop, stop_when_asked

async def prepare():
    print("ready", flush=True)
    try:
        await asyncio.sleep(600)
    except asyncio.CancelledError:
        print("cancelled", asked_to_stop.is_set(), flush=True)
        raise

signal.signal(signal.SIGINT, {before})
stop_when_asked()
try:
    asyncio.run(prepare())
except KeyboardInterrupt:
    print("stopped", flush=True)
"""


@pytest.mark.parametrize("before", ["signal.default_int_handler", "signal.SIG_IGN"])
def test_what_runs_is_cancelled_and_put_away(before: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", AT_WORK.replace("{before}", before)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read() == "cancelled True\nstopped\n"
    assert process.returncode == 0
