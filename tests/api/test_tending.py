"""What a serving process looks after: the copy of the night in a process of its own, and keys that were rotated."""

import sys
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest

from api import tending
from api.tending import Tending
from timebank import backups
from timebank.keys import Keys, ServedKeys
from timebank.settings import Settings

NOW = datetime(2026, 12, 1, 4, tzinfo=UTC)
LATER = NOW + timedelta(minutes=11)


@pytest.fixture
def watch(tmp_path: Path) -> Tending:
    settings = Settings(data=tmp_path, migration_url="postgresql://owner@db/bank", database_url="postgresql://db/bank")
    return Tending(settings, ServedKeys(tmp_path / "keys.json"), lambda: NOW)


def finish(watch: Tending, now: datetime) -> None:
    """Wait for the process, and look."""
    assert watch.copying is not None
    watch.copying.wait()
    watch.turn(now)


def test_the_copy_is_made_once_and_tried_again_later(watch: Tending, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tending, "COMMAND", (sys.executable, "-c", "raise SystemExit(1)"))
    watch.turn(NOW)
    assert watch.copying is None
    watch.turn(LATER)
    finish(watch, LATER)
    assert watch.copying is None
    watch.turn(LATER + timedelta(minutes=30))
    assert watch.copying is None
    monkeypatch.setattr(tending, "COMMAND", (sys.executable, "-c", "import time; time.sleep(600)"))
    watch.turn(LATER + timedelta(hours=2))
    under_way = watch.copying
    watch.turn(LATER + timedelta(hours=3))
    assert watch.copying is under_way is not None
    under_way.terminate()
    file = backups.file_for(watch.settings.data, "nightly", LATER + timedelta(hours=3))
    backups.directory(watch.settings.data).mkdir()
    file.touch()
    finish(watch, LATER + timedelta(hours=5))
    assert watch.copying is None


def test_who_makes_no_copies(watch: Tending) -> None:
    assert watch.is_due(LATER)
    for never in ({"demo": True}, {"backup_at": None}, {"migration_url": None}, {"backup_at": time(12, 30)}):
        watch.settings = replace(Settings(data=watch.settings.data, migration_url="x"), **never)  # type: ignore[arg-type]
        assert watch.is_due(LATER) is (never == {"backup_at": time(12, 30)})


async def test_it_takes_rotated_keys_and_ends_with_its_copy(watch: Tending, monkeypatch: pytest.MonkeyPatch) -> None:
    path = watch.settings.data / "keys.json"
    Keys.load(path).rotated(NOW).save(path)
    monkeypatch.setattr(tending, "COMMAND", (sys.executable, "-c", "import time; time.sleep(600)"))
    watch.start()
    watch.turn(LATER)
    assert watch.keys.key_id == 2
    await watch.stop()
    assert watch.copying is not None
    assert watch.copying.returncode
