"""Member cards: printed, good until they are replaced; and what their owner says to a scan of theirs.

A card shows who somebody is. That they are there is vouched for by the station that scans it, and by the member: with
the PIN at the station, or afterwards, signed in on their own phone.
"""

import secrets
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, and_, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import access, codes, members, policies, policy, trail
from timebank.cursors import Cursor, Page, page
from timebank.errors import BankError, NotFound
from timebank.keys import Keys
from timebank.tables import attendance, card, confirmation, member, punch, record, region, station

# Who gives cards to the people whom they serve.
ISSUING_ROLES = ("manager", "admin")
NUMBER_BITS = 44


class CardRevoked(BankError):
    """The card was replaced or taken out of use."""

    code = "card_revoked"


async def holders(connection: AsyncConnection, book_id: int, numbers: Collection[int | None]) -> dict[int, Row[Any]]:
    """By card number: `member_id`, `household_id`, the region's `path`, and `revoked_at`."""
    if not numbers:
        return {}
    rows: Sequence[Any] = (
        await connection.execute(
            select(card.c.number, card.c.revoked_at, card.c.member_id, member.c.household_id, region.c.path)
            .join_from(card, member, and_(member.c.book_id == card.c.book_id, member.c.id == card.c.member_id))
            .join(region, and_(region.c.book_id == member.c.book_id, region.c.id == member.c.region_id))
            .where(card.c.book_id == book_id, card.c.number.in_(numbers))
        )
    ).all()
    return {row.number: row for row in rows}


async def households(
    connection: AsyncConnection, book_id: int, member_ids: Collection[UUID]
) -> dict[UUID, UUID | None]:
    """The household of each member, where anybody is asked for."""
    if not member_ids:
        return {}
    rows = await connection.execute(
        select(member.c.id, member.c.household_id).where(member.c.book_id == book_id, member.c.id.in_(member_ids))
    )
    return {row.id: row.household_id for row in rows}


async def holder(connection: AsyncConnection, book_id: int, keys: Keys, text: str, now: datetime) -> UUID:
    """Whose card it is. Raises `code_malformed`, `code_forged` or `card_revoked`."""
    number = codes.read_card_code(keys.card, text, now).card_number or 0
    row = (await holders(connection, book_id, {number})).get(number)
    if row is None or row.revoked_at is not None:
        raise CardRevoked()
    found: UUID = row.member_id
    return found


async def find(connection: AsyncConnection, book_id: int, keys: Keys, text: str, now: datetime) -> Row[Any]:
    """The member whose card was scanned, or whose phone number or member number was typed.

    Who has neither phone nor card yet is named by the number. Raises as `holder` what looks like a card; `invalid`
    (phone), and `not_found`, else.
    """
    if (number := member_number(text)) is not None:
        known = await members.by_id(connection, book_id, number)
        if known.state in members.GONE:
            raise NotFound(kind="member")
        return known
    if len(codes.normalise(text)) == codes.CARD_LENGTH:
        return await members.by_id(connection, book_id, await holder(connection, book_id, keys, text, now))
    row = await members.by_phone(connection, book_id, keys, text)
    if row is None:
        raise NotFound(kind="member")
    return row


def member_number(text: str) -> UUID | None:
    """The member number that a text spells; None when it spells none."""
    try:
        return UUID(text) if len(text) == 36 else None
    except ValueError:
        return None


async def live(connection: AsyncConnection, book_id: int, member_id: UUID) -> Row[Any] | None:
    """The card that a member has now."""
    query = select(card).where(card.c.book_id == book_id, card.c.member_id == member_id, card.c.revoked_at.is_(None))
    return (await connection.execute(query)).one_or_none()


async def issue(
    connection: AsyncConnection, book_id: int, member_id: UUID, *, id: UUID, now: datetime, actor_id: UUID
) -> Row[Any]:
    """Give a member a card; the one before, lost or not, is revoked in the same step. Sent twice, it is one card.

    By the member, or by somebody who serves them. Errors: `not_found` (member).
    """
    if actor_id != member_id:
        await access.served_member(connection, book_id, member_id, actor_id=actor_id, roles=ISSUING_ROLES, now=now)
    # One at a time for each member: there is one card that is good.
    await connection.execute(
        select(member.c.id).where(member.c.book_id == book_id, member.c.id == member_id).with_for_update(key_share=True)
    )
    query = select(card).where(card.c.book_id == book_id, card.c.id == id)
    known = (await connection.execute(query)).one_or_none()
    if known is not None:
        if known.member_id != member_id:
            raise NotFound(kind="member")
        return known
    before = await live(connection, book_id, member_id)
    await connection.execute(
        update(card)
        .where(card.c.book_id == book_id, card.c.member_id == member_id, card.c.revoked_at.is_(None))
        .values(revoked_at=now)
    )
    row: Row[Any] | None = None
    while row is None:
        values = {"book_id": book_id, "id": id, "number": secrets.randbits(NUMBER_BITS), "member_id": member_id}
        added = await connection.execute(
            insert(card)
            .values(**values, issued_at=now)
            .on_conflict_do_nothing(index_elements=["book_id", "number"])
            .returning(card)
        )
        row = added.one_or_none()
    await trail.write(
        connection,
        book_id,
        actor_id=actor_id,
        action="card.issue",
        subject_kind="member",
        subject_id=member_id,
        before={"card_id": str(before.id)} if before else None,
        after={"card_id": str(id)},
        now=now,
    )
    return row


async def revoke(connection: AsyncConnection, book_id: int, member_id: UUID, *, now: datetime, actor_id: UUID) -> None:
    """Take a member's card out of use without a new one. Without a card, nothing happens. Errors as `issue`."""
    if actor_id != member_id:
        await access.served_member(connection, book_id, member_id, actor_id=actor_id, roles=ISSUING_ROLES, now=now)
    gone = await connection.execute(
        update(card)
        .where(card.c.book_id == book_id, card.c.member_id == member_id, card.c.revoked_at.is_(None))
        .values(revoked_at=now)
        .returning(card.c.id)
    )
    row = gone.one_or_none()
    if row is not None:
        await trail.write(
            connection,
            book_id,
            actor_id=actor_id,
            action="card.revoke",
            subject_kind="member",
            subject_id=member_id,
            before={"card_id": str(row.id)},
            after={"card_id": None},
            now=now,
        )


# A scan of a card that its owner has not vouched for, as long as it still makes a difference.
UNVOUCHED = and_(
    punch.c.source == "card",
    punch.c.vouched_by.is_(None),
    ~select(confirmation.c.punch_id)
    .where(confirmation.c.book_id == punch.c.book_id, confirmation.c.punch_id == punch.c.id)
    .correlate(punch)
    .exists(),
)


def unconfirmed(book_id: int, member_id: UUID) -> Select[Any]:
    """The scans of a member's card that they may still confirm, with the record they belong to, if there is one."""
    return (
        select(
            punch.c.id,
            punch.c.kind,
            punch.c.occurred_at,
            station.c.name_zh.label("station_zh"),
            station.c.name_en.label("station_en"),
            attendance.c.id.label("attendance_id"),
            record.c.state.label("record_state"),
        )
        .join_from(
            punch,
            attendance,
            and_(
                attendance.c.book_id == punch.c.book_id,
                # An attendance has the id of its first scan.
                (attendance.c.id == punch.c.id) | (attendance.c.out_punch_id == punch.c.id),
            ),
        )
        .join(station, and_(station.c.book_id == punch.c.book_id, station.c.id == punch.c.station_id))
        .outerjoin(record, and_(record.c.book_id == attendance.c.book_id, record.c.id == attendance.c.id))
        .where(
            punch.c.book_id == book_id,
            punch.c.member_id == member_id,
            UNVOUCHED,
            record.c.state.is_(None) | (record.c.state == "waiting"),
        )
        .order_by(punch.c.occurred_at, punch.c.id)
    )


async def to_confirm(
    connection: AsyncConnection, book_id: int, member_id: UUID, *, after: Cursor | None = None, limit: int = 20
) -> Page:
    """What a station scanned of a member's card and nobody has vouched for, the first first."""
    query = unconfirmed(book_id, member_id)
    if after is not None:
        query = query.where(tuple_(punch.c.occurred_at, punch.c.id) > tuple_(*after))
    return page((await connection.execute(query.limit(limit + 1))).all(), limit, "occurred_at")


async def confirm(
    connection: AsyncConnection, book_id: int, keys: Keys, punch_id: UUID, *, member_id: UUID, now: datetime
) -> None:
    """The member says from their own phone that a scan of their card was theirs: it counts like a PIN from then on.

    A record that waits is graded again. Sent twice, nothing changes. `not_found` for anything that is not an
    undecided scan of this member's card.
    """
    await connection.execute(
        select(member.c.id).where(member.c.book_id == book_id, member.c.id == member_id).with_for_update(key_share=True)
    )
    known = select(confirmation.c.punch_id).where(
        confirmation.c.book_id == book_id, confirmation.c.punch_id == punch_id, confirmation.c.member_id == member_id
    )
    if (await connection.execute(known)).one_or_none() is not None:
        return
    row = await access.one(connection, unconfirmed(book_id, member_id).where(punch.c.id == punch_id), "punch")
    await connection.execute(
        insert(confirmation).values(book_id=book_id, punch_id=punch_id, member_id=member_id, confirmed_at=now)
    )
    if row.record_state is not None:
        await grade_again(connection, book_id, keys, row.attendance_id)
    await trail.write(
        connection,
        book_id,
        actor_id=member_id,
        action="card.confirm",
        subject_kind="punch",
        subject_id=punch_id,
        now=now,
        request_id=None,
    )


async def grade_again(connection: AsyncConnection, book_id: int, keys: Keys, record_id: UUID) -> None:
    """Grade a record that waits by what is known of its two ends now; one that becomes A may be drawn."""
    locked = await connection.execute(
        select(record.c.local_day, record.c.holds)
        .where(record.c.book_id == book_id, record.c.id == record_id, record.c.state == "waiting")
        .with_for_update(key_share=True)
    )
    found = locked.one_or_none()
    if found is None:
        # A manager has just decided it.
        return
    vouched = punch.c.vouched_by.is_not(None) | confirmation.c.punch_id.is_not(None)
    ends = await connection.execute(
        select(punch.c.source, vouched.label("vouched"))
        .join_from(
            attendance,
            punch,
            and_(
                punch.c.book_id == attendance.c.book_id,
                (punch.c.id == attendance.c.in_punch_id) | (punch.c.id == attendance.c.out_punch_id),
            ),
        )
        .outerjoin(confirmation, and_(confirmation.c.book_id == punch.c.book_id, confirmation.c.punch_id == punch.c.id))
        .where(attendance.c.book_id == book_id, attendance.c.id == record_id)
    )
    evidence = [policy.evidence(row.source, row.vouched) for row in ends]
    # An end that is missing is one that the manager sets.
    first, second = [*evidence, "manual"][:2]
    grade = policy.record_grade(first, second)
    holds = list(found.holds)
    rules = policies.on_day(await policies.versions(connection, book_id), found.local_day).rules
    if grade == "A" and policy.drawn(keys.draw, record_id, rules.draw_percent):
        holds = policy.in_order([*holds, "drawn"])
    await connection.execute(
        update(record).where(record.c.book_id == book_id, record.c.id == record_id).values(grade=grade, holds=holds)
    )
