"""Everything that a check-in is refused with, a test for each line of the protocol's list, and their order."""

from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.factories import MORNING, City, build_city
from tests.timebank.ways import Doorway
from timebank import cards, codes, devices, doors, members, posters, stations
from timebank.ids import uuid7
from timebank.keys import Keys
from timebank.scans import Sent


@pytest.fixture
async def city(connection: AsyncConnection, new_book: int, keys: Keys) -> City:
    return await build_city(connection, new_book, keys)


@pytest.fixture
def door(connection: AsyncConnection, city: City) -> Doorway:
    return Doorway(connection, city)


def later(minutes: float) -> datetime:
    return MORNING + timedelta(minutes=minutes)


async def suspend(city: City, connection: AsyncConnection, member_id: UUID) -> None:
    await members.suspend(connection, city.book_id, member_id, now=MORNING)


async def close(city: City, connection: AsyncConnection) -> None:
    await stations.set_state(connection, city.book_id, city.station.id, state="closed", now=MORNING)


@pytest.mark.parametrize("text", ["", "x", "hello world", "1" * 31, "https://example.org/K/", "U" * 32])
async def test_code_malformed(door: Doorway, member_id: UUID, text: str) -> None:
    command = door.sent(member_id, "in", MORNING, Sent(code=text))
    assert (await door.one(command, MORNING)).code == "code_malformed"
    assert await door.punch(command.id) is None


@pytest.mark.parametrize("digits", ["", "12345", "1234567", "12345x", "١٢٣٤٥٦"])
async def test_digits_that_are_none_are_malformed(door: Doorway, member_id: UUID, digits: str) -> None:
    sent = Sent(digits=digits, station_number=door.station.number)
    assert (await door.one(door.sent(member_id, "in", MORNING, sent), MORNING)).code == "code_malformed"
    sent = Sent(digits="123456")
    assert (await door.one(door.sent(member_id, "in", MORNING, sent), MORNING)).code == "code_malformed"


async def test_code_forged(door: Doorway, member_id: UUID) -> None:
    good = [door.code(MORNING), await door.poster(MORNING), await door.card(member_id, MORNING)]
    for text in good:
        forged = text[:-1] + ("0" if text[-1] != "0" else "1")
        for late in (False, True):
            command = door.sent(member_id, "in", MORNING, Sent(code=forged, late=late))
            assert (await door.one(command, MORNING)).code == "code_forged"
    # One kind of code, cut or filled to the length of another, is not that other.
    assert {len(text) for text in good} == {codes.STATION_LENGTH, codes.POSTER_LENGTH, codes.CARD_LENGTH}


async def test_code_expired(door: Doorway, member_id: UUID) -> None:
    for now, late in ((later(2), False), (later(72 * 60 + 1), True), (later(-2), False), (later(-2), True)):
        command = door.sent(member_id, "in", now, Sent(code=door.code(MORNING), late=late))
        assert (await door.one(command, now)).code == "code_expired"


async def test_device_revoked(door: Doorway, member_id: UUID, connection: AsyncConnection) -> None:
    await devices.revoke(connection, door.city.book_id, door.screen.id, now=MORNING)
    assert (await door.one(door.sent(member_id, "in", MORNING))).code == "device_revoked"
    late = door.sent(member_id, "in", later(5), Sent(code=door.code(MORNING), late=True))
    assert (await door.one(late, later(5))).code == "device_revoked"
    # Its digits are nobody's any more.
    digits = Sent(digits=door.digits(MORNING), station_number=door.station.number)
    assert (await door.one(door.sent(member_id, "in", MORNING, digits))).code == "digits_wrong"


async def test_card_revoked(door: Doorway, member_id: UUID, connection: AsyncConnection) -> None:
    lost = await door.card(member_id, MORNING)
    book_id = door.city.book_id
    await cards.issue(connection, book_id, member_id, id=uuid7(MORNING), now=MORNING, actor_id=member_id)
    assert (await door.one(door.shown("in", MORNING, lost))).code == "card_revoked"
    new = await door.card(member_id, MORNING)
    assert new != lost
    assert (await door.one(door.shown("in", MORNING, new))).code == "ok"
    await cards.revoke(connection, book_id, member_id, now=MORNING, actor_id=member_id)
    assert (await door.one(door.shown("out", later(60), new))).code == "card_revoked"
    # Authentic, and never issued in this book.
    unknown = codes.card_code(door.city.keys.card, 7)
    assert (await door.one(door.shown("in", MORNING, unknown))).code == "card_revoked"


async def test_poster_revoked(door: Doorway, member_id: UUID, connection: AsyncConnection) -> None:
    old, book_id, who = await door.poster(MORNING), door.city.book_id, door.city.manager_id
    await posters.replace(connection, book_id, door.station.id, id=uuid7(MORNING), now=MORNING, actor_id=who)
    for sent in (Sent(code=old), Sent(code=old, digits=door.digits(MORNING))):
        assert (await door.one(door.sent(member_id, "in", MORNING, sent))).code == "poster_revoked"
    new = await door.poster(MORNING)
    await posters.revoke(connection, book_id, door.station.id, now=MORNING, actor_id=who)
    assert (await door.one(door.sent(member_id, "in", MORNING, Sent(code=new)))).code == "poster_revoked"


async def test_station_closed(door: Doorway, city: City, member_id: UUID, connection: AsyncConnection) -> None:
    poster, card = await door.poster(MORNING), await door.card(member_id, MORNING)
    assert (await door.one(door.sent(member_id, "in", MORNING))).code == "ok"
    await close(city, connection)
    other = await city.add_member(connection)
    ways = [None, Sent(code=poster), Sent(digits=door.digits(later(1)), station_number=door.station.number)]
    for sent in ways:
        assert (await door.one(door.sent(other, "in", later(1), sent))).code == "station_closed"
    assert (await door.one(door.shown("in", later(1), card))).code == "station_closed"
    # Who is in can leave.
    assert (await door.one(door.sent(member_id, "out", later(60)))).code == "ok"


async def test_member_suspended(door: Doorway, city: City, member_id: UUID, connection: AsyncConnection) -> None:
    card = await door.card(member_id, MORNING)
    await suspend(city, connection, member_id)
    assert (await door.one(door.sent(member_id, "in", MORNING))).code == "member_suspended"
    assert (await door.one(door.shown("in", MORNING, card))).code == "member_suspended"


async def test_role_not_allowed(door: Doorway, city: City, member_id: UUID, connection: AsyncConnection) -> None:
    card = await door.card(member_id, MORNING)
    elsewhere = await city.add_station(connection, region_id=city.other_community_id)
    stranger = await city.add_member(connection)
    for more in ({"actor_id": stranger}, {"actor_id": city.clerk_id}, {"station_id": elsewhere.id}):
        assert (await door.one(door.shown("in", MORNING, card, **more))).code == "role_not_allowed"
    await suspend(city, connection, city.manager_id)
    assert (await door.one(door.shown("in", MORNING, card))).code == "role_not_allowed"


async def test_digits_wrong(door: Doorway, member_id: UUID, connection: AsyncConnection) -> None:
    right = door.digits(MORNING)
    wrong = f"{(int(right) + 1) % 10**6:06d}"
    number = door.station.number
    assert (await door.one(door.sent(member_id, "in", MORNING, Sent(digits=wrong, station_number=number)))).code == (
        "digits_wrong"
    )
    # Right, of their slot and the next, and not a moment longer.
    for seconds, code in ((0, "ok"), (39, "ok"), (40, "digits_wrong"), (-1, "digits_wrong")):
        at = MORNING + timedelta(seconds=seconds)
        person = await door.city.add_member(connection)
        answer = await door.one(door.sent(person, "in", at, Sent(digits=right, station_number=number)))
        assert answer.code == code, seconds


async def test_try_later_after_five_wrong_ones(door: Doorway, city: City, connection: AsyncConnection) -> None:
    one, other = await city.add_members(connection, 2)
    right, number = door.digits(MORNING), door.station.number
    wrong = Sent(digits=f"{(int(right) + 1) % 10**6:06d}", station_number=number)
    # Three at once and two alone: a batch counts like the tries one by one.
    batch = await door.run(*(door.sent(one, "in", MORNING, wrong) for _ in range(3)))
    assert [answer.code for answer in batch] == ["digits_wrong"] * 3
    again = door.sent(one, "in", MORNING, wrong)
    for _ in range(3):
        # Sent again, it is the same try.
        assert (await door.one(again)).code == "digits_wrong"
    assert (await door.one(door.sent(one, "in", MORNING, wrong))).code == "digits_wrong"
    for sent in (wrong, Sent(digits=right, station_number=number)):
        answer = await door.one(door.sent(one, "in", MORNING, sent))
        assert (answer.code, answer.data) == ("try_later", {"seconds": 600})
    # Nobody else is kept waiting, and neither is a scan.
    good = Sent(digits=right, station_number=number)
    assert (await door.one(door.sent(other, "in", MORNING, good))).code == "ok"
    at = later(10)
    good = Sent(digits=door.digits(at), station_number=number)
    assert (await door.one(door.sent(one, "in", at, good))).code == "ok"


async def test_a_scan_is_taken_while_digits_have_to_wait(door: Doorway, member_id: UUID) -> None:
    wrong = Sent(digits=f"{(int(door.digits(MORNING)) + 1) % 10**6:06d}", station_number=door.station.number)
    await door.run(*(door.sent(member_id, "in", MORNING, wrong) for _ in range(6)))
    assert (await door.one(door.sent(member_id, "in", MORNING))).code == "ok"


async def test_id_reused(door: Doorway, city: City, connection: AsyncConnection) -> None:
    one, other = await city.add_members(connection, 2)
    first = door.sent(one, "in", MORNING)
    assert (await door.one(first)).code == "ok"
    digits = Sent(digits=door.digits(MORNING), station_number=door.station.number)
    reused = [
        door.sent(other, "in", MORNING, id=first.id),
        door.sent(one, "in", MORNING, digits, id=first.id),
        door.sent(one, "in", MORNING, Sent(code=door.code(MORNING), late=True), id=first.id),
        door.sent(one, "out", MORNING, id=first.id),
    ]
    for command in reused:
        assert (await door.one(command)).code == "id_reused"
    assert (await door.one(first)).code == "ok"


async def test_the_first_reason_of_the_list_is_the_one_that_is_said(
    door: Doorway, city: City, connection: AsyncConnection
) -> None:
    """Everything is wrong at once, and put right one by one."""
    one = await city.add_member(connection)
    card, book_id = await door.card(one, MORNING), city.book_id
    poster = await door.poster(MORNING)
    wrong = f"{(int(door.digits(MORNING)) + 1) % 10**6:06d}"
    await devices.revoke(connection, book_id, door.screen.id, now=MORNING)
    await cards.revoke(connection, book_id, one, now=MORNING, actor_id=one)
    await posters.revoke(connection, book_id, door.station.id, now=MORNING, actor_id=city.manager_id)
    await close(city, connection)
    await suspend(city, connection, one)

    async def code(sent: Sent) -> str:
        return (await door.one(door.sent(one, "in", MORNING, sent), MORNING)).code

    expired = door.code(later(-10))
    assert await code(Sent(code=expired[:-1])) == "code_malformed"
    assert await code(Sent(code=expired[:-1] + ("0" if expired[-1] != "0" else "1"))) == "code_forged"
    assert await code(Sent(code=expired)) == "code_expired"
    assert await code(Sent(code=door.code(MORNING))) == "device_revoked"
    by_stranger = {"actor_id": city.clerk_id}
    assert (await door.one(door.shown("in", MORNING, card, **by_stranger), MORNING)).code == "card_revoked"
    assert await code(Sent(code=poster, digits=wrong)) == "poster_revoked"

    new_poster = await door.poster(later(1))
    assert await code(Sent(code=new_poster, digits=wrong)) == "station_closed"
    await stations.set_state(connection, book_id, door.station.id, state="open", now=MORNING)
    assert await code(Sent(code=new_poster, digits=wrong)) == "member_suspended"
    new_card = await cards.issue(connection, book_id, one, id=uuid7(MORNING), now=MORNING, actor_id=one)
    shown = codes.card_code(city.keys.card, new_card.number)
    refused = {"vouch_refusal": "pin_wrong"}
    assert (await door.one(door.shown("in", MORNING, shown, **by_stranger), MORNING)).code == "member_suspended"
    await members.reinstate(connection, book_id, one, now=MORNING)
    answer = await door.one(door.shown("in", MORNING, shown, **by_stranger, **refused), MORNING)
    assert answer.code == "role_not_allowed"
    assert (await door.one(door.shown("in", MORNING, shown, **refused), MORNING)).code == "pin_wrong"
    for _ in range(5):
        assert await code(Sent(code=new_poster, digits=wrong)) == "digits_wrong"
    assert await code(Sent(code=new_poster, digits=wrong)) == "try_later"


async def test_nobody_vouches_for_his_own(door: Doorway, city: City, connection: AsyncConnection) -> None:
    own = await door.card(city.manager_id, MORNING)
    assert (await door.one(door.shown("in", MORNING, own, vouched_by="pin"))).code == "own_record"
    household = uuid7(MORNING)
    visitor = await city.add_member(connection, household_id=household)
    mother = await city.add_member(connection, household_id=household)
    card = await door.card(mother, MORNING)
    visit = door.sent(visitor, "in", MORNING, Sent(code=card), station_id=door.station.id)
    assert (await door.one(visit)).code == "own_record"
    digits, _ = await doors.issue(
        connection,
        city.book_id,
        city.keys,
        station_id=door.station.id,
        resident_id=mother,
        id=uuid7(MORNING),
        now=MORNING,
        actor_id=city.manager_id,
    )
    visit = door.sent(visitor, "in", MORNING, Sent(door_code=digits))
    assert (await door.one(visit)).code == "own_record"
