"""Members as administrators look them up and change them: always those of their branch, always with a trail."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, and_, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import access, members, regions, texts, trail, vault
from timebank.cursors import Cursor, Page, falling
from timebank.errors import Invalid, NotFound
from timebank.ids import uuid7
from timebank.keys import Keys
from timebank.tables import helping, member, pin, region

ROLES = ("admin",)
STATES = ("active", "suspended", "erased", "merged")
FOUND_LIMIT = 100
# How many names a job indexes at a time.
INDEX_BATCH = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What shall be different about a member; what is None stays. `phone` "" takes the number away, `mail` "" the
    address.

    `household_of` is another member of the branch, whose household becomes this member's; the member's own id takes
    him out of his.
    """

    name: str | None = None
    phone: str | None = None
    region_id: UUID | None = None
    household_of: UUID | None = None
    mail: str | None = None
    locale: str | None = None


def in_branch(book_id: int, actor_id: UUID, now: datetime) -> Select[Any]:
    """The members of the actor's branch, each with `region_zh` and `region_en`."""
    return (
        select(member, region.c.name_zh.label("region_zh"), region.c.name_en.label("region_en"))
        .join_from(member, region, and_(region.c.book_id == member.c.book_id, region.c.id == member.c.region_id))
        .where(member.c.book_id == book_id, access.covers_region(actor_id, ROLES, now))
    )


async def listed(
    connection: AsyncConnection,
    book_id: int,
    *,
    actor_id: UUID,
    now: datetime,
    region_id: UUID | None = None,
    state: str | None = None,
    before: Cursor | None = None,
    limit: int = 20,
) -> Page:
    """The members of the actor's branch, who joined last first: of one region and below it, in one state."""
    query = in_branch(book_id, actor_id, now)
    if region_id is not None:
        query = query.where(access.below(region_id))
    if state is not None:
        query = query.where(member.c.state == state)
    return await falling(connection, query, member.c.joined_at, member.c.id, before, limit)


async def found(
    connection: AsyncConnection,
    book_id: int,
    keys: Keys,
    *,
    actor_id: UUID,
    now: datetime,
    phone: str | None = None,
    name: str | None = None,
    id: UUID | None = None,
) -> Sequence[Row[Any]]:
    """The members of the actor's branch with this phone number, this whole name or this id; at most 100, oldest first.

    Errors: `invalid` (phone; or not exactly one of the three given).
    """
    conditions: list[ColumnElement[bool]] = []
    if phone is not None:
        conditions.append(member.c.phone_index == members.phone_index(keys, phone))
    if name is not None:
        conditions.append(member.c.name_index == members.name_index(keys, texts.line("name", name, members.NAME_LIMIT)))
    if id is not None:
        conditions.append(member.c.id == id)
    if len(conditions) != 1:
        raise Invalid(field="phone", reason="one_of")
    query = in_branch(book_id, actor_id, now).where(*conditions).order_by(member.c.joined_at, member.c.id)
    rows: Sequence[Row[Any]] = (await connection.execute(query.limit(FOUND_LIMIT))).all()
    return rows


async def one(connection: AsyncConnection, book_id: int, member_id: UUID, *, actor_id: UUID, now: datetime) -> Row[Any]:
    """One member of the actor's branch, as `in_branch`; `NotFound` otherwise."""
    query = in_branch(book_id, actor_id, now).where(member.c.id == member_id)
    return await access.one(connection, query, "member")


async def household(
    connection: AsyncConnection, book_id: int, row: Row[Any], *, actor_id: UUID, now: datetime
) -> Sequence[Row[Any]]:
    """The others of a member's household, those of the actor's branch."""
    if row.household_id is None:
        return []
    query = in_branch(book_id, actor_id, now).where(
        member.c.household_id == row.household_id, member.c.id != row.id, member.c.state.not_in(members.GONE)
    )
    rows: Sequence[Row[Any]] = (await connection.execute(query.order_by(member.c.joined_at, member.c.id))).all()
    return rows


async def edit(
    connection: AsyncConnection,
    book_id: int,
    keys: Keys,
    member_id: UUID,
    changes: Changes,
    *,
    now: datetime,
    actor_id: UUID | None,
) -> None:
    """Change what the bank knows of a member. Name and phone stand in the trail sealed, the rest in clear.

    Errors: `not_found` (member, region, the other of the household), `role_not_allowed` (see
    `access.require_over`), `phone_taken`, `invalid`.
    """
    row = await locked(connection, book_id, member_id, actor_id, now)
    await apply(connection, book_id, keys, row, changes, now=now, actor_id=actor_id)


async def apply(
    connection: AsyncConnection,
    book_id: int,
    keys: Keys,
    row: Row[Any],
    changes: Changes,
    *,
    now: datetime,
    actor_id: UUID | None,
) -> None:
    """Make the changes to a member whose row is locked, for an actor who was found to be allowed to."""
    member_id = row.id
    old = vault.unseal(keys, row) or {}
    fields: dict[str, Any] = {
        **old,
        "name": old["name"] if changes.name is None else texts.line("name", changes.name, members.NAME_LIMIT),
        "phone": new_phone(old, changes.phone),
    }
    if changes.mail is not None:
        fields["mail"] = changes.mail or None
    values: dict[str, Any] = {"region_id": row.region_id, "locale": row.locale, "household_id": row.household_id}
    if changes.region_id is not None:
        values["region_id"] = (await regions.require(connection, book_id, changes.region_id, actor_id, now)).id
    if changes.locale is not None:
        members.check_locale(changes.locale)
        values["locale"] = changes.locale
    if changes.household_of is not None:
        values["household_id"] = await household_of(connection, book_id, member_id, changes.household_of, actor_id, now)
    changed = {name for name, value in values.items() if value != getattr(row, name)}
    renamed = {name for name, value in fields.items() if value != old.get(name)}
    if not changed and not renamed:
        return
    if "phone" in renamed and fields["phone"]:
        taken = await members.by_phone(connection, book_id, keys, fields["phone"])
        if taken is not None:
            raise members.PhoneTaken()
    await connection.execute(
        update(member)
        .where(member.c.book_id == book_id, member.c.id == member_id)
        .values(
            **values,
            personal=vault.reseal(keys, row, fields),
            phone_index=members.phone_index(keys, fields["phone"]) if fields["phone"] else None,
            name_index=members.name_index(keys, fields["name"]),
            version=member.c.version + 1,
        )
    )
    if "phone" in renamed:
        # Whoever has the old number must not stay in.
        await members.end_sessions(connection, book_id, member_id)
    written: dict[str, Any] = {
        "actor_id": actor_id,
        "subject_kind": "member",
        "subject_id": member_id,
        "now": now,
        "before": {name: text(getattr(row, name)) for name in sorted(changed)},
        "after": {name: text(values[name]) for name in sorted(changed)},
    }
    sealed = {
        "before": {name: old.get(name) for name in sorted(renamed)},
        "after": {name: fields[name] for name in sorted(renamed)},
    }
    personal = vault.seal_beside(keys, row, trail.PURPOSE, sealed) if renamed else None
    await trail.write(connection, book_id, action="member.edit", personal=personal, **written)
    if "region_id" in changed:
        # The branch that loses a member sees that, too.
        await trail.write(connection, book_id, action="member.move_out", region_id=row.region_id, **written)


def new_phone(old: dict[str, Any], phone: str | None) -> str | None:
    """The number that a member has after a change."""
    if phone is None:
        kept: str | None = old.get("phone")
        return kept
    return members.normal_phone(phone) if phone else None


def text(value: Any) -> Any:
    """A value as the trail keeps it."""
    return str(value) if isinstance(value, UUID) else value


async def locked(
    connection: AsyncConnection, book_id: int, member_id: UUID, actor_id: UUID | None, now: datetime
) -> Row[Any]:
    """The member's row, locked, for an actor who may change it; `NotFound` for who is gone."""
    await members.require(connection, book_id, member_id, actor_id, now)
    if actor_id is not None:
        await access.require_over(connection, book_id, member_id, actor_id=actor_id, now=now)
    return await locked_row(connection, book_id, member_id)


async def locked_row(connection: AsyncConnection, book_id: int, member_id: UUID) -> Row[Any]:
    """The member's row, locked; `NotFound` for who is gone."""
    query = select(member).where(member.c.book_id == book_id, member.c.id == member_id).with_for_update()
    row = (await connection.execute(query)).one()
    if row.state in members.GONE:
        raise NotFound(kind="member")
    return row


async def household_of(
    connection: AsyncConnection, book_id: int, member_id: UUID, other_id: UUID, actor_id: UUID | None, now: datetime
) -> UUID | None:
    """The household that a member joins: the other's, which begins now if it was none; none for the member's own id."""
    if other_id == member_id:
        return None
    other = await members.require(connection, book_id, other_id, actor_id, now)
    if other.state in members.GONE:
        raise NotFound(kind="member")
    if other.household_id is not None:
        found: UUID = other.household_id
        return found
    begun = uuid7(now)
    await connection.execute(
        update(member)
        .where(member.c.book_id == book_id, member.c.id == other_id)
        .values(household_id=begun, version=member.c.version + 1)
    )
    await trail.write(
        connection,
        book_id,
        actor_id=actor_id,
        action="member.edit",
        subject_kind="member",
        subject_id=other_id,
        before={"household_id": None},
        after={"household_id": str(begun)},
        now=now,
    )
    return begun


async def forget_password(
    connection: AsyncConnection, book_id: int, keys: Keys, member_id: UUID, *, now: datetime, actor_id: UUID
) -> None:
    """Take a member's ways in away (see `close_ways_in`) and sign them out everywhere; they sign in by a code
    to their phone from now on. Nobody does it for their own household: a PIN goes with it.

    Errors: `not_found`, `role_not_allowed`, `invalid` (phone: they have none that a code could be sent to).
    """
    row = await locked(connection, book_id, member_id, actor_id, now)
    await access.refuse_household(connection, book_id, row, actor_id)
    if row.phone_index is None:
        raise Invalid(field="phone", reason="missing")
    await close_ways_in(connection, book_id, member_id, actor_id, now)
    await trail.write(
        connection,
        book_id,
        actor_id=actor_id,
        action="member.password_reset",
        subject_kind="member",
        subject_id=member_id,
        before={"password": "none" if row.password_hash is None else "set"},
        after={"password": "none"},
        now=now,
    )


async def close_ways_in(
    connection: AsyncConnection, book_id: int, member_id: UUID, actor_id: UUID | None, now: datetime
) -> None:
    """Take away whatever a member gets in by, or somebody else who took the account over: password, code on paper,
    passkeys, linked accounts, PIN, the address of a calendar, tokens that read, and helpers let in on the member's own
    page or by the PIN; and end every session.

    The printed card stays: alone it signs nobody in, and whoever scans one sees who holds it out. A PIN that is locked
    stays locked, until a second person resets it (see `pins.reset`).
    """
    await connection.execute(
        update(member)
        .where(member.c.book_id == book_id, member.c.id == member_id)
        .values(password_hash=None, version=member.c.version + 1)
    )
    for table in members.WAYS_IN:
        unlocked = (pin.c.locked_at.is_(None),) if table is pin else ()
        await connection.execute(
            delete(table).where(table.c.book_id == book_id, table.c.member_id == member_id, *unlocked)
        )
    ended = await connection.scalars(
        update(helping)
        .where(
            helping.c.book_id == book_id,
            helping.c.member_id == member_id,
            helping.c.vouched.in_(("self", "pin")),
            helping.c.ended_at.is_(None),
            helping.c.ends_at > now,
        )
        # Nobody in particular ends it where time does: it ends as theirs.
        .values(ended_at=now, ended_by=actor_id or member_id)
        .returning(helping.c.helper_id)
    )
    for helper_id in ended.all():
        await trail.write(
            connection,
            book_id,
            actor_id=actor_id,
            action="helping.end",
            subject_kind="member",
            subject_id=member_id,
            after={"helper_id": str(helper_id)},
            now=now,
        )
    await members.end_sessions(connection, book_id, member_id)


def indexing(keys: Keys) -> Callable[[AsyncConnection, int, datetime], Awaitable[int]]:
    """The job that `index_names` is."""

    async def job(connection: AsyncConnection, book_id: int, _: datetime) -> int:
        return await index_names(connection, book_id, keys)

    return job


async def index_names(connection: AsyncConnection, book_id: int, keys: Keys, limit: int = INDEX_BATCH) -> int:
    """Give members of before the index the hash of their names; answers how many. Done when it answers 0."""
    query = (
        select(member)
        .where(member.c.book_id == book_id, member.c.name_index.is_(None), member.c.data_key.is_not(None))
        .order_by(member.c.id)
        .limit(limit)
        .with_for_update(key_share=True, skip_locked=True)
    )
    rows = (await connection.execute(query)).all()
    for row in rows:
        fields = vault.unseal(keys, row) or {}
        await connection.execute(
            update(member)
            .where(member.c.book_id == book_id, member.c.id == row.id)
            .values(name_index=members.name_index(keys, fields["name"]))
        )
    return len(rows)
