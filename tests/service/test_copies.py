"""Copies of a bank as an operator makes, restores and drills them."""

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.directories import short_directory
from tests.service.callers import DEMO, Caller, new_id
from tests.service.operator import done, refused, typed
from tests.service.processes import (
    Service,
    copy_data,
    timebank,
)
from timebank import backups
from timebank.keys import PURPOSES, Keys


@pytest.fixture(scope="module")
def copied(demo_made: Path) -> Iterator[tuple[Service, Path, Path]]:
    """The demo city, serving, with a copy of its database and one of its keys, made meanwhile."""
    with short_directory() as directory:
        data = copy_data(demo_made, directory / "data")
        with Service.start(data, "--demo") as service:
            database, keys = directory / "bank.dump", directory / "keys-copy.json"
            assert "Keep the keys apart" in typed("backup", database, data=data)
            typed("keys", "backup", "--plain", keys, data=data)
            yield service, database, keys


def held(volunteer: Caller) -> dict[str, Any]:
    """The redemption that the demo's volunteer has not collected yet."""
    (found,) = [each for each in volunteer.get("/redemptions")["redemptions"] if each["state"] == "held"]
    return dict(volunteer.get(f"/redemptions/{found['id']}"))


def test_a_restored_bank_goes_on_where_the_copy_was_taken(copied: tuple[Service, Path, Path], place: Path) -> None:
    service, database, keys = copied
    for path in (database, keys):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with Caller(service.address, *DEMO["volunteer"]) as volunteer:
        balance, redemption = volunteer.get("/balance"), held(volunteer)
        statement = volunteer.get("/statement?unit=point")

    new = place / "new"
    typed("keys", "restore", keys, data=new)
    said = typed("restore", database, data=new)
    assert "Book 1 passes" in said
    assert "keys are missing" not in said
    with Service.start(new, "--demo") as restored:
        with Caller(restored.address, *DEMO["volunteer"]) as volunteer:
            assert volunteer.get("/balance") == balance
            assert volunteer.get("/statement?unit=point") == statement
            # Names are read with the restored keys.
            assert volunteer.get("/me")["name"] == "甘小荷"
            assert held(volunteer) == redemption
            places = [each["id"] for each in volunteer.get(f"/rewards/{redemption['reward_id']}")["places"]]
        with Caller(restored.address, *DEMO["clerk"]) as clerk:
            bodies = [{"id": new_id(), "station_id": each, "code": redemption["code"]} for each in places]
            answers = [clerk.send("/fulfilments", body) for body in bodies]
            # Once, at the one counter that is the clerk's.
            assert sorted(answer.status_code for answer in answers)[0] == 201
            handed_over = [answer.json()["data"].get("redemption_id") for answer in answers if answer.is_success]
            assert handed_over == [redemption["id"]]
            assert [clerk.send("/fulfilments", body).json()["code"] for body in bodies] == [
                answer.json()["code"] for answer in answers
            ]
        assert "passes" in done("audit", data=new)

    # Into a bank that is there, nothing is restored.
    refused("database_not_empty", "restore", database, data=new)
    refused("database_not_empty", "restore", database, data=service.data)
    assert "passes" in done("audit", data=new)


def test_who_was_erased_stays_erased_where_an_old_copy_is_restored(
    copied: tuple[Service, Path, Path], place: Path
) -> None:
    service, database, keys = copied
    role = "auditor"
    phone, listed = DEMO[role][0], service.data / "erasures.jsonl"
    assert "Aborted" in timebank("erase", "--phone", phone, data=service.data).stdout
    assert "Erased: member" in typed("erase", "--phone", phone, "--yes", data=service.data)
    assert len(listed.read_text().splitlines()) == 1
    assert "not_found" in timebank("erase", "--phone", phone, "--yes", data=service.data).stdout
    for name, words, said in (
        ("without", (), "No list of erasures"),
        ("with", ("--erasures", listed), "1 people erased again"),
    ):
        new = place / name
        done("keys", "restore", keys, data=new)
        assert said in done("restore", database, *words, data=new)
        gone = timebank("erase", "--phone", phone, "--yes", data=new)
        assert ("not_found" in gone.stdout) == bool(words)
    assert (place / "with" / "erasures.jsonl").read_text() == listed.read_text()
    refused("erasures_missing", "restore", database, "--erasures", place / "none", data=place / "third")


def test_a_restore_without_keys_says_what_is_missing(copied: tuple[Service, Path, Path], place: Path) -> None:
    _, database, keys = copied
    said = done("restore", database, data=place / "new")
    assert "Book 1 passes" in said
    assert "The keys are missing" in said
    # Whoever starts too early is told, and finds the place of the copy empty.
    refused("keys_missing", "user", "add", "--name", "林", "--phone", "13900000011", data=place / "new")
    done("keys", "restore", keys, data=place / "new")
    assert Keys.load(place / "new" / "keys.json") == Keys.load(keys)


def test_a_damaged_copy_is_refused_and_leaves_an_empty_database(
    copied: tuple[Service, Path, Path], place: Path
) -> None:
    _, database, _ = copied
    new, whole = place / "new", database.read_bytes()
    cut, text = place / "cut.dump", place / "text.dump"
    cut.write_bytes(whole[: len(whole) * 3 // 4])
    text.write_text("Dear operator")
    refused("backup_missing", "restore", place / "none.dump", data=new)
    refused("backup_unreadable", "restore", text, data=new)
    assert not new.exists()
    refused("restore_failed", "restore", cut, data=new)
    # All of it or nothing: the whole copy still fits in.
    assert "Book 1 passes" in done("restore", database, data=new)


def test_a_copy_overwrites_nothing(own_data: Path, place: Path) -> None:
    file = place / "bank.dump"
    done("backup", file, data=own_data)
    before = file.read_bytes()
    refused("file_exists", "backup", file, data=own_data)
    assert file.read_bytes() == before
    refused("directory_missing", "backup", place / "none" / "bank.dump", data=own_data)
    assert sorted(path.name for path in place.iterdir()) == ["bank.dump", "data"]


def test_keys_are_shown_rotated_and_put_back(demo_data: Path, place: Path) -> None:
    said = typed("keys", "show", data=demo_data)
    for purpose in PURPOSES:
        assert purpose in said
    copy = place / "keys-copy.json"
    done("keys", "backup", "--plain", copy, data=demo_data)
    # Whoever serves takes the new keys by itself, and who was a member before is one still.
    serving = Service.start(demo_data, "--demo", log_level="debug")
    with serving as service, Caller(service.address, *DEMO["volunteer"]) as volunteer:
        assert "within seconds" in typed("keys", "rotate", data=demo_data)
        assert Keys.load(demo_data / "keys.json").key_id == 2
        service.hear("keys_renewed")
        assert volunteer.get("/me")["name"] == "甘小荷"
        # A copy under a passphrase opens what is stored; with another passphrase, or of other keys, none.
        sealed, secret = place / "keys.sealed", "six swans over the lake"
        done("keys", "backup", sealed, data=demo_data, text=f"{secret}\n" * 2)
        assert "The copy is good." in done("keys", "drill", sealed, data=demo_data, text=f"{secret}\n")
        refused("passphrase_wrong", "keys", "drill", sealed, "--passphrase", "another one", data=demo_data)
        Keys.new().backup(place / "strange.json")
        refused("keys_do_not_fit", "keys", "drill", place / "strange.json", data=demo_data)
        done("keys", "restore", sealed, "--passphrase", secret, data=place / "sealed")
        assert Keys.load(place / "sealed" / "keys.json") == Keys.load(demo_data / "keys.json")
    refused("file_exists", "keys", "restore", copy, data=demo_data)
    refused("file_exists", "keys", "backup", "--plain", copy, data=demo_data)
    refused("keys_missing", "keys", "show", data=place / "elsewhere")
    done("keys", "restore", copy, data=place / "elsewhere")
    assert Keys.load(place / "elsewhere" / "keys.json").key_id == 1


def test_a_copy_of_the_night_is_drilled(demo_data: Path) -> None:
    refused("backup_missing", "restore-drill", data=demo_data)
    # Its time has come: nobody made it since.
    assert done("backup", "--nightly", data=demo_data) != ""
    assert done("backup", "--nightly", data=demo_data) == ""
    (copy,) = backups.kept(demo_data)
    assert "can be restored, and agrees" in done("restore-drill", data=demo_data)
    assert not list(demo_data.glob("drill-*"))
    proof = backups.read_note(copy)
    assert proof is not None
    backups.write_note(copy, msgspec.structs.replace(proof, transfers=proof.transfers + 1))
    refused("does not agree", "restore-drill", copy, data=demo_data)
