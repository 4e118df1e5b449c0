"""A community's first week: from an empty directory over its own spreadsheets to a bank restored on another machine.

Commands are those that an operator types; volunteers and managers come over HTTP, to the app itself. Monday to Friday
pass by a clock that the story moves.
"""

import asyncio
import json
import re
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from api.commands import imports as import_commands
from tests.api.people import Person
from tests.directories import short_directory
from tests.stories import brought
from tests.stories.brought import COMMUNITIES, STATIONS, VOLUNTEERS, name_of, phone_of
from tests.stories.week import PASSWORD, Machine, Week, command, good
from timebank import backups, erasure_list, members
from timebank.clock import system_clock
from timebank.database import create_engine
from timebank.ids import uuid7
from timebank.keys import Keys
from timebank.settings import Settings

ADMIN, SECOND_ADMIN = "13900000001", "13900000002"
MANAGERS = ("13900000011", "13900000012", "13900000013")
# Who takes part in the week; the others are on the list, and do not come.
CAME = 300
AT_ONCE = 10
FORGETFUL, SLIP, GONE = 299, 310, 20
FUND_POINTS = 1_000_000
OPENING_POINTS = 99 * 50 + 100


def station_of(number: int) -> int:
    """The number of the station where a volunteer serves."""
    return 1 + number % len(STATIONS)


def home_of(number: int) -> int:
    """The number of the station in the community where a volunteer lives."""
    return 1 + COMMUNITIES.index(brought.community_of(number))


def test_a_community_is_live_in_a_week_and_comes_back_on_another_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_commands.console, "width", 200)
    files = brought.files(tmp_path)
    with short_directory() as place:
        data, other = place / "old-pc", place / "new-pc"
        command(data, "doctor", "--language", "en")
        with Machine.start(data) as machine:
            set_up(machine, files)
            bring_along(machine, files, tmp_path)
            copy, keys = live_through(machine, place)
            with Machine.start(other) as restored:
                restored.types("keys", "restore", keys)
                come_back(machine, restored, copy)


# Monday: the book, who looks after it, what the community has.


def set_up(machine: Machine, files: brought.Brought) -> None:
    """A schema, a city, a fund and two administrators; the doctor finds nothing wrong."""
    machine.types("migrate")
    assert "1 regions added" in machine.types("book", "create", "--name", "南昌市", "--regions", files.city)
    machine.types(
        "fund", "add", "--name-zh", brought.FUND, "--name-en", "Love fund", "--region", "360100000000",
        "--points", FUND_POINTS,
    )  # fmt: skip
    for phone in (ADMIN, SECOND_ADMIN):
        machine.types("user", "add", "--name", "社区管理员", "--phone", phone, "--password", PASSWORD)
        machine.types("grant", "admin", "--phone", phone, "--region", "360100000000")
    found = {each["code"] for each in json.loads(machine.types("doctor", "--json")) if each["state"] == "bad"}
    assert not found


def bring_along(machine: Machine, files: brought.Brought, place: Path) -> None:
    """Every list is tried, imported, and imported again; what is wrong is said row by row, and keeps no other out."""
    for kind, file, more, expected in (
        ("regions", files.tree, (), {"added": 58, "same": 1, "left": 1, "refused": 0}),
        ("stations", files.workbook, ("--sheet", "服务站"), {"added": 3, "same": 1, "left": 0, "refused": 1}),
        ("members", files.workbook, ("--sheet", "志愿者"), {"added": VOLUNTEERS, "same": 1, "left": 1, "refused": 4}),
        ("cards", files.workbook, ("--sheet", "志愿者"), {"added": VOLUNTEERS, "same": 1, "left": 1, "refused": 4}),
        (
            "hours",
            files.workbook,
            ("--sheet", "服务时长"),
            {"added": brought.HOURS, "same": 0, "left": 0, "refused": 5},
        ),
        ("points", files.workbook, ("--sheet", "积分"), {"added": brought.POINTS, "same": 0, "left": 0, "refused": 1}),
    ):
        report = place / f"{kind}.csv"
        words = ("import", kind, file, *more, "--language", "en", "--report", report)
        words += ("--as", ADMIN) if kind in ("hours", "points") else ()
        again = {**expected, "added": 0, "same": expected["added"] + expected["same"]}
        for how, counts in ((("--dry-run",), expected), ((), expected), ((), again)):
            said = command(machine.data, *words, *how, status=1 if expected["refused"] else 0)
            assert counted(said) == counts, (kind, how, said)
            assert ("Nothing was written" in said) == bool(how)
            states = Counter(line.split(",")[1] for line in report.read_text(encoding="utf-8-sig").splitlines()[1:])
            assert states == Counter(counts)
    wrong = (place / "members.csv").read_text(encoding="utf-8-sig")
    for code in ("unreadable,phone", "unreadable,name", "region_unknown,region", "invalid,phone"):
        assert code in wrong
    for number, phone in enumerate(MANAGERS, 1):
        machine.types(
            "user", "add", "--name", f"{COMMUNITIES[number - 1][:2]}站长", "--phone", phone, "--password", PASSWORD
        )
        machine.types("grant", "manager", "--phone", phone, "--station", number)


def counted(said: str) -> dict[str, int]:
    """The sums under an import."""
    found = re.search(r"added ([\d,]+), there already ([\d,]+), left out ([\d,]+), refused ([\d,]+)", said)
    assert found, said
    names = ("added", "same", "left", "refused")
    return {name: int(number.replace(",", "")) for name, number in zip(names, found.groups(), strict=True)}


# Tuesday to Friday, and the month after.


def live_through(machine: Machine, place: Path) -> tuple[Path, Path]:
    """The week itself; answers a copy of the database from before somebody was erased, and one of the keys."""
    copy, keys = place / "bank.dump", place / "keys-copy.json"
    zone = Settings(data=machine.data).time_zone
    today = system_clock().astimezone(zone).date()
    monday = datetime.combine(today + timedelta(days=7 - today.weekday()), time(9), zone)
    certificate = asyncio.run(serve_a_month(machine, monday))
    # A copy is made in the night, before somebody asks to be forgotten.
    machine.types("backup", copy)
    machine.types("keys", "backup", "--plain", keys)
    asyncio.run(forget(machine, monday + timedelta(days=40), certificate))
    return copy, keys


async def serve_a_month(machine: Machine, monday: datetime) -> str:
    """From the first slip to the first report; answers the code of a certificate."""
    async with Week.begin(machine, monday) as week:
        people = await week.members()
        assert len(people) == VOLUNTEERS
        managers = [await week.sign_in(phone) for phone in MANAGERS]
        await activate(week, managers, people)
        await week.let_in({number: people[number] for number in range(CAME)})
        await serve(week, managers)
        await verify(week, managers)
        # At the beginning of another month, and whoever was signed in has to sign in again.
        week.watch.now = monday + timedelta(days=33)
        managers = [await week.sign_in(phone) for phone in MANAGERS]
        await close_the_month(week, managers, monday)
        return await certify(week, managers, people)


async def activate(week: Week, managers: Sequence[Person], people: dict[int, UUID]) -> None:
    """Who gets no message is handed a slip, and chooses a password with it, once."""
    manager, other = managers[home_of(SLIP) - 1], managers[home_of(SLIP) - 2]
    refused = await other.send(f"/api/v1/members/{people[SLIP]}/activation-codes", {})
    assert refused.json()["code"] == "not_found"
    slip = await good(manager, f"/members/{people[SLIP]}/activation-codes", {})
    body = {"phone": phone_of(SLIP), "paper": slip["text"].lower(), "password": "seven swallows in spring"}
    member = week.stranger()
    wrong = await member.send("/api/v1/activations", {**body, "paper": "0000 0000 0000"})
    assert (wrong.status_code, wrong.json()["code"]) == (401, "sign_in_refused")
    assert (await member.send("/api/v1/activations", body)).status_code == 201
    me = await good(await week.sign_in(phone_of(SLIP), body["password"]), "/me")
    assert me["name"] == name_of(SLIP)
    assert (await week.stranger().send("/api/v1/activations", body)).status_code == 401


async def serve(week: Week, managers: Sequence[Person]) -> None:
    """Three hundred people come, some at a time, and go two hours later; one forgets to check out."""
    for path, expected in (("check-ins", CAME), ("check-outs", CAME - 1)):
        done = 0
        for start in range(0, CAME, AT_ONCE):
            shown = {station: await screen(managers[station - 1], station) for station in range(1, 1 + len(STATIONS))}
            coming = [n for n in range(start, start + AT_ONCE) if path == "check-ins" or n != FORGETFUL]
            answers = await asyncio.gather(*(week.scan(n, path, shown[station_of(n)]) for n in coming))
            assert {answer.status_code for answer in answers} <= {201, 202}, [each.text for each in answers]
            done += len(answers)
            week.watch.move(seconds=45)
        assert done == expected
        week.watch.move(hours=2)
    # What a screen showed an hour ago opens nothing.
    stale = shown[1]
    week.watch.move(hours=1)
    assert (await week.scan(0, "check-ins", stale)).json()["code"] == "code_expired"


async def screen(manager: Person, station: int) -> str:
    """The code that a station's screen shows now."""
    return str((await good(manager, f"/stations/{station}/codes"))["codes"][0]["code"])


async def verify(week: Week, managers: Sequence[Person]) -> None:
    """On the next day each manager ticks what is clear, and looks at the rest."""
    week.watch.move(days=1)
    settled = await week.jobs.turn()
    assert settled["close_forgotten"] == 1
    for manager in managers:
        waiting = (await good(manager, "/queue?limit=100"))["records"]
        assert len(waiting) == CAME // len(STATIONS)
        ticks = [{"id": manager.new_id(), "record_id": row["id"]} for row in waiting if row["clear"]]
        assert len(ticks) > len(waiting) // 2
        answers = (await good(manager, "/decisions/bulk", {"decisions": ticks}))["answers"]
        assert {answer["code"] for answer in answers} == {"ok"}
        for row in waiting:
            if not row["clear"]:
                decision = {"id": manager.new_id(), "record_id": row["id"], "verdict": "verify"}
                if "unconfirmed" in row["holds"]:
                    decision |= {"verdict": "adjust", "minutes": 120, "reason": "站长在场"}
                await good(manager, "/decisions", decision)
        assert not (await good(manager, "/queue"))["records"]


async def close_the_month(week: Week, managers: Sequence[Person], monday: datetime) -> None:
    """When the month is over, nothing is left to do by itself, and each station reports what was served."""
    await week.jobs.turn()
    assert not any((await week.jobs.turn()).values())
    for station, manager in enumerate(managers, 1):
        report = await good(manager, f"/stations/{station}/report?month={monday:%Y-%m}")
        assert (report["people"], report["records"], report["decided"]) == (100, 100, 100)
        assert report["states"]["verified"] == 100
        assert report["minutes"] >= 100 * 120
        assert report["points"] > 0


async def certify(week: Week, managers: Sequence[Person], people: dict[int, UUID]) -> str:
    """A certificate over hours brought along and hours served; whoever holds the paper checks it without an account."""
    manager = managers[home_of(GONE) - 1]
    issued = await good(manager, "/certificates", {"id": manager.new_id(), "member_id": str(people[GONE])})
    code = issued["code"].rpartition("/")[2]
    checked = await good(week.stranger(), f"/certificate-checks/{code}")
    assert (checked["name"], checked["stands"], checked["minutes"]) == (name_of(GONE), True, issued["minutes"])
    # Two services of two hours from the list, and one by the station's own code.
    assert checked["grades"]["D"] == 240
    assert checked["grades"]["A"] >= 120
    return code


async def forget(machine: Machine, now: datetime, certificate: str) -> None:
    """Somebody asks to be erased, and an administrator does it; what they did still counts, and says of nobody."""
    async with Week.begin(machine, now) as week:
        id = (await week.members())[GONE]
        await week.let_in({GONE: id})
        asked = await week.send(GONE, "me/erasure-request", {"id": str(uuid7(now))})
        assert asked.status_code == 201, asked.text
        admin = await week.sign_in(SECOND_ADMIN)
        assert [each["member_id"] for each in (await good(admin, "/erasures"))["erasures"]] == [str(id)]
        await good(admin, f"/members/{id}/erasure", {"id": admin.new_id()})
        checked = await good(week.stranger(), f"/certificate-checks/{certificate}")
        assert (checked["name"], checked["records"]) == (None, [])


# Another machine.


def come_back(old: Machine, new: Machine, copy: Path) -> None:
    """The copy is restored, who was erased since is erased again, and the book is what it was, to the last balance."""
    said = new.types("restore", copy, "--erasures", old.data / erasure_list.NAME)
    assert "1 people erased again" in said
    assert "passes" in said
    assert "passes" in new.types("audit")

    async def look(machine: Machine) -> tuple[Any, Any, Any]:
        engine = create_engine(machine.server.service_url)
        keys = Keys.load(machine.data / "keys.json")
        try:
            async with engine.connect() as connection:
                proof = await backups.prove(connection, 1)
            async with engine.connect() as connection:
                gone = await members.by_phone(connection, 1, keys, phone_of(GONE))
                stays = await members.by_phone(connection, 1, keys, phone_of(SLIP))
                return proof, gone, await members.personal(connection, 1, keys, stays.id)
        finally:
            await engine.dispose()

    there, here = asyncio.run(look(old)), asyncio.run(look(new))
    assert here == there
    proof, gone, personal = here
    assert proof.passed
    assert proof.transfers > CAME + brought.HOURS
    assert gone is None
    assert personal["name"] == name_of(SLIP)
    # And one can go on: the password that was chosen with a slip is good here.
    asyncio.run(sign_in_again(new))


async def sign_in_again(machine: Machine) -> None:
    """The member with the slip opens the statement on the new machine."""
    async with Week.begin(machine, system_clock() + timedelta(days=60)) as week:
        member = await week.sign_in(phone_of(SLIP), "seven swallows in spring")
        assert (await good(member, "/balance"))["minutes"] == 240
