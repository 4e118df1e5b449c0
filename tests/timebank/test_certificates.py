"""Certificates: of verified records alone, as they were when issued, told apart when a record changed since."""

from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.earning import correct, served, verified, verify
from tests.factories import MORNING, City, build_city
from timebank import codes, members, merging, service_certificates
from timebank.errors import BankError, Invalid, NotFound, TryLater
from timebank.ids import uuid7
from timebank.keys import Keys
from timebank.periods import EVER, Period
from timebank.service_certificates import CHECKS_BY_ADDRESS, RECORD_LIMIT, Certificate, NothingToCertify
from timebank.tables import audit_entry

LATER = MORNING + timedelta(days=40)


@pytest.fixture
async def city(connection: AsyncConnection, new_book: int, keys: Keys) -> City:
    return await build_city(connection, new_book, keys)


async def issued(connection: AsyncConnection, city: City, member_id: UUID, **more: Any) -> UUID:
    """A certificate that the member ordered, unless `actor_id` says otherwise."""
    values = {"period": EVER, "id": uuid7(LATER), "actor_id": member_id, "now": LATER, **more}
    return await service_certificates.issue(connection, city.book_id, city.keys, member_id=member_id, **values)


async def own(connection: AsyncConnection, city: City, id: UUID, member_id: UUID) -> Certificate:
    """The certificate as its owner sees it."""
    return await service_certificates.own(connection, city.book_id, city.keys, id, member_id=member_id)


async def test_it_certifies_verified_records_of_the_period_and_nothing_else(
    connection: AsyncConnection, city: City
) -> None:
    member_id, other_id = await city.add_member(connection, "林一"), await city.add_member(connection, "林二")
    first = await verified(connection, city, member_id, MORNING, 90)
    second = await verified(connection, city, member_id, MORNING + timedelta(days=2), 60, grade="B")
    await verified(connection, city, member_id, MORNING + timedelta(days=31), 30)
    await served(connection, city, member_id, MORNING + timedelta(days=3))
    refused = await served(connection, city, member_id, MORNING + timedelta(days=4))
    assert (await verify(connection, city, refused, LATER, verdict="reject", reason="x")).code == "ok"
    await verified(connection, city, other_id, MORNING, 45)
    march = Period(date(2026, 3, 1), date(2026, 3, 31))
    id = await issued(connection, city, member_id, period=march)
    found = await own(connection, city, id, member_id)
    assert [(line.id, line.minutes, line.grade) for line in found.lines] == [(first, 90, "A"), (second, 60, "B")]
    assert (found.name, found.minutes, found.grades, found.period) == ("林一", 150, {"A": 90, "B": 60}, march)
    assert (found.unit, found.issued_at, found.stands) == ("Test city", LATER, True)
    assert found.days == (date(2026, 3, 2), date(2026, 3, 4))
    line = found.lines[0]
    # Every field that the Order asks for.
    assert (line.activity_zh, line.local_day, line.place, line.content) == (
        city.station.name_zh,
        date(2026, 3, 2),
        city.station.address,
        "助老",
    )
    assert (line.organising_unit, line.person_in_charge) == (
        city.station.organising_unit,
        city.station.person_in_charge,
    )
    with pytest.raises(NotFound):
        await own(connection, city, id, other_id)
    entries = select(audit_entry.c.actor_id, audit_entry.c.subject_id, audit_entry.c.after).where(
        audit_entry.c.book_id == city.book_id, audit_entry.c.action == "certificate.issue"
    )
    ((actor_id, subject_id, after),) = (await connection.execute(entries)).all()
    assert (actor_id, subject_id) == (member_id, member_id)
    assert after == {"number": found.number, "records": 2, "minutes": 150}


async def test_sent_twice_it_is_one_and_an_id_means_one_thing(connection: AsyncConnection, city: City) -> None:
    member_id = await city.add_member(connection)
    await verified(connection, city, member_id)
    id = uuid7(LATER)
    assert await issued(connection, city, member_id, id=id) == await issued(connection, city, member_id, id=id) == id
    with pytest.raises(NotFound):
        await issued(connection, city, member_id, id=id, period=Period(date(2026, 3, 1), None))
    assert [row.id for row in (await service_certificates.mine(connection, city.book_id, member_id)).rows] == [id]


async def test_nothing_to_certify_and_too_much(
    connection: AsyncConnection, city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    member_id = await city.add_member(connection)
    with pytest.raises(NothingToCertify):
        await issued(connection, city, member_id)
    for day in range(3):
        await verified(connection, city, member_id, MORNING + timedelta(days=day), 30)
    assert RECORD_LIMIT >= 1000
    monkeypatch.setattr(service_certificates, "RECORD_LIMIT", 2)
    with pytest.raises(Invalid):
        await issued(connection, city, member_id)
    await issued(connection, city, member_id, period=Period(None, date(2026, 3, 3)))


@pytest.mark.parametrize("minutes", [60, None])
async def test_a_correction_turns_it_and_a_new_one_stands(
    connection: AsyncConnection, city: City, minutes: int | None
) -> None:
    member_id = await city.add_member(connection, "林一")
    changed = await verified(connection, city, member_id, MORNING, 90)
    kept = await verified(connection, city, member_id, MORNING + timedelta(days=1), 30)
    old = await issued(connection, city, member_id)
    assert (await correct(connection, city, changed, minutes, LATER)).code == "ok"
    found = await own(connection, city, old, member_id)
    assert (found.stands, [(line.id, line.minutes, line.stands) for line in found.lines]) == (
        False,
        [(changed, 90, False), (kept, 30, True)],
    )
    new = await issued(connection, city, member_id)
    found = await own(connection, city, new, member_id)
    assert (found.stands, found.minutes) == (True, 30 + (minutes or 0))
    rows = (await service_certificates.mine(connection, city.book_id, member_id)).rows
    assert {row.id: row.stands for row in rows} == {old: False, new: True}


async def test_a_manager_orders_it_for_people_who_are_served(connection: AsyncConnection, city: City) -> None:
    member_id = await city.add_member(connection)
    stranger_id = await city.add_member(connection, region_id=city.other_community_id)
    for each in (member_id, stranger_id):
        await verified(connection, city, each)
    id = await issued(connection, city, member_id, actor_id=city.manager_id)
    by = {"actor_id": city.manager_id, "now": LATER}
    assert (await service_certificates.of_served(connection, city.book_id, city.keys, id, **by)).member_id == member_id
    with pytest.raises(NotFound):
        await issued(connection, city, stranger_id, actor_id=city.manager_id)
    theirs = await issued(connection, city, stranger_id)
    for unknown in (theirs, uuid7(LATER)):
        with pytest.raises(NotFound):
            await service_certificates.of_served(connection, city.book_id, city.keys, unknown, **by)
    with pytest.raises(NotFound):
        await issued(connection, city, member_id, actor_id=stranger_id)


async def test_anybody_checks_a_code_and_no_other(connection: AsyncConnection, city: City) -> None:
    member_id = await city.add_member(connection, "林一")
    await verified(connection, city, member_id)
    found = await own(connection, city, await issued(connection, city, member_id), member_id)
    code = codes.certificate_code(city.keys.certificate, found.number)
    for text in (code, code.lower(), f"HTTPS://BANK.EXAMPLE/V/{code}"):
        checked = await service_certificates.check(connection, city.book_id, city.keys, text)
        assert (checked.id, checked.name, checked.minutes) == (found.id, "林一", found.minutes)
    # A code of the same layout for something else is no certificate.
    wrong = {
        "code_malformed": code[:-1],
        "code_forged": code[:-1] + ("0" if code[-1] != "0" else "1"),
        "not_found": codes.certificate_code(city.keys.certificate, found.number ^ 1),
    }
    for expected, text in {**wrong, "code_forged ": codes.redemption_code(city.keys.redemption, found.number)}.items():
        with pytest.raises(BankError) as refused:
            await service_certificates.check(connection, city.book_id, city.keys, text)
        assert refused.value.code == expected.strip()


async def test_checks_are_counted_by_address(city: City, engine: Any) -> None:
    for _ in range(CHECKS_BY_ADDRESS.count):
        await service_certificates.count_check(engine, city.book_id, city.keys, "192.0.2.1", LATER)
    with pytest.raises(TryLater):
        await service_certificates.count_check(engine, city.book_id, city.keys, "192.0.2.1", LATER)
    await service_certificates.count_check(engine, city.book_id, city.keys, "192.0.2.2", LATER)


async def test_who_is_erased_is_named_no_more(connection: AsyncConnection, city: City) -> None:
    member_id = await city.add_member(connection, "林一")
    await verified(connection, city, member_id)
    found = await own(connection, city, await issued(connection, city, member_id), member_id)
    await members.erase(connection, city.book_id, member_id, now=LATER, actor_id=member_id)
    code = codes.certificate_code(city.keys.certificate, found.number)
    checked = await service_certificates.check(connection, city.book_id, city.keys, code)
    assert (checked.name, checked.minutes) == (None, found.minutes)
    with pytest.raises(NotFound):
        await issued(connection, city, member_id)


async def test_after_a_merger_the_old_paper_stands_and_the_records_are_certified_anew(
    connection: AsyncConnection, city: City
) -> None:
    old_id, new_id = await city.add_member(connection, "林一"), await city.add_member(connection, "林一")
    await verified(connection, city, old_id, minutes=90)
    paper = await own(connection, city, await issued(connection, city, old_id), old_id)
    await merging.merge(
        connection, city.book_id, survivor_id=new_id, absorbed_id=old_id, id=uuid7(LATER), now=LATER, actor_id=None
    )
    code = codes.certificate_code(city.keys.certificate, paper.number)
    checked = await service_certificates.check(connection, city.book_id, city.keys, code)
    assert (checked.stands, checked.name, checked.minutes) == (True, "林一", 90)
    assert (await own(connection, city, await issued(connection, city, new_id), new_id)).minutes == 90
