"""Every `timebank` command as an operator types it: the real command line, on real directories."""

import asyncio
import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from api import serving
from tests.service.callers import DEMO, Caller
from tests.service.operator import done, refused, typed
from tests.service.processes import (
    ROOT,
    SELF,
    Service,
    Supervised,
    ask,
    environment,
    free_port,
    is_ready,
    timebank,
    wait_until,
)
from timebank import postgres
from timebank.keys import Keys
from timebank.settings import Settings

REGIONS = """code,name,level,parent,name_en
360100000000,南昌市,city,,Nanchang
360102000000,东湖区,district,360100000000,Donghu
360102002000,百花洲街道,street,360102000000,Baihuazhou
360102002005,状元桥社区,community,360102002000,Zhuangyuanqiao
"""


# The city.


@pytest.fixture
def regions(place: Path) -> Path:
    path = place / "regions.csv"
    path.write_text(REGIONS, encoding="utf-8-sig")
    return path


def station(**more: object) -> list[object]:
    """The arguments that open a station."""
    values = {
        "name-zh": "状元桥站",
        "name-en": "Zhuangyuanqiao",
        "region": "360102002005",
        "address": "状元桥 1 号",
        "organising-unit": "状元桥社区",
        "person-in-charge": "周负责",
        **more,
    }
    return ["station", "add", *(word for name, value in values.items() for word in (f"--{name}", value))]


def test_a_city_is_set_up_while_the_bank_serves(own_data: Path, regions: Path) -> None:
    with Service.start(own_data) as service:
        service.hear("The book is empty. Create the city: timebank book create")
        refused("book_missing", "user", "add", "--name", "林一", "--phone", "13900000011", data=own_data)
        create = ["book", "create", "--name", "南昌", "--regions", regions]
        assert "4 regions added." in typed(*create, data=own_data)
        assert "0 regions added." in done(*create, data=own_data)
        refused("conflict", "book", "create", "--name", "别处", "--regions", regions, data=own_data)

        fund = ["fund", "add", "--name-zh", "基金", "--name-en", "Fund", "--region", "360100000000"]
        said = typed(*fund, "--points", "5000", data=own_data)
        assert "with 5000 points." in said
        refused("not_found", *fund[:-1], "999999999999", data=own_data)

        assert "Station number 1." in typed(*station(), data=own_data)
        assert "Station number 2." in done(*station(fund=said.split()[1]), data=own_data)
        refused("no_such_kind", *station(kind="no_such_kind"), data=own_data, status=2)

        add = ["user", "add", "--name", "林一", "--phone", "13900000011", "--password", "four herons over the lake"]
        assert "Member " in typed(*add, data=own_data)
        refused("phone_taken", *add, data=own_data)
        refused("password_weak", *add[:-3], "13900000012", "--password", "12345678", data=own_data)
        # Asked for, so that it is in no history.
        secret = "six swans over the lake\n"
        done(*add[:-3], "13900000012", "--password", data=own_data, text=secret * 2)

        role = ["grant", "manager", "--phone", "13900000011", "--station", "1"]
        assert "Role " in typed(*role, data=own_data)
        refused("not_found", "grant", "manager", "--phone", "13900000099", "--station", "1", data=own_data)
        refused("not_found", "grant", "manager", "--phone", "13900000011", "--station", "9", data=own_data)
        refused("invalid", "grant", "manager", "--phone", "13900000011", data=own_data)

        with Caller(service.address, "+8613900000011", "four herons over the lake") as manager:
            (seen,) = manager.get("/stations")["stations"]
            assert (seen["number"], seen["name_zh"]) == (1, "状元桥站")
        with Caller(service.address, "13900000012", "six swans over the lake") as member:
            assert member.get("/balance")["points"] == 0
        assert "passes" in typed("audit", data=own_data)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("code,name\n1,2\n", "invalid"),
        ("code,name,level,parent\n36,南昌市,city,\n", "invalid"),
        ("".join(line for line in REGIONS.splitlines(keepends=True) if ",street," not in line), "invalid"),
    ],
)
def test_a_broken_list_of_regions_creates_nothing(own_data: Path, place: Path, text: str, code: str) -> None:
    path = place / "broken.csv"
    path.write_text(text, encoding="utf-8")
    refused(code, "book", "create", "--name", "南昌", "--regions", path, data=own_data)
    refused("book_missing", "audit", data=own_data)


def test_the_demo_city_needs_an_empty_book(own_data: Path, regions: Path) -> None:
    done("book", "create", "--name", "南昌", "--regions", regions, data=own_data)
    refused("book_not_empty", "demo", "load", data=own_data)


def test_a_database_that_is_not_migrated_is_said_to_be_so(place: Path) -> None:
    data = place / "data"
    for command in (["audit"], ["demo", "load"], ["user", "add", "--name", "林", "--phone", "13900000011"]):
        refused("schema_not_current", *command, data=data)
    said = done("migrate", "--branch", "ledger", data=data)
    assert said.splitlines() == ["Migrating: ledger_2026_11_24_book …", "The schema is current."]
    refused("schema_not_current", "audit", data=data)
    assert "Migrating: bank_" in done("migrate", data=data)
    assert done("migrate", data=data) == "The schema is current.\n"
    refused("book_missing", "audit", data=data)


# The proof, and a way in.


def test_an_audit_passes_until_somebody_tampers(demo_data: Path) -> None:
    said = done("audit", data=demo_data)
    assert "Book 1 passes" in said
    report = json.loads(done("audit", "--json", data=demo_data))
    assert (report["book_id"], report["passed"], report["findings"]) == (1, True, [])
    assert report["transfers"] > 100
    refused("book_missing", "audit", data=demo_data, book=2)

    # The owner of the machine can do everything but go unnoticed.
    with Supervised.start(demo_data) as supervised:
        url = supervised.said["superuser_url"].replace("/postgres?", "/timebank?")
        statements = (
            "ALTER TABLE ledger.account DISABLE TRIGGER ALL",
            "UPDATE ledger.account SET balance = balance + 1000 WHERE kind = 'purse' AND balance > 0",
            "ALTER TABLE ledger.account ENABLE TRIGGER ALL",
            "SELECT 1",
        )
        asyncio.run(ask(url, *statements))
        # Also while a service is at work there.
        result = timebank("audit", data=demo_data)
        assert result.returncode == 1
        assert "Book 1 does not pass" in result.stdout
    result = timebank("audit", "--json", data=demo_data)
    assert result.returncode == 1
    report = json.loads(result.stdout)
    assert not report["passed"]
    assert report["findings"]


def test_psql_opens_the_banks_database(own_data: Path) -> None:
    query = ["-Atc", "SELECT current_user || ' ' || current_database()"]
    assert typed("psql", *query, data=own_data) == "timebank timebank\n"
    assert typed("psql", "--owner", *query, data=own_data) == "timebank_owner timebank\n"
    assert timebank("psql", "-c", "SELECT 1 / 0", data=own_data).returncode == 1
    assert typed("psql", "-At", data=own_data, text="SELECT 'typed';\n") == "typed\n"


def test_an_interrupted_query_leaves_psql_to_say_so(own_data: Path) -> None:
    process = subprocess.Popen(
        SELF.command("api.cli", "psql", "-c", "SELECT pg_sleep(600) AS asleep"),
        env=environment(own_data),
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    query = "SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND query LIKE 'SELECT pg_sleep(600)%'"
    wait_until(lambda: is_ready(own_data), "PostgreSQL runs")
    wait_until(lambda: typed("psql", "-Atc", query, data=own_data) == "1\n", "psql is at work")
    # As Ctrl-C at a terminal does: to everybody in the foreground.
    os.killpg(process.pid, signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert (process.returncode, "canceling statement due to user request" in said) == (1, True), said
    assert not (own_data / "postgres" / "cluster" / "postmaster.pid").exists()


def test_without_a_command_the_commands_are_listed(place: Path) -> None:
    said = timebank("--help", data=place / "data").stdout
    for command in ("run", "migrate", "audit", "psql", "backup", "restore", "keys", "book", "fund", "station", "grant"):
        assert f"\n  {command} " in said
    assert "docs/reference/settings.md" in said
    assert timebank("no-such-command", data=place / "data").returncode == 2
    assert not (place / "data").exists()


def test_a_newer_schema_is_refused_before_anything_is_copied(own_data: Path) -> None:
    newer = "UPDATE alembic_version SET version_num = 'bank_2099_01_01_later'"
    typed("psql", "--owner", "-c", newer, data=own_data)
    for command in (["migrate"], ["run"]):
        refused("schema_newer", *command, data=own_data, port=free_port())
    assert not (own_data / "backups").exists()


# What does not start says why, in one sentence.


def test_a_wrong_setting_is_named_and_not_repeated(place: Path) -> None:
    said = refused("bad_setting", "run", data=place / "data", workers="many")
    assert "TIMEBANK_WORKERS" in said
    assert "many" not in said
    said = refused("bad_setting", "run", data=place / "data", migration_url="postgresql://u:secret@h/d")
    assert "TIMEBANK_DATABASE_URL" in said
    assert not (place / "data").exists()


def test_a_port_that_is_taken_is_said_to_be_before_anything_starts(own_data: Path) -> None:
    with Service.start(own_data) as service:
        said = refused("port_taken", "run", data=own_data.with_name("other"), port=service.port)
        assert f"port {service.port}" in said
        assert not own_data.with_name("other").exists()
        # A second service on the same directory says who holds it.
        said = refused("data_directory_in_use", "run", data=own_data, port=free_port())
        assert f"process {service.process.pid}," in said


def test_a_demo_is_not_shown_to_the_world(own_data: Path) -> None:
    everywhere = ".".join("0000")
    refused("demo_exposed", "run", "--demo", data=own_data, host=everywhere, port=free_port())
    refused("demo_exposed", "run", data=own_data, demo=1, host=everywhere, port=free_port())
    # Unless its operator says so.
    serving.refuse_exposed_demo(Settings(demo=True, host=everywhere, demo_exposed=True))
    with Service.start(own_data, "--demo") as service:
        service.hear("A demo: anybody who can open the page can sign in.")
        for phone, password in DEMO.values():
            assert phone in service.words
            assert password in service.words


def test_a_database_of_ones_own_is_checked_before_it_is_served_from(own_data: Path, place: Path) -> None:
    elsewhere = place / "elsewhere"
    with postgres.EmbeddedPostgres(own_data, options={"shared_buffers": "16MB"}) as server:
        urls = {"data": elsewhere, "port": free_port(), "database_url": server.service_url}
        with Service.start(elsewhere, database_url=server.service_url):
            assert not (elsewhere / "postgres").exists()
        refused("migration_url_missing", "migrate", **urls)
        refused("migration_url_missing", "backup", place / "bank.dump", **urls)
        assert typed("psql", "-Atc", "SELECT current_user", **urls) == "timebank\n"
        refused("role_too_mighty", "run", **{**urls, "database_url": server.owner_url})

        typed("psql", "--owner", "-c", "DROP SCHEMA timebank CASCADE; DROP TABLE alembic_version", data=own_data)
        said = refused("schema_not_current", "run", **urls)
        assert "TIMEBANK_MIGRATION_URL" in said
        refused("schema_not_current", "user", "add", "--name", "林", "--phone", "13900000011", **urls)
    said = refused("database_unreachable", "run", **urls)
    refused("database_unreachable", "audit", **urls)
    refused("database_unreachable", "user", "add", "--name", "林", "--phone", "13900000011", **urls)
    assert server.passwords["timebank"] not in said


def test_a_migration_url_is_used_for_migrating_alone(own_data: Path, place: Path) -> None:
    elsewhere = place / "elsewhere"
    with postgres.EmbeddedPostgres(own_data, options={"shared_buffers": "16MB"}) as server:
        urls = {"database_url": server.service_url, "migration_url": server.owner_url}
        typed(
            "psql",
            "--owner",
            "-c",
            "DROP SCHEMA timebank CASCADE; DROP SCHEMA ledger CASCADE; DROP TABLE alembic_version",
            data=own_data,
        )
        with Service.start(elsewhere, **urls) as service:
            assert "Migrating: bank_" in service.words
            query = (
                "SELECT count(*) FILTER (WHERE usename <> 'timebank') FROM pg_stat_activity WHERE datname = 'timebank'"
            )
            assert typed("psql", "-Atc", query, data=elsewhere, **urls) == "0\n"


def test_files_that_cannot_be_used_end_in_a_sentence(own_data: Path, place: Path) -> None:
    (own_data / "keys.json").unlink(missing_ok=True)
    (own_data / "keys.json").mkdir(mode=0o700)
    refused("machine_refuses", "keys", "show", data=own_data)
    (own_data / "keys.json").rmdir()
    Keys.load_or_create(own_data / "keys.json")
    (own_data / "keys.json").chmod(0o644)
    refused("keys_readable_by_others", "run", data=own_data, port=free_port())
    (place / "file").write_text("")
    refused("machine_refuses", "run", data=place / "file" / "data", port=free_port())
    if os.geteuid() != 0 or SELF.prefix:
        (place / "closed").mkdir(mode=0o500)
        refused("machine_refuses", "keys", "backup", "--plain", place / "closed" / "keys.json", data=own_data)
