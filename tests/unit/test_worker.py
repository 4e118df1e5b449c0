"""A worker that is told to stop and does not hear it."""

import signal
import subprocess
import sys

DEAF = """
import asyncio, os, signal
from api.worker import when_stopped

async def serve():
    signal.signal(signal.SIGTERM, lambda number, frame: os.write(1, b"heard\\n"))
    when_stopped(lambda: os.write(1, b"called\\n"), last_seconds=1)
    print("ready", flush=True)
    await asyncio.sleep(600)

asyncio.run(serve())
"""


def test_the_kernel_ends_a_worker_that_goes_on() -> None:
    with subprocess.Popen([sys.executable, "-c", DEAF], stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
        worker.send_signal(signal.SIGTERM)
        assert sorted(worker.stdout) == ["called\n", "heard\n"]
    assert worker.returncode == -signal.SIGALRM
