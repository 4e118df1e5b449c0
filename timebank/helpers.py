"""Helpers: a neighbour, a child grown up or a grid worker who acts for a member, for a time and within limits.

The member grants it, or a manager at the desk with the member's card; the member, the helper and whoever serves the
member end it. A helper goes on in the session that was their own, for the member from then on: it sees what is there,
redeems within a day's limit, gives a redemption up and asks about a record. Whatever is done names both in the trail.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Row, Select, and_, func, insert, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from timebank import access, cards, desk, guardians, members, membership, policy, readings, sessions, trail
from timebank.cards import ISSUING_ROLES
from timebank.clock import day_start
from timebank.cursors import Cursor, Page, falling
from timebank.errors import BankError, Conflict, Invalid, NotAllowed, NotFound
from timebank.keys import Keys
from timebank.tables import audit_entry, helping, member, redemption

# What made it sure that the member wants it: their own session, their PIN at the desk, their card alone.
Vouched = Literal["self", "pin", "card"]
# What is done about helpers and by them, as the member reads it.
DEEDS = (
    "helping.grant",
    "helping.end",
    "helping.act",
    "helping.stop",
    "redemption.make",
    "redemption.cancel",
    "inquiry.ask",
)


class HelperNotAllowed(BankError):
    """A helper does not do this, or is none any more."""

    code = "helper_not_allowed"


class HelpersFull(BankError):
    """The member has as many helpers as there may be, or the helper helps as many as anybody may."""

    code = "helpers_full"


def in_force(now: Any) -> Any:
    """The condition that somebody may act for a member at `now`: the start is included, the end is not."""
    return and_(helping.c.starts_at <= now, helping.c.ends_at > now, helping.c.ended_at.is_(None))


def still_to_come(now: datetime) -> Any:
    """The condition that it holds now or will."""
    return and_(helping.c.ends_at > now, helping.c.ended_at.is_(None))


async def grant(
    connection: AsyncConnection,
    book_id: int,
    member_id: UUID,
    helper_id: UUID,
    *,
    starts_at: datetime | None,
    ends_at: datetime,
    vouched: Vouched,
    id: UUID,
    actor_id: UUID,
    now: datetime,
) -> None:
    """Let somebody act for a member, from `starts_at` (now) until `ends_at`. By the member, or a manager at the desk.

    Errors: `not_found` (member), `own_redemption` (a manager for himself or his household, on either side), `invalid`
    (helper, reason `same`; ends_at, reason `range`: over, or more than a year on), `role_not_allowed` (who is a child
    or suspended), `conflict` (helper: helps already), `helpers_full`.
    """
    if helper_id == member_id:
        raise Invalid(field="helper", reason="same")
    if actor_id != member_id:
        for each in (member_id, helper_id):
            await desk.require_other(connection, book_id, each, actor_id=actor_id, now=now)
    known = await connection.scalar(
        select(helping.c.id).where(
            helping.c.book_id == book_id,
            helping.c.id == id,
            helping.c.member_id == member_id,
            helping.c.helper_id == helper_id,
        )
    )
    if known is not None:
        return
    begins = max(starts_at or now, now)
    if not begins < ends_at <= now + timedelta(days=policy.HELPING_DAYS):
        raise Invalid(field="ends_at", reason="range")
    # Both locked, in one order: what is counted stays so.
    for each in sorted((member_id, helper_id)):
        row = await membership.locked_row(connection, book_id, each)
        if row.state != "active" or await guardians.guardian_ids(connection, book_id, each, now):
            raise NotAllowed()
    count = select(func.count()).where(helping.c.book_id == book_id, still_to_come(now))
    both = count.where(helping.c.member_id == member_id, helping.c.helper_id == helper_id)
    if await connection.scalar(both):
        raise Conflict(field="helper")
    theirs = await connection.scalar(count.where(helping.c.member_id == member_id)) or 0
    helped = await connection.scalar(count.where(helping.c.helper_id == helper_id)) or 0
    if theirs >= policy.HELPERS_LIMIT or helped >= policy.HELPED_LIMIT:
        raise HelpersFull()
    await connection.execute(
        insert(helping).values(
            book_id=book_id,
            id=id,
            member_id=member_id,
            helper_id=helper_id,
            starts_at=begins,
            ends_at=ends_at,
            vouched=vouched,
            granted_by=actor_id,
            granted_at=now,
        )
    )
    facts = {"helper_id": str(helper_id), "starts_at": begins.isoformat(), "ends_at": ends_at.isoformat()}
    await write(connection, book_id, "helping.grant", member_id, actor_id, now, facts)


async def assign(
    engine: AsyncEngine,
    book_id: int,
    keys: Keys,
    *,
    card_text: str,
    digits: str | None,
    helper: str,
    ends_at: datetime,
    id: UUID,
    actor_id: UUID,
    now: datetime,
) -> None:
    """A manager assigns a helper to the holder of a card, who types the PIN or does not. Sent twice, it is one.

    `helper` is a phone number, a card or a member number. Errors: as `cards.find`, `grant`; with a PIN `desk.agreed`.
    """
    if digits:
        await desk.agreed(engine, book_id, keys, card_text=card_text, digits=digits, actor_id=actor_id, now=now)
    async with engine.begin() as connection:
        member_id = await cards.holder(connection, book_id, keys, card_text, now)
        found = await cards.find(connection, book_id, keys, helper, now)
        await grant(
            connection,
            book_id,
            member_id,
            found.id,
            starts_at=None,
            ends_at=ends_at,
            vouched="pin" if digits else "card",
            id=id,
            actor_id=actor_id,
            now=now,
        )


async def household(connection: AsyncConnection, book_id: int, member_id: UUID) -> list[UUID]:
    """The others of a member's household."""
    own = member.alias()
    query = (
        select(member.c.id)
        .join(own, and_(own.c.book_id == member.c.book_id, own.c.household_id == member.c.household_id))
        .where(member.c.book_id == book_id, own.c.id == member_id, member.c.id != member_id, member.c.state == "active")
        .order_by(member.c.joined_at, member.c.id)
    )
    return list(await connection.scalars(query))


async def of_household(connection: AsyncConnection, book_id: int, member_id: UUID, other_id: UUID | None) -> UUID:
    """The id of somebody of a member's household; `not_found` for anybody else."""
    if other_id is None or other_id not in await household(connection, book_id, member_id):
        raise NotFound(kind="member")
    return other_id


async def end(connection: AsyncConnection, book_id: int, helping_id: UUID, *, actor_id: UUID, now: datetime) -> None:
    """End it at once: the member, the helper, or a manager who serves the member. Ended before, nothing happens.

    Errors: `not_found`.
    """
    query = select(helping).where(helping.c.book_id == book_id, helping.c.id == helping_id).with_for_update()
    row = await access.one(connection, query, "helping")
    if actor_id not in (row.member_id, row.helper_id):
        try:
            await access.served_member(
                connection, book_id, row.member_id, actor_id=actor_id, roles=ISSUING_ROLES, now=now
            )
        except NotFound:
            raise NotFound(kind="helping") from None
    if row.ended_at is not None:
        return
    await connection.execute(
        update(helping)
        .where(helping.c.book_id == book_id, helping.c.id == helping_id)
        .values(ended_at=now, ended_by=actor_id)
    )
    await write(connection, book_id, "helping.end", row.member_id, actor_id, now, {"helper_id": str(row.helper_id)})


async def act(
    connection: AsyncConnection, book_id: int, helping_id: UUID, *, token: str, actor_id: UUID, now: datetime
) -> tuple[str, UUID]:
    """Go on for a member, in the session of `token`: it gets another token, answered with the member. The look is kept.

    Errors: `not_found`, for everybody else and whenever it does not hold.
    """
    query = (
        select(helping.c.member_id)
        .join(member, and_(member.c.book_id == helping.c.book_id, member.c.id == helping.c.member_id))
        .where(
            helping.c.book_id == book_id,
            helping.c.id == helping_id,
            helping.c.helper_id == actor_id,
            in_force(now),
            member.c.state.not_in(members.GONE),
        )
    )
    member_id: UUID | None = await connection.scalar(query)
    if member_id is None:
        raise NotFound(kind="helping")
    changed = await sessions.turn(connection, book_id, token, helping_id=helping_id)
    await write(connection, book_id, "helping.act", member_id, actor_id, now)
    await readings.note(connection, book_id, actor_id, [member_id], "statement", now)
    return changed, member_id


async def stop(
    connection: AsyncConnection, book_id: int, member_id: UUID, *, token: str, helper_id: UUID, now: datetime
) -> str:
    """Go on for oneself again, in the session of `token`: it gets another token, which is answered."""
    changed = await sessions.turn(connection, book_id, token)
    await write(connection, book_id, "helping.stop", member_id, helper_id, now)
    return changed


class ByAnother(Protocol):
    """A command that somebody may have sent for its member."""

    @property
    def actor_id(self) -> UUID:
        """For whom."""

    @property
    def by_id(self) -> UUID | None:
        """Who; none: the member."""


def pairs(commands: Iterable[ByAnother]) -> set[tuple[UUID, UUID]]:
    """(member, whoever acts) of the commands that were sent for somebody else."""
    return {(command.actor_id, command.by_id) for command in commands if command.by_id is not None}


async def pairs_in_force(
    connection: AsyncConnection, book_id: int, asked: Collection[tuple[UUID, UUID]], now: datetime
) -> set[tuple[UUID, UUID]]:
    """Those (member, helper) where the helper may act now; no statement where nothing is asked."""
    if not asked:
        return set()
    rows = await connection.execute(
        select(helping.c.member_id, helping.c.helper_id)
        .join(member, and_(member.c.book_id == helping.c.book_id, member.c.id == helping.c.helper_id))
        .where(
            helping.c.book_id == book_id,
            tuple_(helping.c.member_id, helping.c.helper_id).in_(list(asked)),
            in_force(now),
            member.c.state == "active",
        )
    )
    return {(member_id, helper_id) for member_id, helper_id in rows}


async def redeemed_today(
    connection: AsyncConnection, book_id: int, asked: Collection[tuple[UUID, UUID]], now: datetime, zone: ZoneInfo
) -> Counter[UUID]:
    """What helpers redeemed today for the members of these pairs, and neither gave up nor let time out, in points."""
    if not asked:
        return Counter()
    rows = await connection.execute(
        select(redemption.c.member_id, func.sum(redemption.c.points))
        .where(
            redemption.c.book_id == book_id,
            redemption.c.member_id.in_({member_id for member_id, _ in asked}),
            redemption.c.by_helper,
            redemption.c.state.in_(("held", "fulfilled")),
            redemption.c.held_at >= day_start(now, zone),
        )
        .group_by(redemption.c.member_id)
    )
    return Counter({member_id: int(points) for member_id, points in rows})


async def of(connection: AsyncConnection, book_id: int, member_id: UUID, now: datetime) -> Sequence[Row[Any]]:
    """Who helps a member and whom they help, now or to come, the first to begin first. At most `policy`'s limits."""
    query = (
        select(helping)
        .where(
            helping.c.book_id == book_id,
            or_(helping.c.member_id == member_id, helping.c.helper_id == member_id),
            still_to_come(now),
        )
        .order_by(helping.c.starts_at, helping.c.id)
    )
    rows: Sequence[Row[Any]] = (await connection.execute(query)).all()
    return rows


async def deeds(
    connection: AsyncConnection,
    book_id: int,
    member_id: UUID,
    *,
    actor_id: UUID | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    before: Cursor | None = None,
    limit: int = 20,
) -> Page:
    """What others did for a member, the latest first: `id`, `at`, `actor_id`, `action`.

    `actor_id` leaves only what one of them did, `since` and `until` what was done from then on and before.
    """
    query: Select[Any] = select(audit_entry.c.id, audit_entry.c.at, audit_entry.c.actor_id, audit_entry.c.action).where(
        *for_member(book_id, member_id)
    )
    if actor_id is not None:
        query = query.where(audit_entry.c.actor_id == actor_id)
    if since is not None:
        query = query.where(audit_entry.c.at >= since)
    if until is not None:
        query = query.where(audit_entry.c.at < until)
    return await falling(connection, query, audit_entry.c.at, audit_entry.c.id, before, limit)


async def who_did(connection: AsyncConnection, book_id: int, member_id: UUID) -> Sequence[UUID]:
    """Who ever did something for a member: whoever stands in `deeds`."""
    query = select(audit_entry.c.actor_id).distinct().where(*for_member(book_id, member_id))
    return (await connection.scalars(query.order_by(audit_entry.c.actor_id))).all()


def for_member(book_id: int, member_id: UUID) -> Sequence[ColumnElement[bool]]:
    """The conditions that an entry of the trail says what another one did for a member."""
    return (
        audit_entry.c.book_id == book_id,
        audit_entry.c.subject_id == member_id,
        audit_entry.c.action.in_(DEEDS),
        audit_entry.c.actor_id != member_id,
    )


async def write(
    connection: AsyncConnection,
    book_id: int,
    action: str,
    member_id: UUID,
    actor_id: UUID,
    now: datetime,
    facts: dict[str, Any] | None = None,
) -> None:
    """Say so in the trail, which names both."""
    await trail.write(
        connection,
        book_id,
        actor_id=actor_id,
        action=action,
        subject_kind="member",
        subject_id=member_id,
        after=facts,
        now=now,
    )
