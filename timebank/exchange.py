"""Service records for other systems: one line of JSON a record, with every field that Order 67 asks of a record.

docs/reference/exchange.md describes the lines by a JSON Schema, which is that of `Line`.
"""

from collections.abc import AsyncIterator
from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta
from sqlalchemy import and_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import founding, members, vault
from timebank.keys import Keys
from timebank.tables import member, record, region, service_kind, station

FORMAT: Literal["timebank-records/1"] = "timebank-records/1"
LINES_AT_ONCE = 500


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One service record that was verified."""

    format: Literal["timebank-records/1"] = FORMAT
    record_id: UUID
    volunteer_id: UUID
    volunteer: str | None
    """The volunteer's name; null for somebody who was erased, and where names were left out."""
    region_code: str | None
    """The national division code of where the volunteer lives."""
    activity_zh: str
    activity_en: str
    content: str
    """What was done."""
    kind: str
    """The kind of service in the catalogue."""
    place: str
    day: date
    """The community's day."""
    started_at: datetime
    ended_at: datetime
    minutes: Annotated[int, Meta(ge=0)]
    """The actual time, as verified."""
    organising_unit: str
    person_in_charge: str
    station_number: int
    grade: Literal["A", "B", "C", "D"]
    """What proves it."""
    is_corrected: bool
    decided_at: datetime
    recorded_at: datetime
    """When it was entered; Order 67 gives ten working days."""


def schema() -> dict[str, Any]:
    """The JSON Schema of a line."""
    (_,), components = msgspec.json.schema_components([Line])
    return dict(components["Line"])


async def lines(
    connection: AsyncConnection,
    book_id: int,
    keys: Keys,
    *,
    since: date | None = None,
    until: date | None = None,
    with_names: bool = True,
) -> AsyncIterator[bytes]:
    """Every verified record, by day of service, a line each; of the days from `since` to `until`, both included.

    Memory stays flat. One transaction in which nothing moves makes it one moment. Refusal `book_missing`.
    """
    await founding.refuse_missing(connection, book_id)
    query = (
        select(
            *(column for column in record.c if column.name not in ("book_id", "holds")),
            member.c.book_id,
            member.c.key_id,
            member.c.data_key,
            member.c.personal,
            member.c.state.label("member_state"),
            region.c.code.label("region_code"),
            service_kind.c.code.label("kind"),
            station.c.number.label("station_number"),
        )
        .join_from(record, member, and_(member.c.book_id == record.c.book_id, member.c.id == record.c.member_id))
        .join(region, and_(region.c.book_id == member.c.book_id, region.c.id == member.c.region_id))
        .join(
            service_kind,
            and_(service_kind.c.book_id == record.c.book_id, service_kind.c.id == record.c.service_kind_id),
        )
        .join(station, and_(station.c.book_id == record.c.book_id, station.c.id == record.c.station_id))
        .where(record.c.book_id == book_id, record.c.state == "verified")
        .order_by(record.c.local_day, record.c.id)
        .limit(LINES_AT_ONCE)
    )
    if since is not None:
        query = query.where(record.c.local_day >= since)
    if until is not None:
        query = query.where(record.c.local_day <= until)
    after: tuple[date, UUID] | None = None
    while True:
        page = query if after is None else query.where(tuple_(record.c.local_day, record.c.id) > after)
        rows = (await connection.execute(page)).all()
        for row in rows:
            yield msgspec.json.encode(line(row, keys, with_names=with_names)) + b"\n"
        if len(rows) < LINES_AT_ONCE:
            return
        after = (rows[-1].local_day, rows[-1].id)


def line(row: Any, keys: Keys, *, with_names: bool) -> Line:
    """One record for others."""
    return Line(
        record_id=row.id,
        volunteer_id=row.member_id,
        volunteer=name_of(row, keys) if with_names else None,
        region_code=row.region_code,
        activity_zh=row.activity_zh,
        activity_en=row.activity_en,
        content=row.content,
        kind=row.kind,
        place=row.place,
        day=row.local_day,
        started_at=row.started_at,
        ended_at=row.ended_at,
        minutes=row.credited_minutes,
        organising_unit=row.organising_unit,
        person_in_charge=row.person_in_charge,
        station_number=row.station_number,
        grade=row.grade,
        is_corrected=row.correction_id is not None,
        decided_at=row.decided_at,
        recorded_at=row.recorded_at,
    )


def name_of(row: Any, keys: Keys) -> str | None:
    """The name of a record's volunteer, whose own row it is joined to."""
    if row.member_state in members.GONE or row.data_key is None:
        return None
    sealed = vault.unwrap(keys, Person(row.book_id, row.member_id, row.key_id, row.data_key))
    plain = vault.decrypt(sealed, row.personal, vault.binding("member", row.book_id, row.member_id))
    found: str = msgspec.json.decode(plain, type=dict[str, Any])["name"]
    return found


class Person(msgspec.Struct, frozen=True):
    """As much of a member's row as its key needs."""

    book_id: int
    id: UUID
    key_id: int
    data_key: bytes
