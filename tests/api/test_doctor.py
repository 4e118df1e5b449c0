"""`timebank doctor`: everything that can be broken is broken, named, and told how to mend, in both languages."""

import json
import os
import re
import socket
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text

from api import doctor_words
from api.cli import main
from api.commands import doctor as command
from tests.api.people import Town
from tests.factories import MORNING
from timebank import certificates, copies, doctor
from timebank.database import create_engine
from timebank.doctor import Finding
from timebank.keys import Keys
from timebank.settings import Settings

NOW = MORNING.replace(year=2027)
HTTPS = {"host": ".".join("0000"), "public_url": "https://bank.example"}


def gravest(found: list[Finding] | Finding) -> tuple[str, str]:
    """The state and code of the worst of some findings."""
    every = found if isinstance(found, list) else [found]
    worst = max(every, key=lambda each: ["ok", "warn", "bad"].index(each.state))
    return worst.state, worst.code


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A directory with keys, copied a day ago."""
    keys = Keys.load_or_create(tmp_path / "keys.json")
    for kind in ("database", "keys"):
        copies.note(tmp_path, kind, NOW - timedelta(days=1), newest=max(keys.masters))
    return tmp_path


def write_note(data: Path, content: str) -> None:
    (data / copies.FILE).write_text(content)


def lost_keys(data: Path) -> None:
    (data / "postgres").mkdir()
    (data / "keys.json").unlink()


def fresh_keys(data: Path) -> None:
    (data / "keys.json").unlink()


def rotate(data: Path) -> None:
    Keys.load(data / "keys.json").rotated(MORNING).save(data / "keys.json")


def directory_in_place_of_keys(data: Path) -> None:
    (data / "keys.json").unlink()
    (data / "keys.json").mkdir(mode=0o700)


def nothing(_: Path) -> None:
    """Break nothing."""


KEYS = [
    (nothing, ("ok", "keys_ok")),
    (lost_keys, ("bad", "keys_missing")),
    (fresh_keys, ("warn", "keys_fresh")),
    (lambda data: (data / "keys.json").chmod(0o644), ("bad", "keys_readable_by_others")),
    (lambda data: (data / "keys.json").write_text("{"), ("bad", "keys_damaged")),
    (directory_in_place_of_keys, ("bad", "machine_refuses")),
    (rotate, ("warn", "keys_changed_since_copy")),
    (lambda data: write_note(data, "{}"), ("warn", "keys_not_copied")),
    (lambda data: write_note(data, "[]"), ("warn", "keys_not_copied")),
    (lambda data: write_note(data, '{"keys": {"at": "yesterday"}}'), ("warn", "keys_not_copied")),
    (
        lambda data: copies.note(data, "keys", NOW - timedelta(days=400), newest=1),
        ("warn", "keys_copy_old"),
    ),
]


@pytest.mark.parametrize(("damage", "expected"), KEYS)
def test_keys(data: Path, damage: Callable[[Path], object], expected: tuple[str, str]) -> None:
    damage(data)
    assert gravest(doctor.check_keys(data, NOW)) == expected


@pytest.mark.parametrize(
    ("look", "expected"),
    [
        (lambda data: doctor.check_data(data), ("ok", "data_ok")),
        (lambda data: doctor.check_data(data / "a" / "b"), ("warn", "data_fresh")),
        (lambda data: doctor.check_data(data / "keys.json" / "b"), ("bad", "data_not_writable")),
        (lambda data: doctor.check_disk(data / "none", 6 * 2**30), ("ok", "disk_ok")),
        (lambda data: doctor.check_disk(data, 2 * 2**30), ("warn", "disk_full")),
        (lambda data: doctor.check_disk(data, 2**29), ("bad", "disk_full")),
        (lambda _: doctor.check_machine_clock(NOW), ("ok", "clock_ok")),
        (lambda _: doctor.check_machine_clock(NOW.replace(year=2010)), ("bad", "clock_past")),
        (lambda _: doctor.check_database_clock(NOW, NOW + timedelta(seconds=1)), ("ok", "clocks_agree")),
        (lambda _: doctor.check_database_clock(NOW, NOW + timedelta(seconds=5)), ("warn", "clocks_differ")),
        (lambda _: doctor.check_database_clock(NOW, NOW - timedelta(seconds=50)), ("bad", "clocks_differ")),
        (lambda data: doctor.check_copies(data, NOW), ("ok", "database_copy_ok")),
        (lambda data: doctor.check_copies(data, NOW + timedelta(days=3)), ("warn", "database_copy_old")),
        (lambda data: doctor.check_copies(data / "none", NOW), ("warn", "database_not_copied")),
        (lambda _: doctor.check_address(Settings()), ("warn", "address_loopback")),
        (lambda _: doctor.check_address(Settings(**HTTPS)), ("ok", "address_ok")),
        (lambda _: doctor.check_address(Settings(host=HTTPS["host"])), ("bad", "address_open")),
        (lambda data: doctor.check_fonts([data], "no-such-package"), ("bad", "font_missing")),
        (lambda data: doctor.check_fonts([data]), ("ok", "font_ok")),
        (lambda _: doctor.check_messages(Settings()), ("warn", "messages_printed")),
        (lambda _: doctor.check_messages(Settings(demo=True)), ("warn", "messages_demo")),
    ],
)
def test_a_machine(data: Path, look: Callable[[Path], Finding], expected: tuple[str, str]) -> None:
    assert gravest(look(data)) == expected


def test_the_far_side_of_messages() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gateway:
        port = gateway.getsockname()[1]
        both = Settings(sms_url=f"http://127.0.0.1:{port}/send", mail_url=f"smtp://127.0.0.1:{port}")
        assert [each.code for each in doctor.check_messages(both)] == ["sms_reached", "mail_reached"]
    assert gravest(doctor.check_messages(both)) == ("bad", "sms_unreachable")
    mail = doctor.check_messages(Settings(mail_url=f"smtp://127.0.0.1:{port}"))
    assert [each.code for each in mail] == ["messages_printed", "mail_unreachable"]
    for finding in mail:
        assert all(doctor_words.words_of(finding, language)[1] for language in ("zh", "en"))


async def test_the_font_of_the_machine_comes_first(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "NotoSansCJK-Regular.ttc").touch()
    assert doctor.check_fonts([tmp_path], "no-such-package").data == {"font": "NotoSansCJK-Regular.ttc"}


async def test_a_database(town: Town, database: Any, ledger_database: Any, data: Path) -> None:
    settings = replace(town.bank.settings, data=data)
    now = doctor.FIRST_DAY.now(tz=doctor.UTC)

    async def look(url: str, settings: Settings = settings) -> list[Finding]:
        return await doctor.check_database(settings, url, now)

    # These keys did not write the town's rows.
    assert gravest(await look(database.service_url)) == ("bad", "keys_do_not_fit")
    town.bank.keys.save(data / "keys.json")
    found = await look(database.service_url)
    assert [each.code for each in found] == ["database_ok", "clocks_agree", "schema_ok", "keys_fit"]
    assert found[0].data["role"] == "timebank"
    for url, code in (
        (f"{database.service_url}&synchronous_commit=off", "not_durable"),
        (database.owner_url, "role_too_mighty"),
        (database.service_url.replace("port=", "port=1"), "database_unreachable"),
        (ledger_database.service_url, "schema_not_current"),
    ):
        assert gravest(await look(url)) == ("bad", code)
    # Without keys, which was said before where the database is the bank's own as well.
    (data / "keys.json").unlink()
    assert gravest(await look(database.service_url)) == ("bad", "keys_missing")
    (data / "postgres").mkdir()
    assert [each.code for each in await look(database.service_url)][-1] == "schema_ok"

    engine = create_engine(database.owner_url)
    async with engine.connect() as connection:
        await connection.execute(text("INSERT INTO alembic_version VALUES ('bank_2099_01_01_later')"))
        assert gravest(await doctor.check_other_schema(connection)) == ("bad", "schema_newer")
        await connection.rollback()
    await engine.dispose()


# The command.


def run(data: Path, *arguments: str, **more: str) -> Result:
    environment = {"TIMEBANK_DATA": str(data), "LC_ALL": "zh_CN.UTF-8", **more}
    return CliRunner().invoke(main, ["doctor", *arguments], env=environment)


def test_on_a_fresh_machine_nothing_is_bad_and_nothing_is_made(tmp_path: Path) -> None:
    result = run(tmp_path / "data")
    assert result.exit_code == 0, result.output
    assert "还没有数据库。" in result.output
    assert "正常" in result.output
    assert "database_fresh" in result.output
    assert not (tmp_path / "data").exists()


def test_what_is_bad_ends_with_status_1_and_says_how_to_mend_it(data: Path, database: Any) -> None:
    settings = {"TIMEBANK_DATABASE_URL": database.service_url, "TIMEBANK_BOOK": "2000000000"}
    result = run(data, **settings)
    assert result.exit_code == 0, result.output
    (data / "keys.json").chmod(0o644)
    result = run(data, "--language", "en", **settings)
    assert result.exit_code == 1
    assert f"Run chmod 600 {data / 'keys.json'}  (keys_readable_by_others)" in result.output
    found = json.loads(run(data, "--json", **settings).output)
    assert {"ok", "bad"} <= {each["state"] for each in found}
    assert run(data, TIMEBANK_WORKERS="many").exit_code == 1
    assert "TIMEBANK_WORKERS" in run(data, TIMEBANK_WORKERS="many").output
    # PostgreSQL's files are there and of no version that runs here.
    (data / "postgres" / "cluster").mkdir(parents=True)
    (data / "postgres" / "cluster" / "PG_VERSION").write_text("9")
    result = run(data, "--language", "en")
    assert result.exit_code == 1
    assert "It would not start" in result.output
    assert "postgresql_other_version" in result.output


def test_what_runs_on_the_local_network_is_looked_at_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["192.168.1.5", "localhost", "127.0.0.1"]
    monkeypatch.setattr(certificates, "names_of_machine", lambda: names)
    certificates.ensure(tmp_path, names, datetime.now(UTC), anew=True)
    found = {each["code"] for each in json.loads(run(tmp_path, "--lan", "--json").output)}
    assert {"address_ok", "certificate_ok"} <= found
    monkeypatch.setattr(certificates, "names_of_machine", lambda: ["localhost"])
    assert "network_missing" in run(tmp_path, "--lan").output


def test_root_leaves_nothing_in_the_directory_of_another_account(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid() == 0:
        os.chown(data, 65533, 65533)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    (data / "postgres" / "cluster").mkdir(parents=True)
    result = run(data, "--json")
    assert result.exit_code == 1
    assert [each["code"] for each in json.loads(result.output)] == ["settings_ok", "data_directory_closed"]
    environment = {"TIMEBANK_DATA": str(data)}
    result = CliRunner().invoke(main, ["keys", "rotate"], env=environment)
    assert result.exit_code == 1
    assert "put sudo -u " in result.output
    result = CliRunner().invoke(main, ["keys", "rotate"], env={**environment, "TIMEBANK_WORKERS": "many"})
    assert "bad_setting" in result.output


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LC_MESSAGES": "zh_CN", "LANG": "en_GB"}, "zh"),
    ],
)
def test_the_language_is_the_terminals(environment: dict[str, str], language: str) -> None:
    assert command.language_of(environment) == language


def test_every_finding_has_words_in_both_languages() -> None:
    source = Path(doctor.__file__).read_text(encoding="utf-8")
    named = set(re.findall(r'Finding\(\s*"\w+",\s*"\w+",\s*"(\w+)"', source))
    assert len(named) > 10
    assert named - set(doctor_words.WORDS) == set()
    assert set(re.findall(r'Finding\(\s*"(\w+)"', source)) <= set(doctor_words.SUBJECTS)
    for code, words in doctor_words.WORDS.items():
        assert bool(words.mend_zh) == bool(words.mend_en), code
        names = [set(re.findall(r"\{(\w+)\}", part)) for part in (words.zh, words.en)]
        assert names[0] == names[1], code
        assert re.search(r"[\u4e00-\u9fff]", words.zh)
        assert not re.search(r"[\u4e00-\u9fff]", words.en + words.mend_en)
