"""A member's calendar of shifts: at its secret address, read back as calendars read it."""

import re
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from icalendar import Calendar
from sqlalchemy import update

from tests.api.people import Person, Town
from timebank import members, shifts
from timebank.tables import member

BEIJING = ZoneInfo("Asia/Shanghai")


async def address_of(person: Person) -> str:
    """The address that somebody makes on the page."""
    page = await person.fill("/calendar")
    assert page.status_code == 200, page.text
    found = re.search(r"data-address>http://127\.0\.0\.1:8000(/calendar/[\w-]{43})<", page.text)
    assert found, page.text
    return found[1]


async def plan(town: Town, begins: datetime, station_id: UUID | None = None, **more: Any) -> UUID:
    """A shift of two hours."""
    facts = {"actor_id": town.city.manager_id, "starts_at": begins, "ends_at": begins + timedelta(hours=2), **more}
    async with town.bank.engine.begin() as connection:
        return await shifts.add(
            connection,
            town.bank.book_id,
            station_id=station_id or town.city.station.id,
            id=town.city.new_id(),
            now=town.watch.now,
            **facts,
        )


async def test_a_calendar_shows_the_shifts_of_where_one_serves_and_no_others(town: Town) -> None:
    city, bank, stranger = town.city, town.bank, town.stranger()
    person = await town.volunteer()
    boss = await town.with_role("admin")
    async with bank.engine.begin() as connection:
        elsewhere = await city.add_station(connection)
    begins = town.watch.now + timedelta(days=2)
    first = await plan(town, begins, service_kind_id=city.kinds["duty"])
    second = await plan(town, begins + timedelta(days=1))
    assert boss.member_id
    other = await plan(town, begins, elsewhere.id, actor_id=boss.member_id)
    address = await address_of(person)
    empty = Calendar.from_ical((await stranger.get(address)).text)
    assert empty.walk("VEVENT") == []
    await town.serve(person)

    answer = await stranger.get(address)
    assert answer.headers["content-type"].startswith("text/calendar")
    found = Calendar.from_ical(answer.text)
    assert (found["version"], found["x-wr-timezone"]) == ("2.0", "Asia/Shanghai")
    assert [zone["tzid"] for zone in found.walk("VTIMEZONE")] == ["Asia/Shanghai"]
    events = {str(event["uid"]): event for event in found.walk("VEVENT")}
    assert list(events) == [f"{first}@shifts.timebank", f"{second}@shifts.timebank"]
    event = events[f"{first}@shifts.timebank"]
    assert event.decoded("dtstart") == begins.astimezone(BEIJING)
    assert event["dtstart"].params["TZID"] == "Asia/Shanghai"
    assert event.decoded("dtend") - event.decoded("dtstart") == timedelta(hours=2)
    assert (event["status"], event["sequence"]) == ("CONFIRMED", 0)
    assert city.station.name_zh in event["summary"]
    # Asked again, it is the same, and is not sent again.
    tag = answer.headers["etag"]
    same = await stranger.get(address, headers={"If-None-Match": tag})
    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)

    async with bank.engine.begin() as connection:
        await shifts.cancel(connection, bank.book_id, first, now=town.watch.now, actor_id=city.manager_id)
    changed = await stranger.get(address, headers={"If-None-Match": tag})
    assert changed.status_code == 200
    states = {
        str(each["uid"]): (each["status"], each["sequence"]) for each in Calendar.from_ical(changed.text).walk("VEVENT")
    }
    assert states == {f"{first}@shifts.timebank": ("CANCELLED", 1), f"{second}@shifts.timebank": ("CONFIRMED", 0)}

    # Who planned a shift sees it; who has a role on a whole city does not see every station's.
    planned = Calendar.from_ical((await stranger.get(await address_of(boss))).text)
    assert [str(each["uid"]) for each in planned.walk("VEVENT")] == [f"{other}@shifts.timebank"]
    clerk = await town.volunteer("站点角色")
    async with bank.engine.begin() as connection:
        await city.grant(connection, clerk.member_id, "clerk", station_id=elsewhere.id)
    theirs = Calendar.from_ical((await stranger.get(await address_of(clerk))).text)
    assert [str(each["uid"]) for each in theirs.walk("VEVENT")] == [f"{other}@shifts.timebank"]
    # What nobody serves at any more is left out, and what is long past.
    town.watch.move(days=200)
    assert Calendar.from_ical((await stranger.get(address)).text).walk("VEVENT") == []


async def test_an_address_is_renewed_and_taken_away_and_ends_with_its_member(town: Town) -> None:
    bank, person, stranger = town.bank, await town.volunteer(), town.stranger()
    assert 'href="/calendar"' in (await person.get("/privacy")).text
    first = await address_of(person)
    assert first not in (await person.get("/calendar")).text
    second = await address_of(person)
    assert [(await stranger.get(each)).status_code for each in (first, second)] == [404, 200]
    assert (await stranger.get(f"/calendar/{'x' * 200}")).status_code == 404
    answer = await person.fill("/calendar/end")
    assert answer.status_code == 303
    assert (await person.get(answer.headers["location"])).status_code == 200
    assert (await stranger.get(second)).status_code == 404
    third = await address_of(person)
    of_person = (member.c.book_id == bank.book_id, member.c.id == person.member_id)
    for state, status in (("suspended", 404), ("active", 200)):
        async with bank.engine.begin() as connection:
            await connection.execute(update(member).where(*of_person).values(state=state))
        assert (await stranger.get(third)).status_code == status
    assert person.member_id
    async with bank.engine.begin() as connection:
        await members.forget_traces(connection, bank.book_id, [person.member_id], None)
    assert (await stranger.get(third)).status_code == 404
    boss = await town.with_role("admin")
    noted = (await boss.get("/api/v1/trail", params={"actor_id": str(person.member_id), "action": "shift_feed"})).json()
    actions = sorted(each["action"] for each in noted["entries"])
    assert actions == ["shift_feed.end", "shift_feed.renew", "shift_feed.renew", "shift_feed.renew"]
