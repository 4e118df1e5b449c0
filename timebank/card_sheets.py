"""Cards for many members at once: each gets one who has none, and all of them are printed together."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid5

from sqlalchemy import and_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import access, cards, members
from timebank.cards import ISSUING_ROLES
from timebank.errors import BankError, Invalid, NotFound
from timebank.keys import Keys
from timebank.tables import card, member, region

# Ten sheets of ten.
SHEET_LIMIT = 100


@dataclass(frozen=True, slots=True)
class NamedCard:
    """A card that is good now, and whose it is."""

    member_id: UUID
    name: str
    number: int
    issued_at: datetime


async def ready(
    connection: AsyncConnection,
    book_id: int,
    keys: Keys,
    texts: Sequence[str],
    *,
    replace: bool,
    id: UUID,
    now: datetime,
    actor_id: UUID,
) -> list[UUID]:
    """See to it that everybody in a list has a card; answers their ids in order, each once.

    `texts` are phone numbers or scanned cards, up to `SHEET_LIMIT`. With `replace` everybody gets a new card, and the
    one before is revoked. Sent twice under one `id`, it is one. Errors: `invalid` (members: missing, too_long), and for
    a text those of `cards.find` and `cards.issue`, with its `line` counted from 1; then nobody got one.
    """
    if not texts:
        raise Invalid(field="members", reason="missing")
    if len(texts) > SHEET_LIMIT:
        raise Invalid(field="members", reason="too_long")
    found: dict[UUID, None] = {}
    for line, text in enumerate(texts, start=1):
        try:
            person = await cards.find(connection, book_id, keys, text, now)
            await access.served_member(connection, book_id, person.id, actor_id=actor_id, roles=ISSUING_ROLES, now=now)
        except BankError as error:
            error.data["line"] = line
            raise
        found[person.id] = None
    # In one order, so that two who print for the same people do not wait for each other in a ring.
    for member_id in sorted(found):
        if replace or await cards.live(connection, book_id, member_id) is None:
            own_id = uuid5(id, str(member_id))
            await cards.issue(connection, book_id, member_id, id=own_id, now=now, actor_id=actor_id)
    return list(found)


async def of_served(
    connection: AsyncConnection,
    book_id: int,
    keys: Keys,
    member_ids: Collection[UUID],
    *,
    actor_id: UUID,
    now: datetime,
) -> list[NamedCard]:
    """The cards of members whom the actor serves, in the order of their ids as asked.

    Errors: `invalid` (member: missing, too_long), `not_found` (member: not served, or without a card).
    """
    if not 0 < len(member_ids) <= SHEET_LIMIT:
        raise Invalid(field="member", reason="too_long" if member_ids else "missing")
    query = (
        select(card.c.member_id, card.c.number, card.c.issued_at)
        .join_from(card, member, and_(member.c.book_id == card.c.book_id, member.c.id == card.c.member_id))
        .join(region, and_(region.c.book_id == member.c.book_id, region.c.id == member.c.region_id))
        .where(
            card.c.book_id == book_id,
            card.c.member_id.in_(member_ids),
            card.c.revoked_at.is_(None),
            member.c.state != "erased",
            access.serves(actor_id, ISSUING_ROLES, now),
        )
    )
    rows = {row.member_id: row for row in await connection.execute(query)}
    names = await members.names(connection, book_id, keys, rows)
    if any(member_id not in rows for member_id in member_ids):
        raise NotFound(kind="member")
    return [
        NamedCard(member_id, names.get(member_id, ""), rows[member_id].number, rows[member_id].issued_at)
        for member_id in member_ids
    ]
