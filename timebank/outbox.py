"""What other systems shall be told, written in the transaction of what happened: neither is ever there without the
other. Nothing here waits for anybody outside; `timebank/webhooks.py` does the rest.
"""

from collections.abc import Collection
from datetime import datetime
from functools import cache
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    DateTime,
    Select,
    Text,
    Uuid,
    and_,
    any_,
    bindparam,
    func,
    insert,
    literal,
    literal_column,
    select,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import trail
from timebank.tables import certificate, member, record, redemption, region, shift, webhook, webhook_message

Event = Literal[
    "record.verified",
    "record.corrected",
    "redemption.fulfilled",
    "certificate.issued",
    "shift.planned",
    "shift.cancelled",
]
# By the first word of an event: the region of what it happened to.
REGIONS: dict[str, Select[Any]] = {
    "record": trail.of_station(record),
    "redemption": trail.of_station(redemption),
    "shift": trail.of_station(shift),
    "certificate": select(certificate.c.book_id, certificate.c.id, member.c.region_id).join_from(
        certificate,
        member,
        and_(member.c.book_id == certificate.c.book_id, member.c.id == certificate.c.member_id),
    ),
}


async def tell(
    connection: AsyncConnection, book_id: int, event: Event, subject_ids: Collection[UUID], now: datetime
) -> None:
    """Write a message for every webhook that wants to know of `event` where it happened, for each of the subjects."""
    if subject_ids:
        await connection.execute(
            statement(event.partition(".")[0]),
            {"of_book": book_id, "told": event, "subjects": list(subject_ids), "now": now},
        )


@cache
def statement(kind: str) -> Any:
    """The one statement for subjects of a kind."""
    place = REGIONS[kind].subquery()
    now = bindparam("now", type_=DateTime(timezone=True))
    rows = (
        select(
            webhook.c.book_id,
            func.gen_random_uuid(),
            webhook.c.id,
            bindparam("told", type_=Text),
            place.c.id,
            now,
            literal("waiting", Text),
            literal_column("0"),
            now,
        )
        .select_from(webhook)
        .join(place, place.c.book_id == webhook.c.book_id)
        .join(region, and_(region.c.book_id == place.c.book_id, region.c.id == place.c.region_id))
        .where(
            webhook.c.book_id == bindparam("of_book"),
            bindparam("told", type_=Text) == any_(webhook.c.events),
            place.c.id == any_(bindparam("subjects", type_=ARRAY(Uuid))),
            webhook.c.region_id == any_(region.c.path),
        )
    )
    names = ["book_id", "id", "webhook_id", "event", "subject_id", "at", "state", "tries", "due_at"]
    return insert(webhook_message).from_select(names, rows)
