"""The copies that a bank keeps by itself: when, which stay, what stands beside them; and the keys' own copies."""

import asyncio
import json
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.conftest import with_database
from tests.factories import build_city
from timebank import backup, backups, key_copies, members
from timebank.backups import Proof
from timebank.database import create_engine
from timebank.keys import Keys, ServedKeys
from timebank.refusal import Refusal

NOW = datetime(2026, 12, 1, 4, tzinfo=UTC)  # noon in Nanchang
ZONE = ZoneInfo("Asia/Shanghai")
LONG_AGO = NOW - timedelta(days=3)
WORDS = "four herons over the lake"
OWNERS = """SELECT DISTINCT
      schemaname || ' ' || CASE tableowner WHEN current_user THEN 'me' ELSE tableowner END AS owner
    FROM pg_tables WHERE schemaname IN ('ledger', 'timebank')"""


@pytest.mark.parametrize(
    ("copied_at", "at", "started_at", "due"),
    [
        (None, time(3), LONG_AGO, True),
        (NOW - timedelta(hours=8), time(3), LONG_AGO, False),
        (NOW - timedelta(hours=10), time(3), LONG_AGO, True),
        # The machine was off at three: it makes up for it, but not in its first minutes.
        (NOW - timedelta(days=2), time(3), NOW - timedelta(minutes=5), False),
        (NOW - timedelta(days=2), time(3), NOW - timedelta(minutes=11), True),
        (None, time(11, 59), NOW - timedelta(minutes=2), True),
        (NOW - timedelta(hours=13), time(23), LONG_AGO, False),
        (NOW - timedelta(hours=14), time(23), LONG_AGO, True),
    ],
)
def test_the_copy_of_the_night_is_due(copied_at: datetime | None, at: time, started_at: datetime, due: bool) -> None:
    assert backups.is_due(copied_at, at, ZONE, started_at, NOW) is due


def test_the_newest_copies_stay(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="backup_missing"):
        backups.newest(tmp_path)
    with backups.alone(tmp_path) as first, backups.alone(tmp_path) as second:
        assert (first, second) == (True, False)
    for day in range(5):
        for why in ("nightly", "upgrade"):
            file = backups.file_for(tmp_path, why, NOW + timedelta(days=day))  # type: ignore[arg-type]  # one of two
            file.touch()
            backups.note_of(file).touch()
    (backups.directory(tmp_path) / ".2026.dump.0a").touch()
    assert backups.made_at(backups.newest(tmp_path)) == NOW + timedelta(days=4)
    assert len(backups.prune(tmp_path, 2)) == 6
    assert [backups.made_at(file) for file in backups.kept(tmp_path)] == [
        NOW + timedelta(days=day) for day in (3, 3, 4, 4)
    ]
    assert sorted(path.suffix for path in backups.directory(tmp_path).iterdir()) == ["", *[".dump"] * 4, *[".json"] * 4]
    assert backups.made_at(Path("bank.dump")) is None


async def test_a_copy_and_its_proof_are_of_one_moment(
    engine: AsyncEngine,
    keys: Keys,
    new_book: int,
    database: Any,
    server: dict[str, str],
    worker_name: str,
    tmp_path: Path,
) -> None:
    assert await backups.copy(database.owner_url, database.service_url, 2_000_000_001, tmp_path / "none.dump") is None
    assert backups.read_note(tmp_path / "none.dump") is None
    async with engine.begin() as connection:
        await build_city(connection, new_book, keys)
    file = tmp_path / "bank.dump"
    proof = await backups.copy(database.owner_url, database.service_url, new_book, file)
    assert proof is not None
    assert (proof.passed, proof.transfers) == (True, 1)
    assert backups.read_note(file) == proof
    assert backups.note_of(file).stat().st_mode & 0o777 == 0o600
    async with engine.connect() as connection:
        assert await backups.prove(connection, new_book) == proof
    # Restored by somebody else, it is theirs, but for the ledger.
    maker = create_engine(server["maker"]).execution_options(isolation_level="AUTOCOMMIT")
    name = f"restored_{worker_name}"
    place = with_database(server["maker"], name)
    async with maker.connect() as connection:
        await connection.execute(text(f"CREATE DATABASE {name}"))
        try:
            await asyncio.to_thread(backup.restore, place, file)
            # Where psql fails first, its cause is told.
            with pytest.raises(Refusal, match="already exists") as refused:
                await asyncio.to_thread(backup.restore, place, file)
            assert refused.value.data["program"] == "psql"
            restored = create_engine(place)
            async with restored.connect() as there:
                assert await backups.prove(there, new_book) == proof
                owners = await there.execute(text(OWNERS))
                assert {row.owner for row in owners} == {"ledger ledger_owner", "timebank me"}
            await restored.dispose()
        finally:
            await connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    await maker.dispose()
    rows = [b"COPY x (y) FROM stdin;\n", b"ALTER TABLE x OWNER TO y;\n", b"\\.\n"]
    assert list(backup.owned_here(rows)) == rows
    backups.note_of(file).write_text("{")
    with pytest.raises(Refusal, match="backup_note_damaged"):
        backups.read_note(file)


P = Proof(1, True, 10, 5, "a")


@pytest.mark.parametrize(
    ("restored", "noted", "live", "agrees"),
    [
        (P, P, P, True),
        (P, None, P, True),
        (P, P, Proof(1, True, 12, 6, "b"), True),
        (P, P, Proof(1, True, 9, 5, "b"), False),
        (P, P, Proof(1, True, 10, 5, "b"), False),
        (P, P, Proof(1, False, 12, 5, "b"), False),
        (P, Proof(1, True, 10, 5, "b"), P, False),
        (Proof(1, False, 10, 5, "a"), None, P, False),
        (None, None, P, True),
        (P, P, None, True),
        (None, P, P, False),
    ],
)
def test_what_a_drill_finds(restored: Proof | None, noted: Proof | None, live: Proof | None, agrees: bool) -> None:
    assert backups.agrees(restored, noted, live) is agrees


async def test_before_an_upgrade_there_is_a_copy(ledger_database: Any, database: Any, tmp_path: Path) -> None:
    assert await backups.before_upgrade(database.owner_url, tmp_path, 3, NOW) is None
    file = await backups.before_upgrade(ledger_database.owner_url, tmp_path, 3, NOW)
    assert file == backups.newest(tmp_path)
    assert "-upgrade" in file.name
    engine = create_engine(ledger_database.owner_url)
    async with engine.begin() as connection:
        await connection.execute(text("INSERT INTO alembic_version VALUES ('bank_2099_01_01_later')"))
    try:
        with pytest.raises(Refusal, match="schema_newer"):
            await backups.before_upgrade(ledger_database.owner_url, tmp_path, 3, NOW)
    finally:
        async with engine.begin() as connection:
            await connection.execute(text("DELETE FROM alembic_version WHERE version_num = 'bank_2099_01_01_later'"))
        await engine.dispose()
    assert backups.kept(tmp_path) == [file]


# Keys.


def test_keys_under_a_passphrase(tmp_path: Path) -> None:
    keys, file = Keys.new().rotated(NOW), tmp_path / "keys.sealed"
    key_copies.write(file, key_copies.seal(keys, WORDS))
    assert file.stat().st_mode & 0o777 == 0o600
    assert key_copies.is_sealed(file)
    assert key_copies.opened(file, WORDS) == keys
    for secret in keys.masters.values():
        assert key_copies.encoded(secret) not in file.read_text()
    with pytest.raises(Refusal, match="passphrase_wrong"):
        key_copies.opened(file, WORDS + ".")
    with pytest.raises(Refusal, match="file_exists"):
        key_copies.write(file, b"")
    with pytest.raises(Refusal, match="keys_missing"):
        key_copies.is_sealed(tmp_path / "none")
    for weak in ("short", "aaaaaaaaaaaaaaaa"):
        with pytest.raises(Refusal, match="passphrase_weak"):
            key_copies.seal(keys, weak)
    # Nobody makes the guessing cheaper, or the machine work itself to death.
    document = json.loads(file.read_text())
    for change, code in (
        ({"time_cost": 1}, "passphrase_wrong"),
        ({"text": document["salt"]}, "passphrase_wrong"),
        ({"memory_kib": 2**30}, "keys_damaged"),
        ({"time_cost": 0}, "keys_damaged"),
        ({"kind": "other"}, "keys_damaged"),
        ({"salt": "!"}, "keys_damaged"),
    ):
        file.write_text(json.dumps({**document, **change}))
        with pytest.raises(Refusal, match=code):
            key_copies.opened(file, WORDS)
    file.write_text("{")
    with pytest.raises(Refusal, match="keys_damaged"):
        key_copies.opened(file, WORDS)
    Keys.new().backup(tmp_path / "plain.json")
    assert not key_copies.is_sealed(tmp_path / "plain.json")


def test_a_process_that_serves_takes_a_rotation_by_itself(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    served = ServedKeys(path)
    assert not served.renew()
    before = served.redemption
    Keys.load(path).rotated(NOW, ("kek", "ticket", "redemption")).save(path)
    assert (served.key_id, served.redemption) == (1, before)
    assert served.renew()
    assert (served.key_id, served.ticket_kid) == (2, "2")
    assert served.redemption != before
    # What another process sealed under a key that this one has not seen is opened all the same.
    Keys.load(path).rotated(NOW).save(path)
    assert served.derive("kek", 3) == Keys.load(path).derive("kek", 3)
    assert served.key_id == 3
    with pytest.raises(Refusal, match="key_unknown"):
        served.derive("kek", 9)
    # A file that is broken or gone changes nothing.
    path.write_text("{")
    assert not served.renew()
    path.rename(path.with_suffix(".away"))
    assert not served.renew()
    assert served.key_id == 3


async def test_a_drill_opens_rows_under_every_key(engine: AsyncEngine, new_book: int) -> None:
    keys = Keys.new()
    async with engine.connect() as connection:
        city = await build_city(connection, new_book, keys)
        city.keys = keys.rotated(NOW)
        await city.add_members(connection, 3)
        assert await members.open_some(connection, new_book, city.keys) == {1: 2, 2: 3}
        for strange in (keys, Keys.new()):
            with pytest.raises(Refusal, match="keys_do_not_fit"):
                await members.open_some(connection, new_book, strange)
        await connection.rollback()
