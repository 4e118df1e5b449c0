"""Joining by oneself, from a station's poster: a volunteer without roles, whose phone number is proved by a code.

Whoever has the number already is signed in instead, so nobody has two accounts by this door, and nobody learns from it
whether a number belongs to a member. Who is under age is joined by a guardian (`guardians.py`).
"""

import hashlib
import hmac
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, and_, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from timebank import codes, consents, limits, members, own, purses, sessions, signing_in, sms, texts
from timebank.errors import BankError, Invalid
from timebank.ids import uuid7
from timebank.keys import Keys
from timebank.limits import Limit
from timebank.sms import Sender
from timebank.tables import poster, region, station

JOINED_FROM_ADDRESS = Limit("join.address", 20, timedelta(hours=1))
# From this birthday on somebody agrees for himself (Civil Code, article 17).
FULL_AGE_YEARS = 18
OLDEST_YEARS = 130
# Without this nobody can be recorded at all.
NEEDED = "service"


class GuardianNeeded(BankError):
    """Who is under 18 is joined by a guardian who is a member."""

    code = "guardian_needed"


class PosterRevoked(BankError):
    """This poster was replaced."""

    code = "poster_revoked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Newcomer:
    """What somebody says who wants to join. `agreed` are the purposes of `consents`."""

    name: str
    phone: str
    born: date
    agreed: Collection[str]
    locale: str = "zh-CN"


async def place_of(connection: AsyncConnection, book_id: int, keys: Keys, code: str, now: datetime) -> Row[Any]:
    """The station whose poster somebody has scanned, with its region; errors as for codes, and `poster_revoked`."""
    scan = codes.read_poster_code(keys.poster, code, now)
    query: Select[Any] = (
        select(station.c.id, station.c.name_zh, station.c.name_en, station.c.region_id, poster.c.revoked_at)
        .join_from(
            station,
            poster,
            and_(
                poster.c.book_id == station.c.book_id,
                poster.c.station_id == station.c.id,
                poster.c.number == scan.poster_number,
            ),
        )
        .join(region, and_(region.c.book_id == station.c.book_id, region.c.id == station.c.region_id))
        .where(station.c.book_id == book_id, station.c.number == scan.station_number)
    )
    row: Row[Any] | None = (await connection.execute(query)).one_or_none()
    if row is None or row.revoked_at is not None:
        raise PosterRevoked()
    return row


async def ask(
    engine: AsyncEngine,
    book_id: int,
    keys: Keys,
    newcomer: Newcomer,
    *,
    code: str,
    address: str,
    now: datetime,
    sender: Sender,
) -> None:
    """Check what somebody says, and send six digits to the number, whosever it is. Nothing is kept of it but a hash.

    Errors: `code_malformed`, `code_forged`, `poster_revoked`, `invalid` (name, phone, born, agreed), `guardian_needed`,
    `try_later`.
    """
    async with engine.connect() as connection:
        await place_of(connection, book_id, keys, code, now)
        check(newcomer, now.astimezone(await purses.time_zone(connection, book_id)).date())
    index = members.phone_index(keys, newcomer.phone)
    await signing_in.count_tries(
        engine, book_id, keys, index, address, now, signing_in.CODES_SENT, signing_in.CODES_SENT_TO_ADDRESS
    )
    digits = await own.new_code(engine, book_id, keys, subject(keys, index), now)
    sms.send_soon(sender, members.normal_phone(newcomer.phone), digits, newcomer.locale)


async def join(
    engine: AsyncEngine,
    book_id: int,
    keys: Keys,
    newcomer: Newcomer,
    *,
    code: str,
    digits: str,
    address: str,
    now: datetime,
) -> tuple[str, UUID, bool]:
    """Join with the digits that came: answers the token of a session, the member's id, and whether they are new.

    Whoever has the number already is signed in, and nothing about them is changed. Errors: as `ask`, and
    `sign_in_refused` (digits).
    """
    index = members.phone_index(keys, newcomer.phone)
    await signing_in.count_tries(
        engine, book_id, keys, index, address, now, signing_in.CODE_TRIES_FROM_PHONE, signing_in.CODE_TRIES_FROM_ADDRESS
    )
    proof = subject(keys, index)
    async with engine.begin() as connection:
        place = await place_of(connection, book_id, keys, code, now)
        check(newcomer, now.astimezone(await purses.time_zone(connection, book_id)).date())
        right = await signing_in.take_code(connection, book_id, proof, signing_in.code_hash(keys, proof, digits), now)
    # After the commit: the try is counted.
    if not right:
        raise signing_in.SignInRefused()
    async with engine.connect() as connection:
        known = await members.by_phone(connection, book_id, keys, newcomer.phone)
    if known is None:
        await count_joined(engine, book_id, keys, address, now)
    async with engine.begin() as connection:
        await limits.clear(connection, book_id, signing_in.CODE_TRIES_FROM_PHONE, index)
        member_id = known.id if known else await add(connection, book_id, keys, newcomer, place.region_id, now)
        return await sessions.begin(connection, book_id, member_id, now), member_id, known is None


async def count_joined(engine: AsyncEngine, book_id: int, keys: Keys, address: str, now: datetime) -> None:
    """Count a new member against the address that they come from, for good; `try_later` after too many."""
    network = hmac.new(keys.address, limits.network(address).encode(), hashlib.sha256).digest()
    async with engine.connect() as connection:
        try:
            await limits.count(connection, book_id, JOINED_FROM_ADDRESS, network, now)
        finally:
            await connection.commit()


async def add(
    connection: AsyncConnection, book_id: int, keys: Keys, newcomer: Newcomer, region_id: UUID, now: datetime
) -> UUID:
    """The new member, and what they agreed to."""
    member_id = uuid7(now)
    await members.add(
        connection,
        book_id,
        keys,
        name=newcomer.name,
        phone=newcomer.phone,
        born=newcomer.born,
        region_id=region_id,
        locale=newcomer.locale,
        id=member_id,
        now=now,
        joined_by=member_id,
    )
    for purpose in consents.PURPOSES:
        if purpose in newcomer.agreed or purpose == "location":
            await consents.answer(
                connection,
                book_id,
                member_id,
                purpose=purpose,
                number=consents.in_use(purpose).number,
                agreed=purpose in newcomer.agreed,
                id=uuid7(now),
                actor_id=member_id,
                now=now,
            )
    return member_id


def check(newcomer: Newcomer, today: date) -> None:
    """Raise for what cannot be, before a message is sent for it."""
    texts.line("name", newcomer.name, members.NAME_LIMIT)
    members.check_locale(newcomer.locale)
    check_born(newcomer.born, today)
    if NEEDED not in newcomer.agreed:
        raise Invalid(field="agreed", reason="missing")
    if is_minor(newcomer.born, today):
        raise GuardianNeeded()


def check_born(born: date, today: date) -> None:
    """Raise `invalid` for a birthday that nobody alive has."""
    if not birthday(born, -OLDEST_YEARS, today) <= born <= today:
        raise Invalid(field="born", reason="range")


def is_minor(born: date, today: date) -> bool:
    """Whether somebody has not had the birthday from which they agree for themselves."""
    return birthday(born, FULL_AGE_YEARS) > today


def birthday(born: date, years: int, of: date | None = None) -> date:
    """The day so many years after a birth, or so many before (of) another day; who was born on 29 February has theirs
    on 1 March in other years."""
    day = of or born
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return date(day.year + years, 3, 1)


def subject(keys: Keys, index: bytes) -> bytes:
    """Under what the digits for joining are kept: they are of no use for signing in."""
    return hmac.new(keys.phone_code, b"join" + index, hashlib.sha256).digest()
