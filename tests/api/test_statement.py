"""Statements over HTTP: by period, for paper, as a table, for programs, and what of them a manager sees."""

import csv
import io
import re
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select

from api import csv_file
from api.pages import statement
from tests.api.people import Person, Town, problem
from tests.earning import correct, redeem, served, verified, verify
from timebank.tables import audit_entry


async def credited(town: Town, person: Person, minutes: int = 120, **more: Any) -> UUID:
    """A verified record of somebody, which began just now."""
    assert person.member_id
    async with town.bank.engine.begin() as connection:
        return await verified(connection, town.city, person.member_id, town.watch.now, minutes, **more)


async def a_life(town: Town, person: Person) -> list[UUID]:
    """Two services in March, of which one is corrected, and one in April; a reward in between. Answers the records."""
    made = [await credited(town, person, 120)]
    town.watch.move(days=1)
    async with town.bank.engine.begin() as connection:
        assert (await correct(connection, town.city, made[0], 90, town.watch.now)).code == "ok"
        reward_id = await town.city.add_reward(connection, price_points=50, name_zh="大米", name_en="=Rice")
    town.watch.move(days=1)
    made.append(await credited(town, person, 30))
    town.watch.move(days=29)
    async with town.bank.engine.begin() as connection:
        assert person.member_id
        assert (await redeem(connection, town.city, person.member_id, reward_id, town.watch.now)).code == "ok"
    made.append(await credited(town, person, 60))
    town.watch.move(days=1)
    # Whoever was signed in is not any more.
    await person.sign_in(town.city, person.member_id)
    return made


def table(answer: httpx.Response) -> list[list[str]]:
    """The rows of a CSV file, as Excel reads them."""
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.content.startswith(b"\xef\xbb\xbf")
    return list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"), newline="")))


async def test_a_program_asks_for_a_period(town: Town) -> None:
    person = await town.volunteer()
    await a_life(town, person)
    whole = (await person.get("/api/v1/statement")).json()
    assert (whole["opening"], whole["closing"]) == (0, 130)
    assert sum(line["amount"] for line in whole["lines"]) == 130
    march = (await person.get("/api/v1/statement?since=2026-03-01&until=2026-03-31")).json()
    assert (march["opening"], march["closing"]) == (0, 120)
    assert sorted(line["amount"] for line in march["lines"]) == [-120, 30, 90, 120]
    april = (await person.get("/api/v1/statement?since=2026-04-01")).json()
    assert (april["opening"], april["closing"]) == (120, 130)
    assert sorted(line["amount"] for line in april["lines"]) == [-50, 60]
    minutes = (await person.get("/api/v1/statement?unit=minute&until=2026-03-31")).json()
    assert (minutes["opening"], minutes["closing"]) == (0, 120)
    first = (await person.get("/api/v1/statement?since=2026-04-01&limit=1")).json()
    rest = (await person.get(f"/api/v1/statement?since=2026-04-01&cursor={first['following']}")).json()
    assert first["lines"] + rest["lines"] == april["lines"]
    assert rest["following"] is None


async def test_old_lines_tell_their_own_numbers(town: Town) -> None:
    person = await town.volunteer()
    made = await a_life(town, person)
    lines = (await person.get("/api/v1/statement?until=2026-03-03")).json()["lines"]
    told = {
        (line["kind"], line["amount"]): (line["credited_minutes"], line["correction"] and line["correction"]["id"])
        for line in lines
    }
    (correction_id,) = {line["record"]["correction_id"] for line in lines}
    assert told == {
        ("earn_points", 120): (120, None),
        ("reverse", -120): (90, correction_id),
        ("earn_points", 90): (90, correction_id),
    }
    for line in lines:
        assert (line["record"]["id"], line["record"]["credited_minutes"]) == (str(made[0]), 90)
        assert (line["policy_number"], bool(line["verified_by"]), bool(line["verified_at"])) == (1, True, True)
        assert [punch["kind"] for punch in line["punches"]] == ["in", "out"]


@pytest.mark.parametrize(
    ("query", "field", "reason"),
    [
        ("since=2026-02-30", "since", "type"),
        ("since=20260301", "since", "type"),
        ("until=yesterday", "until", "type"),
        ("until=2026-03-01T00:00:00Z", "until", "type"),
        ("since=٢٠٢٦-٠٣-٠١", "since", "type"),
        ("since=1999-12-31", "since", "range"),
        ("until=9999-12-31", "until", "range"),
        ("since=2026-03-02&until=2026-03-01", "until", "before_start"),
        ("unit=hour", "unit", "unknown"),
    ],
)
async def test_what_is_no_period_is_refused_everywhere(town: Town, query: str, field: str, reason: str) -> None:
    person = await town.volunteer()
    answer = await person.get(f"/api/v1/statement?{query}")
    assert problem(answer) == (422, "invalid")
    assert (answer.json()["data"]["field"], answer.json()["data"]["reason"]) == (field, reason)
    if field != "unit":
        for path in ("/statement", "/statement/print", "/statement.csv"):
            refused = await person.get(f"{path}?{query}")
            assert refused.status_code == 422
            # By what it is called in the form, and not by its own name.
            assert {"since": "起始日期", "until": "截止日期"}[field] in refused.text


async def test_the_page_shows_a_period_from_one_balance_to_the_other(town: Town) -> None:
    person = await town.volunteer()
    await a_life(town, person)
    page = (await person.get("/statement?since=2026-04-01&until=2026-04-30")).text
    assert re.search(r"期初余额</dt><dd>120</dd><dt>期末余额</dt><dd>130</dd>", page)
    assert page.count("查看来历") + page.count("查看去向") == 2
    assert 'href="/statement/print?unit=point&amp;since=2026-04-01&amp;until=2026-04-30"' in page
    # Today is 3 April.
    for words, since, until in (
        ("本月", "2026-04-01", "2026-04-30"),
        ("上月", "2026-03-01", "2026-03-31"),
        ("今年", "2026-01-01", "2026-12-31"),
    ):
        chosen = ' aria-current="page"' if words == "本月" else ""
        assert f'href="/statement?unit=point&amp;since={since}&amp;until={until}"{chosen}>{words}</a>' in page
    empty = (await person.get("/statement?since=2026-05-01")).text
    assert "此时段没有往来" in empty
    # Days that cannot be stand in the form as they were typed, and the page says what is wrong with them.
    wrong = await person.get("/statement?since=2026-05-02&until=2026-05-01")
    assert (wrong.status_code, "时段不正确" in wrong.text, "结束早于开始" in wrong.text) == (422, True, True)
    assert 'value="2026-05-02"' in wrong.text
    assert 'value="2026-05-01"' in wrong.text
    blank = await person.get("/statement?unit=minute&since=&until=")
    assert (blank.status_code, blank.text.count("查看来历") + blank.text.count("查看去向")) == (200, 5)


async def test_the_print_view_is_the_statement_and_nothing_else(town: Town) -> None:
    person = await town.volunteer("林<一>")
    await a_life(town, person)
    page = (await person.get("/statement/print?since=2026-03-01&until=2026-03-31")).text
    assert "林&lt;一&gt;" in page
    assert page.count("data-line") == 4
    assert re.search(r"data-opening>.*?>0</td>", page)
    assert re.search(r"data-closing>.*?>120</td>", page)
    # Two scans, a verifier and the rules for each line.
    assert (page.count("签到 2026年3月"), page.count("签退 2026年3月")) == (4, 4)
    assert page.count("第 1 版") == 4
    assert "由 2小时 改为 1小时30分钟" in page
    assert "<nav" not in page
    assert 'name="csrf"' not in page


async def test_a_table_holds_numbers_as_numbers_in_the_language_of_its_reader(town: Town) -> None:
    person = await town.volunteer()
    made = await a_life(town, person)
    answer = await person.get("/statement.csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="statement-points.csv"'
    assert answer.headers["cache-control"] == "no-store"
    head, opening, *rows, closing = table(answer)
    assert head[:4] == ["日期时间", "事项", "数额", "余额"]
    assert (opening[1], opening[3], closing[1], closing[3]) == ("期初余额", "0", "期末余额", "130")
    assert all(len(row) == len(head) for row in [opening, *rows, closing])
    assert sum(int(row[2]) for row in rows) == 130
    assert [int(row[3]) for row in rows][-1] == 130
    balance = 0
    for row in rows:
        balance += int(row[2])
        assert int(row[3]) == balance
    assert {row[-2] for row in rows} == {*map(str, made), ""}
    person.client.cookies.set("language", "en")
    head, _, *rows, _ = table(await person.get("/statement.csv?unit=point&since=2026-04-01&until=2026-04-03"))
    assert head[:4] == ["Date and time", "What", "Amount", "Balance"]
    # A name that begins like a formula stays a name.
    spent = dict(zip(head, next(row for row in rows if row[2] == "-50"), strict=True))
    assert spent["Redemption"] == "'=Rice"
    earned = dict(zip(head, next(row for row in rows if row[2] == "60"), strict=True))
    assert (earned["Check-in"], earned["Check-out"]) == ("2026-04-02 09:00", "2026-04-02 10:00")
    assert (earned["Measured minutes"], earned["Credited minutes"], earned["Points rules"]) == ("60", "60", "1")


def test_no_cell_is_a_formula() -> None:
    for sign in "=+-@\t\r\n＝＋－＠":
        assert csv_file.neutral(f"{sign}1+1") == f"'{sign}1+1"
    assert [csv_file.neutral(cell) for cell in (-30, 0, None, "", "2026-03-01", "a=b")] == [
        -30,
        0,
        None,
        "",
        "2026-03-01",
        "a=b",
    ]
    assert csv_file.written([['a "b", c', -1, None]]) == '\ufeff"a ""b"", c",-1,\r\n'


async def test_what_is_too_long_says_so(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    person = await town.volunteer()
    await a_life(town, person)
    monkeypatch.setattr(statement, "TABLE_LIMIT", 2)
    monkeypatch.setattr(statement, "PRINT_LIMIT", 2)
    _, words, opening, *rows, closing = table(await person.get("/statement.csv"))
    assert words[1] == "此处只有最近 2 笔。要看其余各笔，请选择较短的时段。"
    assert (opening[3], len(rows), closing[3]) == ("120", 2, "130")
    page = (await person.get("/statement/print")).text
    assert "此处只有最近 2 笔" in page
    assert page.count("data-line") == 2
    assert "只有最近" not in (await person.get("/statement/print?since=2026-04-01")).text


async def test_a_manager_sees_what_comes_from_the_branch(town: Town) -> None:
    person, manager = await town.volunteer("林一"), await town.member(town.city.manager_id)
    async with town.bank.engine.begin() as connection:
        elsewhere = await town.city.add_station(connection, region_id=town.city.other_district_id)
    far = await town.with_role("manager", station_id=elsewhere.id)
    admin = await town.with_role("admin")
    here = await credited(town, person, 120)
    assert person.member_id
    assert far.member_id
    async with town.bank.engine.begin() as connection:
        at = town.watch.now + timedelta(hours=5)
        there = await served(connection, town.city, person.member_id, at, 45, station=elsewhere)
        await verify(connection, town.city, there, at + timedelta(hours=12), actor_id=far.member_id)
    town.watch.move(days=2)
    expected = ((manager, here, [120]), (far, there, [45]), (admin, here, [45, 120]))
    for actor, record_id, amounts in expected:
        for unit in ("point", "minute"):
            found = (await actor.get(f"/api/v1/queue/{record_id}/statement?unit={unit}")).json()
            assert sorted(line["amount"] for line in found["lines"]) == amounts
            assert (found["total"], found["member_name"], found["following"]) == (sum(amounts), "林一", None)
        page = await actor.get(f"/queue/{record_id}/statement")
        assert (page.status_code, page.text.count("查看来历")) == (200, len(amounts))
        assert f'href="/queue/{record_id}/statement"' in (await actor.get(f"/queue/{record_id}")).text
    none = (await manager.get(f"/api/v1/queue/{here}/statement?since=2026-05-01")).json()
    assert (none["lines"], none["total"]) == ([], 0)
    query = select(audit_entry.c.actor_id, audit_entry.c.after).where(
        audit_entry.c.book_id == town.city.book_id,
        audit_entry.c.subject_id == person.member_id,
        audit_entry.c.action == "member.explain",
    )
    async with town.bank.engine.connect() as connection:
        kept = (await connection.execute(query)).all()
    # Each look of the three, and the one into May.
    assert len(kept) == 3 * 3 + 1
    assert {entry.actor_id for entry in kept} == {manager.member_id, far.member_id, admin.member_id}
    assert {entry.after["record_id"] for entry in kept} == {str(here), str(there)}


async def test_outside_the_branch_there_is_no_statement(town: Town) -> None:
    person, manager = await town.volunteer(), await town.member(town.city.manager_id)
    far = await town.with_role("manager", region_id=town.city.other_district_id)
    record_id = await credited(town, person)
    async with town.bank.engine.begin() as connection:
        own = await served(connection, town.city, town.city.manager_id)
    for actor, id in ((far, record_id), (manager, own), (manager, manager.new_id())):
        assert problem(await actor.get(f"/api/v1/queue/{id}/statement")) == (404, "not_found")
        assert (await actor.get(f"/queue/{id}/statement")).status_code == 404
    assert problem(await person.get(f"/api/v1/queue/{record_id}/statement")) == (403, "role_not_allowed")
    query = select(audit_entry).where(
        audit_entry.c.book_id == town.city.book_id, audit_entry.c.action == "member.explain"
    )
    async with town.bank.engine.connect() as connection:
        assert (await connection.execute(query)).all() == []


async def test_somebody_else_is_not_in_a_statement(town: Town) -> None:
    person, other = await town.volunteer("林一"), await town.volunteer("王二")
    await credited(town, person, 120)
    await credited(town, other, 45)
    for path in ("/statement", "/statement/print", "/statement.csv"):
        assert "王二" not in (await person.get(path)).text
    assert [row[2] for row in table(await other.get("/statement.csv"))[2:-1]] == ["45"]
