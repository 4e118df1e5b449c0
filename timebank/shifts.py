"""Shifts of the simplest kind: when a station expects people. They turn nobody away; who comes outside is asked."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import ARRAY, Row, Select, Uuid, any_, bindparam, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import access, outbox, stations, trail
from timebank.cursors import Cursor, Page, rising
from timebank.errors import Invalid, NotFound
from timebank.rows import Query
from timebank.tables import attendance, shift, station

SHIFT_ROLES = ("manager", "admin")
LONGEST = timedelta(hours=24)
FURTHEST = timedelta(days=400)
GRACE_LIMIT_MINUTES = 240
CAPACITY_LIMIT = 10_000

Arrival = Literal["early", "on_time", "late"]


async def add(
    connection: AsyncConnection,
    book_id: int,
    *,
    station_id: UUID,
    starts_at: datetime,
    ends_at: datetime,
    id: UUID,
    now: datetime,
    actor_id: UUID,
    grace_minutes: int = 15,
    capacity: int | None = None,
    service_kind_id: UUID | None = None,
) -> UUID:
    """Plan a shift at a station of the actor's. Sent twice, it is planned once.

    Errors: `not_found` (station, service kind), `invalid` (ends_at, starts_at, grace_minutes, capacity).
    """
    await access.visible_station(connection, book_id, station_id, actor_id=actor_id, roles=SHIFT_ROLES, now=now)
    if service_kind_id is not None:
        await stations.require_kind(connection, book_id, service_kind_id)
    if ends_at <= starts_at:
        raise Invalid(field="ends_at", reason="before_start")
    if ends_at - starts_at > LONGEST:
        raise Invalid(field="ends_at", reason="range")
    if abs(starts_at - now) > FURTHEST:
        raise Invalid(field="starts_at", reason="range")
    if not 0 <= grace_minutes <= GRACE_LIMIT_MINUTES:
        raise Invalid(field="grace_minutes", reason="range")
    if capacity is not None and not 1 <= capacity <= CAPACITY_LIMIT:
        raise Invalid(field="capacity", reason="range")
    added = await connection.execute(
        insert(shift)
        .values(
            book_id=book_id,
            id=id,
            station_id=station_id,
            service_kind_id=service_kind_id,
            starts_at=starts_at,
            ends_at=ends_at,
            grace_minutes=grace_minutes,
            capacity=capacity,
            state="planned",
            created_by=actor_id,
            created_at=now,
        )
        .on_conflict_do_nothing(index_elements=["book_id", "id"])
    )
    if added.rowcount:
        await outbox.tell(connection, book_id, "shift.planned", [id], now)
        await trail.write(
            connection,
            book_id,
            actor_id=actor_id,
            action="shift.add",
            subject_kind="shift",
            subject_id=id,
            after={
                "station_id": str(station_id),
                "starts_at": starts_at.isoformat(),
                "ends_at": ends_at.isoformat(),
                "grace_minutes": grace_minutes,
                "capacity": capacity,
            },
            now=now,
        )
    return id


async def cancel(connection: AsyncConnection, book_id: int, shift_id: UUID, *, now: datetime, actor_id: UUID) -> None:
    """Take a shift back. Who came for it stays checked in. Cancelling twice changes nothing; `not_found` elsewhere."""
    query = select(shift).where(shift.c.book_id == book_id, shift.c.id == shift_id)
    row = await access.one(connection, query, "shift")
    try:
        await access.visible_station(connection, book_id, row.station_id, actor_id=actor_id, roles=SHIFT_ROLES, now=now)
    except NotFound:
        raise NotFound(kind="shift") from None
    cancelled = await connection.execute(
        update(shift)
        .where(shift.c.book_id == book_id, shift.c.id == shift_id, shift.c.state == "planned")
        .values(state="cancelled")
    )
    if cancelled.rowcount:
        await outbox.tell(connection, book_id, "shift.cancelled", [shift_id], now)
        await trail.write(
            connection,
            book_id,
            actor_id=actor_id,
            action="shift.cancel",
            subject_kind="shift",
            subject_id=shift_id,
            before={"state": "planned"},
            after={"state": "cancelled"},
            now=now,
        )


async def planned(
    connection: AsyncConnection,
    book_id: int,
    station_id: UUID,
    *,
    since: datetime,
    until: datetime | None = None,
    kind_id: UUID | None = None,
    after: Cursor | None = None,
    limit: int = 50,
) -> Page:
    """The shifts of a station that end after `since`, the first to end first; each with `people`, who came for it.

    `until` leaves only those that begin before it. `kind_id` leaves only those of that kind of service; one that was
    planned without a kind is of the station's.
    """
    people = (
        select(func.count())
        .where(attendance.c.book_id == shift.c.book_id, attendance.c.shift_id == shift.c.id)
        .scalar_subquery()
    )
    query: Select[Any] = select(shift, people.label("people")).where(
        shift.c.book_id == book_id,
        shift.c.station_id == station_id,
        shift.c.ends_at > since,
        shift.c.state == "planned",
    )
    if until is not None:
        query = query.where(shift.c.starts_at < until)
    if kind_id is not None:
        usual = select(station.c.service_kind_id).where(station.c.book_id == book_id, station.c.id == station_id)
        query = query.where(func.coalesce(shift.c.service_kind_id, usual.scalar_subquery()) == kind_id)
    return await rising(connection, query, shift.c.ends_at, shift.c.id, after, limit)


async def near(
    connection: AsyncConnection, book_id: int, moments: Mapping[UUID, Collection[datetime]]
) -> dict[UUID, list[Row[Any]]]:
    """The shifts of stations, by station id, within a day of the moments that are asked about."""
    found: dict[UUID, list[Row[Any]]] = defaultdict(list)
    times = [at for each in moments.values() for at in each]
    if not times:
        return found
    rows = await NEAR.rows(
        connection, book_id=book_id, stations=list(moments), since=min(times) - LONGEST, until=max(times) + LONGEST
    )
    for row in rows:
        found[row.station_id].append(row)
    return found


NEAR = Query(
    select(shift)
    .where(
        shift.c.book_id == bindparam("book_id"),
        shift.c.station_id == any_(bindparam("stations", type_=ARRAY(Uuid))),
        shift.c.state == "planned",
        shift.c.ends_at > bindparam("since"),
        shift.c.starts_at < bindparam("until"),
    )
    .order_by(shift.c.starts_at, shift.c.id)
)


def at(rows: Sequence[Row[Any]], moment: datetime) -> Row[Any] | None:
    """The shift that somebody who comes at `moment` comes for: from its start less the grace until its end, the one
    that starts last of several. None outside."""
    fitting = [row for row in rows if row.starts_at - timedelta(minutes=row.grace_minutes) <= moment < row.ends_at]
    return max(fitting, key=lambda row: (row.starts_at, row.id)) if fitting else None


def arrival(row: Any, moment: datetime) -> Arrival:
    """Whether somebody came before the start of a shift, within its grace, or after."""
    if moment < row.starts_at:
        return "early"
    return "on_time" if moment <= row.starts_at + timedelta(minutes=row.grace_minutes) else "late"
