"""What people do, as the commands that they send: scanning, serving, deciding, redeeming, collecting.

Times are the caller's; a command's id is made at its time. `draw=b""` leaves who is drawn to the record's id alone, so
tests that must not be drawn set the share of the draw to nothing (`no_draw`).
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import date, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

import msgspec
from sqlalchemy import Row, event, insert, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tests.factories import MORNING, City
from timebank import checkins, codes, counter, ending, punches, purses, redemptions, verification
from timebank.commands import Answer
from timebank.counter import Fulfil
from timebank.ending import Cancel
from timebank.ids import uuid7
from timebank.policy import Rules
from timebank.punches import Punch
from timebank.redemptions import Redeem
from timebank.tables import policy_version, record, redemption, reward
from timebank.verification import Verify

DRAW = b"draw"
# After the services that earned the points were verified.
DAY = MORNING + timedelta(days=10)
T = TypeVar("T")


def scan(city: City, member_id: UUID, kind: Any, at: datetime = MORNING, **more: Any) -> Punch:
    """A scan of a station's screen at `at`: of the city's station, or of `station` and `screen`."""
    station, screen = more.pop("station", city.station), more.pop("screen", city.screen)
    shown = codes.station_code(city.keys.station, station.number, screen.number, codes.slot_at(at))
    code = more.pop("code", shown)
    read, refusal = punches.read_scan(city.keys.station, code, at)
    return Punch(
        id=more.pop("id", None) or uuid7(at),
        actor_id=member_id,
        kind=kind,
        code=code,
        scan=read,
        refusal=refusal,
        **more,
    )


async def send(connection: AsyncConnection, city: City, commands: Sequence[Any], now: datetime) -> list[Answer]:
    """Carry out a batch of commands of one kind."""
    first = commands[0]
    if isinstance(first, Punch):
        verb: Any = checkins.check_in if first.kind == "in" else checkins.check_out
        return list(await verb(connection, city.book_id, commands, now, draw=DRAW))
    if isinstance(first, Redeem):
        return await redemptions.redeem(connection, city.book_id, commands, now, secret=city.keys.redemption)
    verbs: dict[type, Any] = {Verify: verification.verify, Cancel: ending.cancel, Fulfil: counter.fulfil}
    return list(await verbs[type(first)](connection, city.book_id, commands, now))


async def one(connection: AsyncConnection, city: City, command: Any, now: datetime | None = None) -> Answer:
    """Carry out one command, a scan at its own time unless said otherwise."""
    if now is None:
        now = command.scan.occurred_at if isinstance(command, Punch) and command.scan else MORNING
    (answer,) = await send(connection, city, [command], now)
    return answer


async def done(connection: AsyncConnection, city: City, command: Any, now: datetime | None = None) -> Answer:
    """Carry out one command that must succeed."""
    answer = await one(connection, city, command, now)
    assert answer.code == "ok", answer
    return answer


async def serve(
    connection: AsyncConnection, city: City, member_id: UUID, at: datetime = MORNING, minutes: int = 120, **more: Any
) -> UUID:
    """A whole service; answers the id of its record."""
    command = scan(city, member_id, "in", at, **more)
    await done(connection, city, command)
    await done(connection, city, scan(city, member_id, "out", at + timedelta(minutes=minutes), **more))
    return command.id


def verify(city: City, record_id: UUID, verdict: Any = "verify", **more: Any) -> Verify:
    """A decision of the city's manager."""
    actor_id = more.pop("actor_id", city.manager_id)
    return Verify(id=uuid7(city.now), actor_id=actor_id, record_id=record_id, verdict=verdict, **more)


async def earn(
    connection: AsyncConnection, city: City, member_id: UUID, points: int, at: datetime = MORNING, **more: Any
) -> None:
    """Serve as many minutes as points are wanted, a point a minute, at most eight hours a day."""
    while points:
        record_id = await serve(connection, city, member_id, at, minutes := min(points, 480), **more)
        command = verify(city, record_id)
        await done(connection, city, command, at + timedelta(days=1))
        points, at = points - minutes, at + timedelta(days=1)


async def earn_each(connection: AsyncConnection, city: City, member_ids: Sequence[UUID], points: int) -> None:
    """As `earn`, for many at once, at most eight hours: they come, go and are verified together."""
    came = [scan(city, who, "in") for who in member_ids]
    went = [scan(city, who, "out", MORNING + timedelta(minutes=points)) for who in member_ids]
    checked = [verify(city, command.id) for command in came]
    for commands, now in (
        (came, MORNING),
        (went, MORNING + timedelta(minutes=points)),
        (checked, MORNING + timedelta(days=1)),
    ):
        assert {answer.code for answer in await send(connection, city, commands, now)} == {"ok"}


def redeem(city: City, member_id: UUID, reward_id: UUID) -> Redeem:
    return Redeem(id=uuid7(city.now), actor_id=member_id, reward_id=reward_id)


async def hold(connection: AsyncConnection, city: City, member_id: UUID, reward_id: UUID) -> Answer:
    """A redemption, which must succeed."""
    return await done(connection, city, redeem(city, member_id, reward_id), DAY)


async def code(connection: AsyncConnection, city: City, command: Any, now: datetime = DAY) -> str:
    """What one command is answered."""
    return (await one(connection, city, command, now)).code


def cancel(city: City, member_id: UUID, redemption_id: UUID | str) -> Cancel:
    return Cancel(id=uuid7(city.now), actor_id=member_id, redemption_id=UUID(str(redemption_id)))


def fulfil(city: City, **more: Any) -> Fulfil:
    """A hand-over by the city's clerk at the city's station, by `number=` or `digits=`."""
    facts = {"actor_id": city.clerk_id, "station_id": city.station.id, **more}
    return Fulfil(id=uuid7(city.now), **facts)


async def set_rules(connection: AsyncConnection, city: City, number: int, starts_on: date, **rules: Any) -> None:
    """One more policy version."""
    chosen = Rules(**{"rate_points_per_hour": {}, "draw_percent": 0, **rules})
    await connection.execute(
        insert(policy_version).values(
            book_id=city.book_id,
            number=number,
            starts_on=starts_on,
            rules=msgspec.to_builtins(chosen),
            created_at=MORNING,
        )
    )


async def no_draw(connection: AsyncConnection, city: City) -> None:
    """Version 2, of this year: chance picks nobody's record to be looked at."""
    await set_rules(connection, city, 2, date(MORNING.year, 1, 1))


async def rows(connection: AsyncConnection, city: City, table: Any, **equal: Any) -> list[Row[Any]]:
    """Rows of a table in this book, with these values."""
    query = select(table).where(table.c.book_id == city.book_id, *(table.c[name] == it for name, it in equal.items()))
    return list((await connection.execute(query.order_by(table.c.id))).all())


async def the_record(connection: AsyncConnection, city: City, record_id: UUID) -> Row[Any]:
    (row,) = await rows(connection, city, record, id=record_id)
    return row


async def the_redemption(connection: AsyncConnection, city: City, redemption_id: UUID | str) -> Row[Any]:
    (row,) = await rows(connection, city, redemption, id=UUID(str(redemption_id)))
    return row


async def points_of(connection: AsyncConnection, city: City, member_id: UUID) -> list[int]:
    """What a member's purses hold, the earliest expiry first."""
    return [purse.points for purse in await purses.purses_of(connection, city.book_id, [member_id])]


async def stock_of(connection: AsyncConnection, city: City, reward_id: UUID) -> int:
    """How many of a reward are left."""
    (row,) = await rows(connection, city, reward, id=reward_id)
    return int(row.stock)


async def balance_of(connection: AsyncConnection, city: City, account_id: UUID) -> int:
    """What an account holds."""
    found = await purses.balances(connection, city.book_id, [account_id])
    return found[account_id]


async def proved(engine: AsyncEngine, city: City) -> bool:
    """Whether the book proves itself from its rows alone."""
    async with engine.connect() as connection:
        return (await purses.audit(connection, city.book_id)).passed


async def committed(engine: AsyncEngine, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
    """Do something in a transaction of its own, again for as long as another session got in between."""
    for _ in range(30):
        try:
            async with engine.begin() as connection:
                return await work(connection)
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) not in ("40001", "40P01", "23505"):
                raise
    raise AssertionError("never settled")


@asynccontextmanager
async def counted(connection: AsyncConnection) -> AsyncIterator[list[str]]:
    """The statements that are sent meanwhile."""
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        sent.append(statement)

    event.listen(connection.sync_connection, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(connection.sync_connection, "before_cursor_execute", note)
