"""Two members who are one person become one: what the absorbed one had is the survivor's from then on.

The ledger keeps the past as it was: hours and purses of the absorbed member are emptied into the survivor's by postings
of code `merge`, of the same fund and last day, and the survivor's statement reads the old accounts too.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import access, consents, members, postings, trail
from timebank.errors import BankError, Invalid, NotFound
from timebank.ids import uuid7
from timebank.tables import (
    attendance,
    card,
    erasure,
    guardian,
    helping,
    member,
    record,
    redemption,
    role_grant,
)

# What goes over to the survivor, row by row, locked in this order. A test fails for a table that names a member and
# stands neither here nor in KEPT.
MOVED = (attendance, record, redemption)
# What stays with the absorbed member, with the reason.
KEPT = {
    "activation.issued_by": "who printed it, under the id they had then",
    "activation.member_id": "dropped: the survivor signs in as before",
    "card.member_id": "revoked: the survivor has a card of their own, or gets one",
    "certificate.issued_by": "who issued it, under the id they had then",
    "certificate.member_id": "what was printed stays as it was, under the name of then; its records go over",
    "confirmation.member_id": "evidence is never changed",
    "consent.answered_by": "who answered, under the id they had then",
    "consent.member_id": "an answer is the account's that gave it; a later no is written down for the survivor too",
    "decision.actor_id": "who decided, under the id they had then",
    "door_code.issued_by": "who issued it, under the id they had then",
    "door_code.resident_id": "whom was visited, under the id they had then",
    "door_code.used_by": "who used it, under the id they had then",
    "erasure.asked_by": "who asked, under the id they had then",
    "erasure.ended_by": "who carried it out, under the id they had then",
    "erasure.member_id": "a wish ends with the account that it was about; the survivor asks anew",
    "fulfilment.clerk_id": "who handed it over, under the id they had then",
    "fulfilment_undo.clerk_id": "who took it back, under the id they had then",
    "guardian.child_id": "goes over, unless the survivor has the same guardian already",
    "guardian.guardian_id": "goes over, unless the survivor acts for the same child already",
    "helping.ended_by": "who ended it, under the id they had then",
    "helping.granted_by": "who granted it, under the id they had then",
    "helping.helper_id": "ended: whoever is helped chooses anew",
    "helping.member_id": "ended: the survivor chooses anew",
    "identity_check.checked_by": "who saw it, under the id they had then",
    "identity_check.member_id": "dropped: the survivor shows it again",
    "import_run.actor_id": "who imported, under the id they had then",
    "import_upload.actor_id": "who uploaded it, under the id they had then",
    "inquiry.answered_by": "who answered, under the id they had then",
    "inquiry.member_id": "sealed under the key of whoever asked; it is found by its record, which goes over",
    "member.merged_into": "says where the absorbed member went",
    "outside_account.member_id": "dropped: the survivor links it again",
    "outside_errand.member_id": "dropped, with where they were sent",
    "passkey.member_id": "dropped: the survivor adds one of their own",
    "passkey_challenge.member_id": "dropped, with what was asked",
    "pin.locked_by": "on whose device it was locked",
    "pin.member_id": "dropped: the survivor types a PIN of their own",
    "pin.witness_id": "at whose desk it was chosen",
    "punch.member_id": "evidence is never changed; the attendance that it belongs to goes over",
    "punch.resident_id": "evidence is never changed",
    "punch_decision.actor_id": "who decided, under the id they had then",
    "purse.member_id": "emptied; the survivor's own purse of the same fund and day is filled",
    "read_token.member_id": "dropped: the survivor makes one of their own",
    "reading.member_id": "whom somebody looked at, under the id they had then",
    "reading.reader_id": "who looked, under the id they had then",
    "redemption.ended_by": "who handed it over, under the id they had then",
    "redemption.made_by": "who redeemed it, under the id they had then",
    "role_grant.member_id": "ended",
    "session.child_id": "ended: who acted for the absorbed signs in anew",
    "session.member_id": "ended",
    "shift_feed.member_id": "dropped: the survivor makes an address of their own",
    "webhook.added_by": "who added it, under the id they had then",
    "shift.created_by": "who planned it, under the id they had then",
}


class CheckedIn(BankError):
    """One of the two serves at this moment."""

    code = "checked_in"


@dataclass(frozen=True, slots=True)
class Merged:
    """What went over."""

    minutes: int
    points: int
    records: int
    redemptions: int


async def merge(
    connection: AsyncConnection,
    book_id: int,
    *,
    survivor_id: UUID,
    absorbed_id: UUID,
    id: UUID,
    now: datetime,
    actor_id: UUID | None,
) -> Merged:
    """Make one member of two. `id` is the command's, from which the postings' ids follow.

    Errors: `invalid` (absorbed_id, reason `same`), `not_found` (either is outside the branch, erased, or was merged
    before), `role_not_allowed` (see `access.require_over`, for both), `checked_in`.
    """
    if survivor_id == absorbed_id:
        raise Invalid(field="absorbed_id", reason="same")
    survivor, absorbed = await both(connection, book_id, (survivor_id, absorbed_id), actor_id, now)
    serving = select(attendance.c.id).where(
        attendance.c.book_id == book_id,
        attendance.c.member_id.in_((survivor_id, absorbed_id)),
        attendance.c.state == "open",
    )
    if (await connection.execute(serving.limit(1))).one_or_none() is not None:
        raise CheckedIn()
    moved = {}
    for table in MOVED:
        theirs = (table.c.book_id == book_id, table.c.member_id == absorbed_id)
        await connection.execute(select(table.c.id).where(*theirs).order_by(table.c.id).with_for_update(key_share=True))
        changed = await connection.execute(update(table).where(*theirs).values(member_id=survivor_id))
        moved[table.name] = changed.rowcount
    await keep_refusals(connection, book_id, survivor_id, absorbed_id, actor_id, now)
    await close(connection, book_id, survivor, absorbed, now)
    # In later statements than the locks: nothing of the absorbed member's moves any more.
    minutes, points = await postings.merge(
        connection, book_id, id=id, from_id=absorbed_id, into_id=survivor_id, actor_id=actor_id, now=now
    )
    result = Merged(minutes, points, moved["record"], moved["redemption"])
    facts = {
        "minutes": minutes,
        "points": points,
        "records": result.records,
        "redemptions": result.redemptions,
    }
    for subject, action, other in (
        (absorbed, "member.merge", {"merged_into": str(survivor_id)}),
        (survivor, "member.absorb", {"absorbed_id": str(absorbed_id)}),
    ):
        await trail.write(
            connection,
            book_id,
            actor_id=actor_id,
            action=action,
            subject_kind="member",
            subject_id=subject.id,
            before={"state": subject.state},
            after={**other, **facts},
            now=now,
        )
    return result


async def both(
    connection: AsyncConnection, book_id: int, ids: tuple[UUID, UUID], actor_id: UUID | None, now: datetime
) -> tuple[Row[Any], Row[Any]]:
    """The two rows, locked in order of ids, for an actor who may change both."""
    for member_id in ids:
        await members.require(connection, book_id, member_id, actor_id, now)
    if actor_id is not None:
        for member_id in ids:
            await access.require_over(connection, book_id, member_id, actor_id=actor_id, now=now)
    query = select(member).where(member.c.book_id == book_id, member.c.id.in_(ids)).order_by(member.c.id)
    rows = {row.id: row for row in await connection.execute(query.with_for_update())}
    if any(row.state in members.GONE for row in rows.values()):
        raise NotFound(kind="member")
    return rows[ids[0]], rows[ids[1]]


async def keep_refusals(
    connection: AsyncConnection,
    book_id: int,
    survivor_id: UUID,
    absorbed_id: UUID,
    actor_id: UUID | None,
    now: datetime,
) -> None:
    """What one person has refused last stays refused, with whichever account they said so. A yes does not go over."""
    known = {each.text.purpose: each for each in await consents.standing(connection, book_id, survivor_id)}
    for theirs in await consents.standing(connection, book_id, absorbed_id):
        mine = known[theirs.text.purpose]
        if theirs.agreed is not False or theirs.at is None or theirs.number is None:
            continue
        if mine.agreed is False or (mine.at is not None and mine.at > theirs.at):
            continue
        await consents.answer(
            connection,
            book_id,
            survivor_id,
            purpose=theirs.text.purpose,
            number=theirs.number,
            agreed=False,
            id=uuid7(now),
            actor_id=actor_id,
            now=now,
        )


async def close(
    connection: AsyncConnection, book_id: int, survivor: Row[Any], absorbed: Row[Any], now: datetime
) -> None:
    """End the absorbed member: no roles, card, PIN, sessions, no way to sign in; whoever was merged into it follows."""
    for table in members.FORGOTTEN:
        await connection.execute(delete(table).where(table.c.book_id == book_id, table.c.member_id == absorbed.id))
    await move_guardians(connection, book_id, survivor.id, absorbed.id)
    await connection.execute(
        update(role_grant)
        .where(
            role_grant.c.book_id == book_id,
            role_grant.c.member_id == absorbed.id,
            role_grant.c.ends_at.is_(None) | (role_grant.c.ends_at > now),
        )
        .values(ends_at=func.greatest(role_grant.c.starts_at, now))
    )
    await connection.execute(
        update(card)
        .where(card.c.book_id == book_id, card.c.member_id == absorbed.id, card.c.revoked_at.is_(None))
        .values(revoked_at=now)
    )
    await members.end_sessions(connection, book_id, absorbed.id)
    await connection.execute(
        update(helping)
        .where(
            helping.c.book_id == book_id,
            (helping.c.member_id == absorbed.id) | (helping.c.helper_id == absorbed.id),
            helping.c.ended_at.is_(None),
        )
        .values(ended_at=now, ended_by=survivor.id)
    )
    await connection.execute(
        update(erasure)
        .where(erasure.c.book_id == book_id, erasure.c.member_id == absorbed.id, erasure.c.state == "asked")
        .values(state="withdrawn", ended_at=now)
    )
    await connection.execute(
        update(member)
        .where(member.c.book_id == book_id, member.c.merged_into == absorbed.id)
        .values(merged_into=survivor.id)
    )
    await connection.execute(
        update(member)
        .where(member.c.book_id == book_id, member.c.id == absorbed.id)
        .values(
            state="merged",
            merged_into=survivor.id,
            phone_index=None,
            password_hash=None,
            version=member.c.version + 1,
        )
    )
    await connection.execute(
        update(member)
        .where(member.c.book_id == book_id, member.c.id == survivor.id)
        # Two who may not verify each other's hours do not begin to when one of them changes ids.
        .values(household_id=survivor.household_id or absorbed.household_id, version=member.c.version + 1)
    )


async def move_guardians(connection: AsyncConnection, book_id: int, survivor_id: UUID, absorbed_id: UUID) -> None:
    """Whoever acted for the absorbed member, and for whom they acted, from now on with the survivor."""
    other = guardian.alias()
    for mine, theirs in (("child_id", "guardian_id"), ("guardian_id", "child_id")):
        # Where both have the same, it lasts as long as the longer one.
        await connection.execute(
            update(guardian)
            .where(
                guardian.c.book_id == book_id,
                guardian.c[mine] == survivor_id,
                other.c.book_id == book_id,
                other.c[mine] == absorbed_id,
                other.c[theirs] == guardian.c[theirs],
                other.c.until > guardian.c.until,
            )
            .values(until=other.c.until, closed_at=other.c.closed_at)
        )
        known = select(guardian.c[theirs]).where(guardian.c.book_id == book_id, guardian.c[mine] == survivor_id)
        await connection.execute(
            update(guardian)
            .where(
                guardian.c.book_id == book_id,
                guardian.c[mine] == absorbed_id,
                guardian.c[theirs] != survivor_id,
                guardian.c[theirs].not_in(known),
            )
            .values({mine: survivor_id})
        )
