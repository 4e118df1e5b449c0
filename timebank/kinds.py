"""The catalogue of service kinds: one for the whole city, so that the same help is counted the same everywhere.

The seven helps 七助 say whom somebody stands by, the four elder aids 四助 what older people are helped with, and the
community kinds cover the rest.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Row, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import trail
from timebank.ids import uuid7
from timebank.tables import service_kind


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
    added = 0
    for position, kind in enumerate(CATALOGUE, start=1):
        values = {"book_id": book_id, "id": uuid7(now), "position": position * 10, **kind._asdict()}
        row = (
            await connection.execute(
                insert(service_kind)
                .values(**values)
                .on_conflict_do_nothing(index_elements=["book_id", "code"])
                .returning(service_kind.c.id)
            )
        ).one_or_none()
        if row is not None:
            added += 1
            await trail.write(
                connection,
                book_id,
                actor_id=actor_id,
                action="service_kind.add",
                subject_kind="service_kind",
                subject_id=row.id,
                after=kind._asdict(),
                now=now,
            )
    return added


async def catalogue(connection: AsyncConnection, book_id: int) -> Sequence[Row[Any]]:
    """The kinds in use, in the order of the catalogue."""
    query = (
        select(service_kind)
        .where(service_kind.c.book_id == book_id, service_kind.c.active)
        .order_by(service_kind.c.position, service_kind.c.code)
    )
    return (await connection.execute(query)).all()


async def by_code(connection: AsyncConnection, book_id: int) -> dict[str, UUID]:
    """The id of every kind in use, by its code."""
    return {row.code: row.id for row in await catalogue(connection, book_id)}
