"""Service that has happened, written as rows, and what managers and volunteers then do about it.

The rows are those that check-ins come to, whichever way they came: a test chooses grade, holds and who entered them.
"""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.audit import audit
from ledger.queries import balances
from tests.factories import MORNING, City
from timebank import corrections, ending, inquiries, purses, redemptions, verification
from timebank.clock import local_day
from timebank.commands import Answer
from timebank.corrections import Correct
from timebank.ending import Cancel
from timebank.ids import uuid7
from timebank.inquiries import Ask, Decline
from timebank.redemptions import Redeem
from timebank.tables import attendance, punch, record
from timebank.verification import Verify


async def served(
    connection: AsyncConnection,
    city: City,
    member_id: UUID,
    at: datetime = MORNING,
    minutes: int = 120,
    *,
    grade: str = "A",
    holds: tuple[str, ...] = (),
    entered_by: UUID | None = None,
    station: Any = None,
    kind: str = "help_elderly",
) -> UUID:
    """A record that waits; answers its id."""
    place = station or city.station
    in_id, out_id, ended_at = uuid7(at), uuid7(at), at + timedelta(minutes=minutes)
    source = "manual" if entered_by else "live"
    of_both = {"book_id": city.book_id, "member_id": member_id, "station_id": place.id}
    for id_, way, when in ((in_id, "in", at), (out_id, "out", ended_at)):
        scan = {"kind": way, "source": source, "entered_by": entered_by, "occurred_at": when, "recorded_at": when}
        await connection.execute(insert(punch).values(**of_both, id=id_, holds=[], **scan))
    kind_id = city.kinds[kind]
    stay = {"in_punch_id": in_id, "out_punch_id": out_id, "started_at": at, "ended_at": ended_at, "state": "closed"}
    await connection.execute(insert(attendance).values(**of_both, id=in_id, service_kind_id=kind_id, **stay))
    await connection.execute(
        insert(record).values(
            **of_both,
            id=in_id,
            service_kind_id=kind_id,
            activity_zh=place.name_zh,
            activity_en=place.name_en,
            place=place.address,
            content="助老",
            organising_unit=place.organising_unit,
            person_in_charge=place.person_in_charge,
            started_at=at,
            ended_at=ended_at,
            local_day=local_day(at, await purses.time_zone(connection, city.book_id)),
            measured_minutes=minutes,
            grade=grade,
            holds=list(holds),
            state="waiting",
            points_state="none",
            recorded_at=ended_at,
        )
    )
    return in_id


async def verify(
    connection: AsyncConnection, city: City, record_id: UUID, now: datetime = MORNING, **more: Any
) -> Answer:
    """One decision of the manager's, unless `actor_id` says otherwise."""
    values = {"actor_id": city.manager_id, "verdict": "verify", **more}
    command = Verify(id=uuid7(now), record_id=record_id, **values)
    (answer,) = await verification.verify(connection, city.book_id, [command], now)
    return answer


async def verified(
    connection: AsyncConnection, city: City, member_id: UUID, at: datetime = MORNING, minutes: int = 120, **more: Any
) -> UUID:
    """A record that the manager has verified as it was; answers its id."""
    record_id = await served(connection, city, member_id, at, minutes, **more)
    answer = await verify(connection, city, record_id, at + timedelta(hours=12))
    assert answer.code == "ok", answer
    return record_id


async def correct(
    connection: AsyncConnection,
    city: City,
    record_id: UUID,
    minutes: int | None,
    now: datetime = MORNING + timedelta(days=1),
    **more: Any,
) -> Answer:
    """One correction of the manager's, unless `actor_id` says otherwise."""
    values = {"actor_id": city.manager_id, "reason": "left early", **more}
    command = Correct(id=uuid7(now), record_id=record_id, minutes=minutes, **values)
    (answer,) = await corrections.correct(connection, city.book_id, [command], now, keys=city.keys)
    return answer


async def ask(
    connection: AsyncConnection, city: City, member_id: UUID, record_id: UUID, question: str, now: datetime = MORNING
) -> Answer:
    """One question of a volunteer's."""
    command = Ask(id=uuid7(now), actor_id=member_id, record_id=record_id, question=question)
    (answer,) = await inquiries.ask(connection, city.book_id, [command], now, keys=city.keys)
    return answer


async def decline(
    connection: AsyncConnection, city: City, inquiry_id: UUID | str, reason: str, now: datetime = MORNING, **more: Any
) -> Answer:
    """One answer of the manager's in words."""
    command = Decline(
        id=uuid7(now), inquiry_id=UUID(str(inquiry_id)), reason=reason, **{"actor_id": city.manager_id, **more}
    )
    (answer,) = await inquiries.decline(connection, city.book_id, [command], now, keys=city.keys)
    return answer


async def redeem(
    connection: AsyncConnection, city: City, member_id: UUID, reward_id: UUID, now: datetime = MORNING
) -> Answer:
    """Hold points for a reward."""
    command = Redeem(id=uuid7(now), actor_id=member_id, reward_id=reward_id)
    (answer,) = await redemptions.redeem(connection, city.book_id, [command], now, secret=city.keys.redemption)
    return answer


async def cancel(
    connection: AsyncConnection, city: City, member_id: UUID, redemption_id: UUID | str, now: datetime = MORNING
) -> Answer:
    """Give a redemption up."""
    command = Cancel(id=uuid7(now), actor_id=member_id, redemption_id=UUID(str(redemption_id)))
    (answer,) = await ending.cancel(connection, city.book_id, [command], now)
    return answer


async def row_of(connection: AsyncConnection, city: City, record_id: UUID) -> Row[Any]:
    """A record as it stands."""
    query = select(record).where(record.c.book_id == city.book_id, record.c.id == record_id)
    return (await connection.execute(query)).one()


async def points(connection: AsyncConnection, city: City, member_id: UUID) -> int:
    """What all purses of a member hold, past or not."""
    return sum(purse.points for purse in await purses.purses_of(connection, city.book_id, [member_id]))


async def owed(connection: AsyncConnection, city: City, member_id: UUID) -> int:
    """What a member owes."""
    return (await purses.owed(connection, city.book_id, [member_id]))[member_id]


async def fund_points(connection: AsyncConnection, city: City) -> int:
    """What the city's fund holds."""
    account_id = purses.fund_account(city.fund_id)
    return (await balances(connection, city.book_id, [account_id]))[account_id]


async def assert_sound(connection: AsyncConnection, city: City) -> None:
    """The ledger proves itself, from its rows alone. Commits, because it is proved in a snapshot of its own."""
    await connection.commit()
    report = await audit(connection, city.book_id)
    await connection.rollback()
    assert report.passed, report.findings
