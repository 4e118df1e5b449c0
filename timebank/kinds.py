"""The catalogue of service kinds: one for the whole city, so that the same help is counted the same everywhere.

The seven helps 七助 say whom somebody stands by, the four elder aids 四助 what older people are helped with, and the
community kinds cover the rest.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Row, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import access, texts, trail
from timebank.cursors import Page, Ranked, rising
from timebank.errors import BankError, Conflict, Invalid, NotAllowed
from timebank.ids import uuid7
from timebank.tables import region, service_kind

NAME_LIMIT = 40
HIGHEST_POSITION = 1_000_000
CATALOGUES = ("seven_helps", "four_aids", "community")
STATES = ("offered", "retired")


class KindFixed(BankError):
    """The kind belongs to the national catalogue, and is neither renamed nor retired."""

    code = "kind_fixed"


class Kind(NamedTuple):
    """One kind of service; `code` never changes, names may."""

    code: str
    catalogue: str
    name_zh: str
    name_en: str


CATALOGUE = (
    Kind("help_elderly", "seven_helps", "助老", "Helping older people"),
    Kind("help_young", "seven_helps", "助幼", "Helping children and young people"),
    Kind("help_disabled", "seven_helps", "助残", "Helping disabled people"),
    Kind("help_orphaned", "seven_helps", "助孤", "Helping orphaned children"),
    Kind("help_sick", "seven_helps", "助病", "Helping people who are ill"),
    Kind("help_alone", "seven_helps", "助独", "Helping people who live alone"),
    Kind("help_special", "seven_helps", "助特", "Helping families in special hardship"),
    Kind("aid_meals", "four_aids", "助餐", "Meals for older people"),
    Kind("aid_medical", "four_aids", "助医", "Medical company for older people"),
    Kind("aid_recreation", "four_aids", "助乐", "Recreation with older people"),
    Kind("aid_safety", "four_aids", "助安", "Safety at home for older people"),
    Kind("duty", "community", "站点值守", "Duty at the station"),
    Kind("environment", "community", "环境清洁", "Keeping the neighbourhood clean"),
    Kind("patrol", "community", "平安巡逻", "Neighbourhood patrol"),
    Kind("culture", "community", "文体活动", "Culture and sport"),
    Kind("advice", "community", "政策宣讲", "Explaining public services"),
    Kind("free_clinic", "community", "义诊", "Free clinic"),
    Kind("mediation", "community", "邻里调解", "Settling quarrels between neighbours"),
    Kind("other", "community", "其他服务", "Other service"),
)


async def install(connection: AsyncConnection, book_id: int, *, now: datetime, actor_id: UUID | None = None) -> int:
    """Give the book every kind of the catalogue that it does not have. Answers how many are new."""
    missing = (
        insert(service_kind)
        .on_conflict_do_nothing(index_elements=["book_id", "code"])
        .returning(service_kind.c.id, service_kind.c.code)
    )
    rows = [
        {"book_id": book_id, "id": uuid7(now), "position": position * 10, **kind._asdict()}
        for position, kind in enumerate(CATALOGUE, start=1)
    ]
    ids = {row.code: row.id for row in await connection.execute(missing, rows)}
    await trail.write_added(
        connection,
        book_id,
        actor_id=actor_id,
        subject_kind="service_kind",
        added={ids[kind.code]: kind._asdict() for kind in CATALOGUE if kind.code in ids},
        now=now,
    )
    return len(ids)


async def is_keeper(connection: AsyncConnection, book_id: int, actor_id: UUID, now: datetime) -> bool:
    """Whether the actor administers the whole book: it has one catalogue."""
    held = await access.grants(connection, book_id, actor_id, now)
    root = await connection.scalar(select(region.c.id).where(region.c.book_id == book_id, region.c.parent_id.is_(None)))
    return any(grant.role == "admin" and grant.region_id == root for grant in held)


async def require_keeper(connection: AsyncConnection, book_id: int, actor_id: UUID | None, now: datetime) -> None:
    """Raise NotAllowed unless the actor, or the operator, administers the whole book."""
    if actor_id is not None and not await is_keeper(connection, book_id, actor_id, now):
        raise NotAllowed()


async def add(
    connection: AsyncConnection,
    book_id: int,
    *,
    code: str,
    name_zh: str,
    name_en: str,
    id: UUID,
    now: datetime,
    position: int | None = None,
    actor_id: UUID | None = None,
) -> UUID:
    """Add a kind of the community's own, at the end unless `position` says otherwise.

    `code` is lower-case letters, digits and underscores, and never changes. Errors: `role_not_allowed` (the actor does
    not administer the whole book), `invalid` (code, names, position), `conflict` (code).
    """
    await require_keeper(connection, book_id, actor_id, now)
    if not re.fullmatch(r"[a-z][a-z0-9_]{1,39}", code):
        raise Invalid(field="code", reason="code")
    last = await connection.scalar(
        select(func.coalesce(func.max(service_kind.c.position), 0)).where(service_kind.c.book_id == book_id)
    )
    values = {
        "code": code,
        "catalogue": "community",
        "name_zh": texts.line("name_zh", name_zh, NAME_LIMIT),
        "name_en": texts.line("name_en", name_en, NAME_LIMIT),
        "position": min((last or 0) + 10, HIGHEST_POSITION) if position is None else checked_position(position),
    }
    added = await connection.execute(
        insert(service_kind)
        .values(book_id=book_id, id=id, **values)
        .on_conflict_do_nothing(index_elements=["book_id", "code"])
        .returning(service_kind.c.id)
    )
    if added.one_or_none() is None:
        raise Conflict(field="code")
    await trail.write(
        connection,
        book_id,
        actor_id=actor_id,
        action="service_kind.add",
        subject_kind="service_kind",
        subject_id=id,
        after=values,
        now=now,
    )
    return id


async def edit(
    connection: AsyncConnection,
    book_id: int,
    kind_id: UUID,
    *,
    now: datetime,
    name_zh: str | None = None,
    name_en: str | None = None,
    position: int | None = None,
    active: bool | None = None,
    actor_id: UUID | None = None,
) -> None:
    """Rename a kind, move it in the list, retire it or bring it back; what is None stays.

    The seven helps and the four aids are counted the same everywhere: they can only be moved. A kind that is retired
    stays on the records and stations that have it, and is not offered any more. Errors: `role_not_allowed`,
    `not_found`, `kind_fixed`, `invalid`.
    """
    await require_keeper(connection, book_id, actor_id, now)
    query = select(service_kind).where(service_kind.c.book_id == book_id, service_kind.c.id == kind_id)
    row = await access.one(connection, query.with_for_update(), "service_kind")
    values = {
        "name_zh": row.name_zh if name_zh is None else texts.line("name_zh", name_zh, NAME_LIMIT),
        "name_en": row.name_en if name_en is None else texts.line("name_en", name_en, NAME_LIMIT),
        "position": row.position if position is None else checked_position(position),
        "active": row.active if active is None else active,
    }
    changed = {name for name, value in values.items() if value != getattr(row, name)}
    if row.catalogue != "community" and changed - {"position"}:
        raise KindFixed()
    if not changed:
        return
    await connection.execute(
        update(service_kind).where(service_kind.c.book_id == book_id, service_kind.c.id == kind_id).values(**values)
    )
    await trail.write(
        connection,
        book_id,
        actor_id=actor_id,
        action="service_kind.edit",
        subject_kind="service_kind",
        subject_id=kind_id,
        before={name: getattr(row, name) for name in sorted(changed)},
        after={name: values[name] for name in sorted(changed)},
        now=now,
    )


def checked_position(position: int) -> int:
    """A place in the list that the column can hold."""
    if not 0 <= position <= HIGHEST_POSITION:
        raise Invalid(field="position", reason="range")
    return position


async def listed(
    connection: AsyncConnection,
    book_id: int,
    *,
    catalogue: str | None = None,
    state: str | None = None,
    after: Ranked | None = None,
    limit: int = 50,
) -> Page:
    """The kinds in the order of the catalogue, retired ones too: of one catalogue, or in one of `STATES`."""
    query = select(service_kind).where(service_kind.c.book_id == book_id)
    if catalogue is not None:
        query = query.where(service_kind.c.catalogue == catalogue)
    if state is not None:
        query = query.where(service_kind.c.active == (state == "offered"))
    return await rising(connection, query, service_kind.c.position, service_kind.c.id, after, limit, Ranked)


async def catalogue(connection: AsyncConnection, book_id: int) -> Sequence[Row[Any]]:
    """The kinds in use, in the order of the catalogue."""
    query = (
        select(service_kind)
        .where(service_kind.c.book_id == book_id, service_kind.c.active)
        .order_by(service_kind.c.position, service_kind.c.id)
    )
    return (await connection.execute(query)).all()


async def by_code(connection: AsyncConnection, book_id: int) -> dict[str, UUID]:
    """The id of every kind in use, by its code."""
    return {row.code: row.id for row in await catalogue(connection, book_id)}
