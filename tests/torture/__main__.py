"""The long form of `tests/service/test_faults.py`, then of `tests/timebank/test_station_month.py`:
`python -m tests.torture --volunteers 256 --kills 100 --crowds 20`.

On this machine's loopback only; it stops by itself, and with status 1 as soon as a promise was not kept.
"""

import argparse
import asyncio
import os
import subprocess
import sys
from pathlib import Path

from tests.directories import short_directory
from tests.service.processes import Service, timebank
from tests.torture.crowd import come_and_go
from tests.torture.killing import Killed, kill_in_the_middle
from tests.torture.town import Town, look, prove, settle
from timebank import postgres
from timebank.keys import Keys


def say(line: str) -> None:
    """Progress."""
    print(line, flush=True)


def build(data: Path, volunteers: int) -> Town:
    """A migrated data directory with a town in it."""
    result = timebank("migrate", data=data)
    assert result.returncode == 0, result.stdout
    keys = Keys.load_or_create(data / "keys.json")
    with postgres.reach(data) as server:
        return asyncio.run(settle(server.service_url, keys, volunteers))


async def crowds(data: Path, town: Town, times: int) -> None:
    """Everybody comes and goes, again and again, before two serving processes."""
    expected = len(town.volunteers)
    with Service.start(data, workers=2, log_level="error") as service, postgres.reach(data) as server:
        for number in range(1, times + 1):
            done = await come_and_go(service.port, town)
            say(f"crowd {number}: {dict(done)}")
            assert set(done.values()) == {expected}, done
            found = await look(server.service_url, town)
            assert found.records == expected * (number + 1), found.records
        await prove(server.service_url, town)


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("--volunteers", type=int, default=256)
    parser.add_argument("--crowds", type=int, default=20, help="how often everybody comes and goes")
    parser.add_argument("--kills", type=int, default=100, help="how often the bank is killed in the middle of a stream")
    chosen = parser.parse_args()
    with short_directory() as directory:
        data = directory / "data"
        town = build(data, chosen.volunteers)
        asyncio.run(crowds(data, town, chosen.crowds))
        killed = Killed(data)
        killed.start_again()
        try:
            stream = asyncio.run(kill_in_the_middle(town, killed, chosen.kills, say))
        finally:
            killed.stop()
        assert not stream.strange, (stream.strange[:10], killed.service.complaints[:10])
        say(f"{len(stream.sent)} commands, {chosen.kills} kills: every acknowledged one is there; the audit passes")
    return months()


def months() -> int:
    """The long form of the random months of one station; the exit status."""
    command = [sys.executable, "-m", "pytest", "-q", "tests/timebank/test_station_month.py"]
    return subprocess.run(command, env={**os.environ, "TIMEBANK_TORTURE": "1"}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
