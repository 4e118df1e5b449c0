"""Birth dates and guardians of members who did not join by themselves: an administrator enters them from papers.

What follows from a day of birth under 18 years ago: a guardian acts until the member is of age; they are of the
guardian's household, so neither verifies the other's hours; nobody else helps them, they help nobody, hold no role, and
stand on no roll of honour.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime
from datetime import time as clock_time
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, exists, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import guardians, joining, members, membership, purses, trail, vault
from timebank.errors import BankError, Invalid, NotAllowed
from timebank.keys import Keys
from timebank.tables import audit_entry, guardian, helping, member, role_grant

# From this birthday on somebody agrees to what is kept of them alone.
AGREEING_YEARS = 14
# What is encrypted and says where codes are sent.
ADDRESSES = ("phone", "mail")
# How many a job takes at a time.
OVER_BATCH = 100


class GuardianAnswers(BankError):
    """Who is under 14 does not agree to anything alone."""

    code = "guardian_answers"


async def record(
    connection: AsyncConnection,
    book_id: int,
    keys: Keys,
    member_id: UUID,
    *,
    born: date,
    guardian_id: UUID | None,
    actor_id: UUID,
    now: datetime,
) -> None:
    """Keep when a member was born and, of who is under 18, who their guardian is, in place of an earlier one.

    Without a guardian, the one they have stays. Of who is of age, every guardian's time ends. While it lasted, one
    could give the member a password, a phone, a mail address and a PIN: where a guardian's time ends here, these go
    with it (see `close_over` for where it ends by itself).

    Errors: `not_found` (the member, or the guardian, outside the branch or gone), `role_not_allowed` (see
    `access.require_over`; nobody makes themselves a guardian), `invalid` (born, reason `range`, or `has_role`;
    guardian_id, reason `missing` of a minor, `of_age` of who is none, `same`, `under_age`, `not_active`, or `range`
    after a dozen children).
    """
    # Both locked, in one order: two who make the same member a guardian wait for each other, and what is counted stays.
    both = select(member.c.id).where(
        member.c.book_id == book_id, member.c.id.in_({member_id, guardian_id or member_id})
    )
    await connection.execute(both.order_by(member.c.id).with_for_update(key_share=True))
    row = await membership.locked(connection, book_id, member_id, actor_id, now)
    zone = await purses.time_zone(connection, book_id)
    today = now.astimezone(zone).date()
    joining.check_born(born, today)
    known = sorted(await guardians.guardian_ids(connection, book_id, member_id, now))
    old = vault.unseal(keys, row) or {}
    household_id = row.household_id
    if joining.is_minor(born, today):
        chosen = known if guardian_id is None else [guardian_id]
        if not chosen:
            raise Invalid(field="guardian_id", reason="missing")
        if await responsible(connection, book_id, member_id, now):
            raise Invalid(field="born", reason="has_role")
        if guardian_id is not None and guardian_id not in known:
            await check_guardian(connection, book_id, keys, member_id, guardian_id, today, actor_id, now)
            household_id = await membership.household_of(connection, book_id, member_id, guardian_id, actor_id, now)
        of_age = joining.birthday(born, joining.FULL_AGE_YEARS)
        until = datetime.combine(of_age, clock_time(), zone).astimezone(UTC)
        await end_helping(connection, book_id, member_id, actor_id, now)
    else:
        if guardian_id is not None:
            raise Invalid(field="guardian_id", reason="of_age")
        chosen, until = [], now
    await let_act(connection, book_id, member_id, chosen, until, now)
    changed: dict[str, Any] = {"born": born.isoformat()}
    values: dict[str, Any] = {"household_id": household_id}
    if not set(known) <= set(chosen):
        changed |= {name: None for name in ADDRESSES if old.get(name)}
        values["phone_index"] = None
        await membership.close_ways_in(connection, book_id, member_id, actor_id, now)
    await connection.execute(
        update(member)
        .where(member.c.book_id == book_id, member.c.id == member_id)
        .values(**values, personal=vault.reseal(keys, row, {**old, **changed}), version=member.c.version + 1)
    )
    sealed = {"before": {name: old.get(name) for name in changed}, "after": changed}
    await trail.write(
        connection,
        book_id,
        actor_id=actor_id,
        action="member.birth",
        subject_kind="member",
        subject_id=member_id,
        before={"guardian_id": [str(each) for each in known], "household_id": said(row.household_id)},
        after={"guardian_id": [str(each) for each in chosen], "household_id": said(household_id)},
        personal=vault.seal_beside(keys, row, trail.PURPOSE, sealed),
        now=now,
    )


def closing(keys: Keys) -> Callable[[AsyncConnection, int, datetime], Awaitable[int]]:
    """The job that `close_over` is."""

    async def job(connection: AsyncConnection, book_id: int, now: datetime) -> int:
        return await close_over(connection, book_id, keys, now)

    return job


async def close_over(
    connection: AsyncConnection, book_id: int, keys: Keys, now: datetime, limit: int = OVER_BATCH
) -> int:
    """Close the ways in of members whose guardian's time is over because they are of age; answers how many.

    Whoever acted for them could have left one. A number or mail address that the office entered stays, and they sign in
    by a code to it; without one they show their papers, and an administrator enters their number.
    """
    other = guardian.alias()
    standing = exists().where(
        other.c.book_id == guardian.c.book_id, other.c.child_id == guardian.c.child_id, other.c.until > now
    )
    over = (guardian.c.book_id == book_id, guardian.c.until <= now, guardian.c.closed_at.is_(None), ~standing)
    children = select(guardian.c.child_id).where(*over).order_by(guardian.c.until).limit(limit)
    # The member first, as everywhere; whom another process has in hand is left to it.
    query = select(member).where(member.c.book_id == book_id, member.c.id.in_(children)).order_by(member.c.id)
    rows = (await connection.execute(query.with_for_update(skip_locked=True))).all()
    for row in rows:
        closed = await connection.execute(
            update(guardian).where(*over, guardian.c.child_id == row.id).values(closed_at=now)
        )
        if closed.rowcount and row.state not in members.GONE:
            await close(connection, book_id, keys, row, now)
    return len(rows)


async def close(connection: AsyncConnection, book_id: int, keys: Keys, row: Row[Any], now: datetime) -> None:
    """Close the ways in of a member whose row is locked: what signs them in, and where codes are sent."""
    old = vault.unseal(keys, row) or {}
    gone = {name: old[name] for name in await entered_on_own_page(connection, book_id, keys, row) if old.get(name)}
    await membership.close_ways_in(connection, book_id, row.id, None, now)
    if gone:
        await connection.execute(
            update(member)
            .where(member.c.book_id == book_id, member.c.id == row.id)
            .values(
                phone_index=None if "phone" in gone else member.c.phone_index,
                personal=vault.reseal(keys, row, {**old, **dict.fromkeys(gone)}),
            )
        )
    sealed = {"before": gone, "after": dict.fromkeys(gone)}
    await trail.write(
        connection,
        book_id,
        actor_id=None,
        action="guardian.over",
        subject_kind="member",
        subject_id=row.id,
        personal=vault.seal_beside(keys, row, trail.PURPOSE, sealed) if gone else None,
        now=now,
    )


async def entered_on_own_page(connection: AsyncConnection, book_id: int, keys: Keys, row: Row[Any]) -> set[str]:
    """Which of the ADDRESSES were last changed on the member's own page: by them, or by who acted for them."""
    query = (
        select(audit_entry.c.actor_id, audit_entry.c.personal)
        .where(
            audit_entry.c.book_id == book_id,
            audit_entry.c.subject_kind == "member",
            audit_entry.c.subject_id == row.id,
            audit_entry.c.action == "member.edit",
            audit_entry.c.personal.is_not(None),
        )
        .order_by(audit_entry.c.at, audit_entry.c.id)
    )
    last: dict[str, UUID | None] = {}
    for entry in await connection.execute(query):
        changed = vault.unseal_beside(keys, row, trail.PURPOSE, entry.personal)["after"]
        last |= dict.fromkeys(changed, entry.actor_id)
    return {name for name in ADDRESSES if last.get(name) == row.id}


async def require_own_yes(
    connection: AsyncConnection, book_id: int, keys: Keys, member_id: UUID, now: datetime
) -> None:
    """Raise `guardian_answers` for who is under 14 and agrees to something alone: a guardian does it for them.

    Source: Personal Information Protection Law, article 31. To say no takes nobody.
    """
    if await needs_guardian_to_agree(connection, book_id, keys, member_id, now):
        raise GuardianAnswers()


async def needs_guardian_to_agree(
    connection: AsyncConnection, book_id: int, keys: Keys, member_id: UUID, now: datetime
) -> bool:
    """Whether a member is under 14, as far as their day of birth is known."""
    born = (await members.personal(connection, book_id, keys, member_id) or {}).get("born")
    if not born:
        return False
    today = now.astimezone(await purses.time_zone(connection, book_id)).date()
    return joining.birthday(date.fromisoformat(born), AGREEING_YEARS) > today


def said(id: UUID | None) -> str | None:
    """An id as the trail keeps it."""
    return str(id) if id else None


async def check_guardian(
    connection: AsyncConnection,
    book_id: int,
    keys: Keys,
    member_id: UUID,
    guardian_id: UUID,
    today: date,
    actor_id: UUID,
    now: datetime,
) -> None:
    """Raise unless somebody may become the guardian; see `record`."""
    if guardian_id == member_id:
        raise Invalid(field="guardian_id", reason="same")
    if guardian_id == actor_id:
        # Who acts for somebody sees and does what is theirs: nobody gives that to themselves.
        raise NotAllowed()
    row = await members.require(connection, book_id, guardian_id, actor_id, now)
    if row.state != "active":
        raise Invalid(field="guardian_id", reason="not_active")
    born = (vault.unseal(keys, row) or {}).get("born")
    if (born and joining.is_minor(date.fromisoformat(born), today)) or await guardians.guardian_ids(
        connection, book_id, guardian_id, now
    ):
        raise Invalid(field="guardian_id", reason="under_age")
    if len(await guardians.children(connection, book_id, guardian_id, now)) >= guardians.CHILDREN_LIMIT:
        raise Invalid(field="guardian_id", reason="range")


async def responsible(connection: AsyncConnection, book_id: int, member_id: UUID, now: datetime) -> bool:
    """Whether somebody holds a role, or will, or is themselves somebody's guardian."""
    role = exists().where(
        role_grant.c.book_id == book_id,
        role_grant.c.member_id == member_id,
        or_(role_grant.c.ends_at.is_(None), role_grant.c.ends_at > now),
    )
    child = exists().where(guardian.c.book_id == book_id, guardian.c.guardian_id == member_id, guardian.c.until > now)
    return bool(await connection.scalar(select(or_(role, child))))


async def end_helping(
    connection: AsyncConnection, book_id: int, member_id: UUID, actor_id: UUID, now: datetime
) -> None:
    """End whatever somebody does for others, or others for them, as a helper."""
    await connection.execute(
        update(helping)
        .where(
            helping.c.book_id == book_id,
            or_(helping.c.member_id == member_id, helping.c.helper_id == member_id),
            helping.c.ended_at.is_(None),
            helping.c.ends_at > now,
        )
        .values(ended_at=now, ended_by=actor_id)
    )


async def let_act(
    connection: AsyncConnection, book_id: int, member_id: UUID, chosen: list[UUID], until: datetime, now: datetime
) -> None:
    """Let these act for a child until then, and nobody else any more."""
    await connection.execute(
        update(guardian)
        .where(guardian.c.book_id == book_id, guardian.c.child_id == member_id, guardian.c.until > now)
        # What they could have left is closed with it, see `record`.
        .values(until=now, closed_at=now)
    )
    for each in chosen:
        row = {"book_id": book_id, "child_id": member_id, "guardian_id": each, "since": now, "until": until}
        await connection.execute(
            insert(guardian)
            .values(**row)
            .on_conflict_do_update(
                index_elements=["book_id", "child_id", "guardian_id"], set_={"until": until, "closed_at": None}
            )
        )


async def of(
    connection: AsyncConnection, book_id: int, keys: Keys, row: Row[Any], now: datetime
) -> tuple[date | None, list[Row[Any]]]:
    """When the member of a row was born, if that is known, and who acts for them: rows with `guardian_id`, `until`."""
    born = (vault.unseal(keys, row) or {}).get("born")
    query: Select[Any] = (
        select(guardian.c.guardian_id, guardian.c.until)
        .where(guardian.c.book_id == book_id, guardian.c.child_id == row.id, guardian.c.until > now)
        .order_by(guardian.c.since, guardian.c.guardian_id)
    )
    return (date.fromisoformat(born) if born else None), list((await connection.execute(query)).all())
