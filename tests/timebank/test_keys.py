"""The keys file: made once, private, never overwritten by accident, rotated without losing what was encrypted."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from timebank import codes
from timebank.hourly import HourlyKeys
from timebank.keys import PURPOSES, ROTATABLE, Keys
from timebank.refusal import Refusal

NOW = datetime(2026, 3, 2, 1, 0, 7, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "keys.json"


def test_the_first_start_makes_a_file_that_only_its_owner_may_read(path: Path) -> None:
    keys = Keys.load_or_create(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert [file.name for file in path.parent.iterdir()] == ["keys.json"]
    assert Keys.load_or_create(path) == keys == Keys.load(path)


def test_processes_that_start_together_get_the_same_keys(path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        loaded = list(pool.map(lambda _: Keys.load_or_create(path), range(64)))
    assert all(keys == loaded[0] for keys in loaded)
    assert [file.name for file in path.parent.iterdir()] == ["keys.json"]


def test_every_purpose_has_a_key_of_its_own() -> None:
    keys = Keys.new()
    derived = [keys.derive(purpose) for purpose in PURPOSES]
    assert all(len(key) == 32 for key in derived)
    assert len({*derived, *keys.masters.values()}) == len(PURPOSES) + 1
    assert keys.station == HourlyKeys(keys.derive("station"))
    assert keys.redemption == keys.derive("redemption")
    assert keys.draw == keys.derive("draw")
    assert keys.ticket == {"1": keys.derive("ticket")}
    assert keys.ticket_kid == "1"


def test_the_derivation_never_changes() -> None:
    # Computed once with the openssl command line: HKDF-SHA256, no salt, the info below.
    keys = Keys({1: bytes(range(32))}, dict.fromkeys(PURPOSES, 1))
    assert keys.derive("station").hex() == "b041a50eaf94b622ac62c3af7a3022361d110ef9d3ce061c29fa9a2207a172e4"


def test_rotation_keeps_old_keys_for_reading() -> None:
    keys = Keys.new()
    rotated = keys.rotated(NOW)
    assert (keys.key_id, rotated.key_id) == (1, 2)
    assert rotated.key_encryption_keys[1] == keys.key_encryption_keys[1]
    assert rotated.key_encryption_keys[2] != rotated.key_encryption_keys[1]
    assert rotated.ticket["1"] == keys.ticket["1"]
    assert rotated.ticket_kid == "2"
    # Codes on show and phone numbers in the table are still found.
    assert rotated.station == keys.station
    assert rotated.phone_index == keys.phone_index
    assert rotated.pepper == keys.pepper
    assert rotated.phone_code == keys.phone_code
    assert rotated.address == keys.address


@pytest.mark.parametrize("purpose", ROTATABLE)
def test_one_purpose_rotates_alone(purpose: str) -> None:
    keys = Keys.new()
    rotated = keys.rotated(NOW, [purpose])
    changed = {name for name in PURPOSES if rotated.derive(name) != keys.derive(name)}
    assert changed == {purpose}


def test_station_codes_of_a_replaced_key_are_believed_for_a_day_and_an_hour(path: Path) -> None:
    keys = Keys.load_or_create(path)
    second = keys.rotated(NOW, ["station"])
    second.rotated(NOW + timedelta(days=3), ["station"]).save(path)
    rotated = Keys.load(path)
    assert rotated.replaced == {1: NOW, 2: NOW + timedelta(days=3)}

    def taken(at: datetime, made_with: Keys) -> bool:
        slot = codes.slot_at(at)
        code = codes.station_code(made_with.station, 7, 9, slot)
        digits = codes.station_digits(made_with.station, 7, 9, slot)
        found = codes.digits_slot(rotated.station, 7, 9, digits, at) == slot
        try:
            return codes.read_station_code(rotated.station, code, at).slot == slot and found
        except codes.CodeForged:
            assert not found
            return False

    until = codes.slot_start(codes.slot_at(NOW + timedelta(hours=25)))
    assert taken(NOW, keys)
    assert taken(until, keys)
    assert not taken(until + timedelta(seconds=20), keys)
    # The key in between is believed after the second rotation, and the first is not believed anew.
    assert taken(NOW + timedelta(days=4), second)
    assert not taken(NOW + timedelta(days=3, hours=1), keys)
    assert taken(NOW + timedelta(days=300), rotated)


def test_a_key_that_somebody_else_has_makes_no_code_that_is_taken() -> None:
    keys = Keys.new()
    rotated = keys.rotated(NOW, ["station"]).rotated(NOW, ["station"], believe=False)
    code = codes.station_code(keys.station, 7, 9, codes.slot_at(NOW))
    with pytest.raises(codes.CodeForged):
        codes.read_station_code(rotated.station, code, NOW)


def test_a_key_that_the_data_depends_on_is_not_rotated() -> None:
    with pytest.raises(Refusal) as caught:
        Keys.new().rotated(NOW, ["phone_index"])
    assert caught.value.code == "key_fixed"


def test_a_number_that_the_file_does_not_hold_is_refused() -> None:
    with pytest.raises(Refusal) as caught:
        Keys.new().derive("kek", 2)
    assert caught.value.code == "key_unknown"


def test_saved_rotations_are_loaded(path: Path) -> None:
    keys = Keys.load_or_create(path)
    keys.rotated(NOW).save(path)
    loaded = Keys.load(path)
    assert loaded.masters[1] == keys.masters[1]
    assert loaded.key_id == 2
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["keys.json"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o777])
def test_a_file_that_others_can_touch_is_refused(path: Path, mode: int) -> None:
    Keys.load_or_create(path)
    path.chmod(mode)
    with pytest.raises(Refusal) as caught:
        Keys.load(path)
    assert caught.value.code == "keys_readable_by_others"
    assert "chmod 600" in str(caught.value)


def test_a_missing_file_is_said_to_be_missing(path: Path) -> None:
    with pytest.raises(Refusal) as caught:
        Keys.load(path)
    assert caught.value.code == "keys_missing"


@pytest.mark.parametrize(
    "damage",
    [
        lambda document: "not json",
        lambda document: "[]",
        lambda document: "{}",
        lambda document: json.dumps({**document, "format": 2}),
        lambda document: json.dumps({**document, "masters": {}}),
        lambda document: json.dumps({**document, "masters": {"1": "AAAA"}}),
        lambda document: json.dumps({**document, "masters": {"1": "%%%"}}),
        lambda document: json.dumps({**document, "current": {"kek": 7}}),
        lambda document: json.dumps({**document, "replaced": {"7": "2026-03-02T01:00:07+00:00"}}),
        lambda document: json.dumps({**document, "replaced": {"1": "2026-03-02T01:00:07"}}),
        lambda document: json.dumps({**document, "current": None}),
        lambda document: json.dumps(document)[:-20],
    ],
)
def test_a_damaged_file_is_refused_and_left_alone(path: Path, damage) -> None:  # type: ignore[no-untyped-def]
    Keys.load_or_create(path)
    damaged = damage(json.loads(path.read_text()))
    path.write_text(damaged)
    with pytest.raises(Refusal) as caught:
        Keys.load_or_create(path)
    assert caught.value.code == "keys_damaged"
    assert path.read_text() == damaged


def test_a_purpose_that_the_file_does_not_name_starts_at_the_first_master(path: Path) -> None:
    keys = Keys.load_or_create(path)
    document = json.loads(path.read_text())
    del document["current"]["draw"]
    path.write_text(json.dumps(document))
    assert Keys.load(path).draw == keys.draw


def test_a_backup_is_private_and_overwrites_nothing(path: Path, tmp_path: Path) -> None:
    keys = Keys.load_or_create(path)
    copy = tmp_path / "copy.json"
    keys.backup(copy)
    assert Keys.load(copy) == keys
    assert copy.stat().st_mode & 0o777 == 0o600
    with pytest.raises(Refusal) as caught:
        keys.rotated(NOW).backup(copy)
    assert caught.value.code == "file_exists"
    assert Keys.load(copy) == keys
    assert sorted(os.listdir(tmp_path)) == ["copy.json", "keys"]


def test_keys_do_not_show_themselves() -> None:
    keys = Keys.new()
    assert keys.masters[1].hex() not in repr(keys)
    assert str(keys.masters[1]) not in f"{keys!r} {keys}"
