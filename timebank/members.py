"""Members: who they are, encrypted; how they are found; how they are erased."""

import hashlib
import hmac
import unicodedata
from collections.abc import Iterable
from datetime import date, datetime
from typing import Any
from uuid import UUID

import phonenumbers
from sqlalchemy import ARRAY, Row, Uuid, and_, any_, delete, literal, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import access, passwords, regions, texts, trail, vault
from timebank.errors import BankError, Invalid, NotFound
from timebank.keys import Keys
from timebank.refusal import Refusal
from timebank.tables import (
    activation,
    attempt,
    card,
    decision,
    identity_check,
    member,
    outside_account,
    outside_errand,
    passkey,
    passkey_challenge,
    phone_code,
    pin,
    punch,
    read_token,
    record,
    role_grant,
    session,
    shift_feed,
)

NAME_LIMIT = 60
LOCALES = ("zh-CN", "en")
# What members may change about themselves; the rest takes an administrator.
OWN_ACTIONS = ("member.password", "member.erase")
# A number typed without a country code is one of here.
HOME_COUNTRY = "CN"
# Whose row stands for nobody any more.
GONE = ("erased", "merged")


# What lets somebody in beside the password, or begins to.
WAYS_IN = (
    pin,
    activation,
    passkey,
    passkey_challenge,
    outside_account,
    outside_errand,
    read_token,
    shift_feed,
)
# What is deleted with a person, beside the fields of the member: ways in, and what was seen at a desk.
FORGOTTEN = (*WAYS_IN, identity_check)


class PhoneTaken(BankError):
    """Another member of this book has this phone number."""

    code = "phone_taken"


def normal_phone(phone: str) -> str:
    """The number in E.164, `+8613900000000`; `Invalid` with reason `phone` when it cannot be one."""
    try:
        # A real number is far shorter; the library takes its time over a long text.
        parsed = phonenumbers.parse(phone[:40], HOME_COUNTRY)
    except phonenumbers.NumberParseException:
        raise Invalid(field="phone", reason="phone") from None
    if len(phone) > 40 or not phonenumbers.is_valid_number(parsed):
        raise Invalid(field="phone", reason="phone")
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def phone_index(keys: Keys, phone: str) -> bytes:
    """The keyed hash under which the table knows a phone number; `Invalid` as `normal_phone`."""
    return number_index(keys, normal_phone(phone))


def number_index(keys: Keys, number: str) -> bytes:
    """The same, of a number that is in E.164 already."""
    return hmac.new(keys.phone_index, number.encode(), hashlib.sha256).digest()


def name_index(keys: Keys, name: str) -> bytes:
    """The keyed hash under which the table knows a name, however it is spaced and capitalised."""
    plain = "".join(unicodedata.normalize("NFKC", name).casefold().split())
    return hmac.new(keys.name_index, plain.encode("utf-8", "surrogatepass"), hashlib.sha256).digest()


def check_locale(locale: str) -> None:
    """Raise `Invalid` for a language that the bank does not speak."""
    if locale not in LOCALES:
        raise Invalid(field="locale", reason="unknown")


async def add(
    connection: AsyncConnection,
    book_id: int,
    keys: Keys,
    *,
    name: str,
    phone: str | None,
    region_id: UUID,
    id: UUID,
    now: datetime,
    password: str | None = None,
    household_id: UUID | None = None,
    locale: str = "zh-CN",
    born: date | None = None,
    actor_id: UUID | None = None,
    joined_by: UUID | None = None,
) -> UUID:
    """Add a member of a region. The actor, unless the operator, must be an administrator there.

    `joined_by`: nobody added them, they joined by themselves or by a guardian, whoever that is.

    Errors: `phone_taken`, `password_weak`, `invalid` (name, phone, locale), `not_found` (region).
    """
    name = texts.line("name", name, NAME_LIMIT)
    check_locale(locale)
    await regions.require(connection, book_id, region_id, actor_id, now)
    fields: dict[str, Any] = {"name": name, "phone": normal_phone(phone) if phone else None}
    if born is not None:
        fields["born"] = born.isoformat()
    sealed = vault.seal(keys, book_id, id, fields)
    added = await connection.execute(
        insert(member)
        .values(
            book_id=book_id,
            id=id,
            region_id=region_id,
            household_id=household_id,
            key_id=sealed.key_id,
            data_key=sealed.data_key,
            personal=sealed.personal,
            phone_index=phone_index(keys, phone) if phone else None,
            name_index=name_index(keys, name),
            password_hash=await passwords.hashed(keys, password) if password is not None else None,
            locale=locale,
            state="active",
            joined_at=now,
        )
        .on_conflict_do_nothing(index_elements=["book_id", "phone_index"])
        .returning(member.c.id)
    )
    if added.one_or_none() is None:
        raise PhoneTaken()
    await trail.write(
        connection,
        book_id,
        actor_id=joined_by or actor_id,
        action="member.join" if joined_by else "member.add",
        subject_kind="member",
        subject_id=id,
        after={"region_id": str(region_id), "locale": locale, "state": "active"},
        now=now,
    )
    return id


async def by_id(connection: AsyncConnection, book_id: int, member_id: UUID) -> Row[Any]:
    """The row of a member, erased or not; `NotFound` when there is none."""
    query = select(member).where(member.c.book_id == book_id, member.c.id == member_id)
    return await access.one(connection, query, "member")


async def require(
    connection: AsyncConnection, book_id: int, member_id: UUID, actor_id: UUID | None, now: datetime
) -> Row[Any]:
    """The member, when they exist and the actor, unless the operator, administers their region; else `NotFound`."""
    if actor_id is None:
        return await by_id(connection, book_id, member_id)
    return await access.visible_member(connection, book_id, member_id, actor_id=actor_id, roles=("admin",), now=now)


async def by_phone(connection: AsyncConnection, book_id: int, keys: Keys, phone: str) -> Row[Any] | None:
    """The row of the member who has this phone number, or None; `Invalid` when it is no number."""
    query = select(member).where(member.c.book_id == book_id, member.c.phone_index == phone_index(keys, phone))
    return (await connection.execute(query)).one_or_none()


async def personal(connection: AsyncConnection, book_id: int, keys: Keys, member_id: UUID) -> dict[str, Any] | None:
    """A member's own fields, `name` and `phone`; None once erased. `NotFound` when there is no such member."""
    return vault.unseal(keys, await by_id(connection, book_id, member_id))


async def names(connection: AsyncConnection, book_id: int, keys: Keys, ids: Iterable[UUID]) -> dict[UUID, str]:
    """The name of each member in `ids`. Erased and unknown ones are left out."""
    query = select(member.c.book_id, member.c.id, member.c.key_id, member.c.data_key, member.c.personal).where(
        member.c.book_id == book_id, member.c.id == any_(literal(list(set(ids)), ARRAY(Uuid)))
    )
    opened = ((row.id, vault.unseal(keys, row)) for row in await connection.execute(query))
    return {member_id: fields["name"] for member_id, fields in opened if fields is not None}


async def refuse_strange_keys(connection: AsyncConnection, book_id: int, keys: Keys) -> None:
    """Refusal `keys_do_not_fit` when these keys do not open the newest member's fields: they belong to another bank, or
    are a copy from before a rotation."""
    query = select(member).where(member.c.book_id == book_id, member.c.data_key.is_not(None))
    newest = (await connection.execute(query.order_by(member.c.id.desc()).limit(1))).one_or_none()
    if newest is None:
        return
    try:
        vault.unseal(keys, newest)
    except (Refusal, vault.Damaged):
        raise strange_keys() from None


async def open_some(connection: AsyncConnection, book_id: int, keys: Keys, each_way: int = 20) -> dict[int, int]:
    """Open the newest and the oldest members' fields under each key, and find them by their numbers; how many of each.

    Refusal `keys_do_not_fit` when one does not open, or is not found.
    """
    mine = and_(member.c.book_id == book_id, member.c.data_key.is_not(None))
    numbers = (await connection.scalars(select(member.c.key_id).where(mine).distinct())).all()
    counted: dict[int, int] = {}
    for number in numbers:
        rows: dict[UUID, Row[Any]] = {}
        for order in (member.c.id.desc(), member.c.id):
            query = select(member).where(mine, member.c.key_id == number).order_by(order).limit(each_way)
            rows |= {row.id: row for row in await connection.execute(query)}
        for row in rows.values():
            try:
                fields = vault.unseal(keys, row) or {}
            except (Refusal, vault.Damaged):
                raise strange_keys() from None
            if fields.get("phone") and phone_index(keys, fields["phone"]) != row.phone_index:
                raise strange_keys()
        counted[number] = len(rows)
    return counted


def strange_keys() -> Refusal:
    """What is said of keys that do not open what is stored."""
    return Refusal(
        "keys_do_not_fit",
        "The keys file does not open what is stored about people: put back the newest copy of this bank's keys",
    )


async def set_password(
    connection: AsyncConnection,
    book_id: int,
    member_id: UUID,
    *,
    password_hash: str,
    now: datetime,
    actor_id: UUID | None = None,
) -> None:
    """Keep a new password, made by `passwords.hashed`, and end every session of the member."""
    await change(connection, book_id, member_id, "member.password", {"password_hash": password_hash}, now, actor_id)
    await end_sessions(connection, book_id, member_id)


async def suspend(
    connection: AsyncConnection, book_id: int, member_id: UUID, *, now: datetime, actor_id: UUID | None = None
) -> None:
    """Keep a member from checking in and redeeming. They may still sign in and see what is theirs."""
    await set_state(connection, book_id, member_id, "suspended", now, actor_id)


async def reinstate(
    connection: AsyncConnection, book_id: int, member_id: UUID, *, now: datetime, actor_id: UUID | None = None
) -> None:
    """End a suspension."""
    await set_state(connection, book_id, member_id, "active", now, actor_id)


async def erase(
    connection: AsyncConnection, book_id: int, member_id: UUID, *, now: datetime, actor_id: UUID | None = None
) -> None:
    """Forget who a member was: the data key, the phone index, the password, the PIN and the card go, and every role
    ends; scans forget their phones, decisions the words of their reasons.

    Hours, points and records stay, under an id that names nobody. `NotFound` when already erased.
    """
    was = await by_id(connection, book_id, member_id)
    nothing = {
        "key_id": None,
        "data_key": None,
        "personal": None,
        "phone_index": None,
        "name_index": None,
        "password_hash": None,
        "household_id": None,
    }
    await change(connection, book_id, member_id, "member.erase", {**nothing, "state": "erased"}, now, actor_id)
    await connection.execute(
        update(role_grant)
        .where(role_grant.c.book_id == book_id, role_grant.c.member_id == member_id, access.in_force(now))
        .values(ends_at=now)
    )
    await connection.execute(
        update(card)
        .where(card.c.book_id == book_id, card.c.member_id == member_id, card.c.revoked_at.is_(None))
        .values(revoked_at=now)
    )
    # Who they were before two members became one is forgotten with them.
    absorbed = await connection.scalars(
        update(member)
        .where(member.c.book_id == book_id, member.c.merged_into == member_id)
        .values(**nothing)
        .returning(member.c.id)
    )
    await forget_traces(connection, book_id, [member_id, *absorbed], was.phone_index)
    await end_sessions(connection, book_id, member_id)


async def forget_traces(
    connection: AsyncConnection, book_id: int, member_ids: list[UUID], phone_hash: bytes | None
) -> None:
    """Empty what else says something of these members as persons: PINs, tries, phones of scans, words of reasons."""
    for table in FORGOTTEN:
        await connection.execute(delete(table).where(table.c.book_id == book_id, table.c.member_id.in_(member_ids)))
    if phone_hash is not None:
        await connection.execute(
            delete(phone_code).where(phone_code.c.book_id == book_id, phone_code.c.phone_index == phone_hash)
        )
        await connection.execute(delete(attempt).where(attempt.c.book_id == book_id, attempt.c.subject == phone_hash))
    await connection.execute(
        update(punch)
        .where(punch.c.book_id == book_id, punch.c.member_id.in_(member_ids))
        .values(phone_id=None, phone_time=None, reason=None)
    )
    theirs = select(record.c.id).where(record.c.book_id == book_id, record.c.member_id.in_(member_ids))
    await connection.execute(
        update(decision)
        .where(decision.c.book_id == book_id, decision.c.record_id.in_(theirs), decision.c.reason.is_not(None))
        .values(reason=None)
    )


async def set_state(
    connection: AsyncConnection, book_id: int, member_id: UUID, state: str, now: datetime, actor_id: UUID | None
) -> None:
    """Move a member who is not erased to `state`."""
    await change(connection, book_id, member_id, f"member.{state}", {"state": state}, now, actor_id)


async def change(
    connection: AsyncConnection,
    book_id: int,
    member_id: UUID,
    action: str,
    values: dict[str, Any],
    now: datetime,
    actor_id: UUID | None,
) -> None:
    """Change the row of a member who is not erased, and say so in the trail, without the values of secrets."""
    for_oneself = action in OWN_ACTIONS and actor_id == member_id
    row = await require(connection, book_id, member_id, None if for_oneself else actor_id, now)
    if actor_id is not None and not for_oneself:
        await access.require_over(connection, book_id, member_id, actor_id=actor_id, now=now)
    changed = await connection.execute(
        update(member)
        .where(member.c.book_id == book_id, member.c.id == member_id, member.c.state.not_in(GONE))
        .values(**values, version=member.c.version + 1)
        .returning(member.c.state)
    )
    after = changed.one_or_none()
    if after is None:
        raise NotFound(kind="member")
    await trail.write(
        connection,
        book_id,
        actor_id=actor_id,
        action=action,
        subject_kind="member",
        subject_id=member_id,
        before={"state": row.state},
        after={"state": after.state},
        now=now,
    )


async def end_sessions(connection: AsyncConnection, book_id: int, member_id: UUID) -> int:
    """Sign a member out everywhere. Answers how many sessions ended."""
    ended = await connection.execute(
        delete(session).where(session.c.book_id == book_id, session.c.member_id == member_id)
    )
    return ended.rowcount
