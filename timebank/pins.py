"""PINs: six digits with which a member vouches, at a station's device, that a scan of the card is their own.

They are kept like passwords. Five wrong tries lock a PIN, whoever tried; only a second person unlocks it, by resetting
it, and afterwards the member types a new one. The verbs that compare take the engine, for the reasons of
`timebank/sessions.py`.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Literal
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from timebank import access, cards, passwords, trail
from timebank.errors import BankError, NotAllowed
from timebank.keys import Keys
from timebank.tables import pin

LENGTH = 6
TRIES = 5
RESETTING_ROLES = ("manager", "admin")
# Chosen far too often, beside what `is_weak` sees for itself.
COMMON = frozenset({"520131", "131452", "147258", "159357", "258369", "789456", "147852"})


class PinWeak(BankError):
    """Too easy to guess, or not six digits."""

    code = "pin_weak"


class PinWrong(BankError):
    """It is another PIN. data: `left`, how many tries are left."""

    code = "pin_wrong"


class PinLocked(BankError):
    """Five wrong tries: a second person has to reset it."""

    code = "pin_locked"


class PinMissing(BankError):
    """The member has none."""

    code = "pin_missing"


class PinWitnessed(BankError):
    """It was chosen at this manager's own desk, so it says nothing there."""

    code = "pin_witnessed"


@dataclass(frozen=True, slots=True)
class Vouched:
    """Whether a PIN vouches for a scan, for `punches.Punch`: one of the two is set."""

    vouched_by: Literal["pin"] | None
    vouch_refusal: str | None


def is_weak(digits: str, phone: str | None = None) -> bool:
    """Whether it is no PIN of ours, or the first that anybody would try: few digits, a run, a pattern, the phone's."""
    if len(digits) != LENGTH or not digits.isascii() or not digits.isdigit():
        return True
    steps = {(int(after) - int(before)) % 10 for before, after in pairwise(digits)}
    repeats = digits[:3] == digits[3:] or digits[:2] * 3 == digits or digits[:3] == digits[:2:-1]
    return len(set(digits)) < 3 or len(steps) == 1 or repeats or digits in COMMON or digits in (phone or "")


async def is_set(connection: AsyncConnection, book_id: int, member_id: UUID) -> Literal["none", "set", "locked"]:
    """Whether a member has a PIN, and whether it is locked."""
    query = select(pin.c.locked_at).where(pin.c.book_id == book_id, pin.c.member_id == member_id)
    row = (await connection.execute(query)).one_or_none()
    return "none" if row is None else "set" if row.locked_at is None else "locked"


async def choose(
    engine: AsyncEngine,
    book_id: int,
    keys: Keys,
    *,
    member_id: UUID,
    digits: str,
    present: str | None,
    phone: str | None,
    now: datetime,
    witness_id: UUID | None = None,
) -> None:
    """Keep the PIN that a member has typed. `present` is the one before, where there is one; `witness_id` says at which
    manager's desk.

    Errors: `pin_weak`, `pin_wrong`, `pin_locked`; `pin_missing` when there is one and `present` was not given.
    """
    if is_weak(digits, phone):
        raise PinWeak()
    async with engine.connect() as connection:
        state = await is_set(connection, book_id, member_id)
    if state != "none":
        if state == "locked":
            raise PinLocked()
        if not present:
            raise PinMissing()
        await compare(engine, book_id, keys, member_id=member_id, digits=present, actor_id=member_id, now=now)
    pin_hash = await asyncio.to_thread(passwords.HASHER.hash, passwords.peppered(keys, pepper_text(member_id, digits)))
    values = {"pin_hash": pin_hash, "tries": 0, "set_at": now, "witness_id": witness_id}
    async with engine.begin() as connection:
        # A lock that fell meanwhile stays.
        kept = await connection.execute(
            insert(pin)
            .values(book_id=book_id, member_id=member_id, **values)
            .on_conflict_do_update(
                index_elements=["book_id", "member_id"], set_=values, where=pin.c.locked_at.is_(None)
            )
            .returning(pin.c.member_id)
        )
        if kept.one_or_none() is None:
            raise PinLocked()
        await trail.write(
            connection,
            book_id,
            actor_id=witness_id or member_id,
            action="pin.set",
            subject_kind="member",
            subject_id=member_id,
            before={"pin": state},
            after={"pin": "set"},
            now=now,
        )


async def witnessed_by(connection: AsyncConnection, book_id: int, member_id: UUID) -> UUID | None:
    """The manager at whose desk a member chose the PIN; none where there is no PIN, or the member was alone."""
    query = select(pin.c.witness_id).where(pin.c.book_id == book_id, pin.c.member_id == member_id)
    found: UUID | None = await connection.scalar(query)
    return found


def pepper_text(member_id: UUID, digits: str) -> str:
    """What is hashed: bound to the member, so that a hash that is moved to another row is worth nothing."""
    return f"pin {member_id} {digits}"


async def compare(
    engine: AsyncEngine, book_id: int, keys: Keys, *, member_id: UUID, digits: str, actor_id: UUID, now: datetime
) -> None:
    """Compare a typed PIN. Every try is counted before it is judged, in a transaction of its own; a right one clears.

    `actor_id` is whose device it was typed on. Errors: `pin_missing`, `pin_wrong`, `pin_locked`.
    """
    row_of = (pin.c.book_id == book_id, pin.c.member_id == member_id)
    async with engine.begin() as connection:
        counted = await connection.execute(
            update(pin)
            .where(*row_of, pin.c.locked_at.is_(None), pin.c.tries < TRIES)
            .values(tries=pin.c.tries + 1)
            .returning(pin.c.pin_hash, pin.c.tries)
        )
        found = counted.one_or_none()
        if found is None:
            # Tries that are being judged at this moment may have used up the last one.
            state = await is_set(connection, book_id, member_id)
            raise PinMissing() if state == "none" else PinLocked()
    typed = passwords.peppered(keys, pepper_text(member_id, digits))
    right = await asyncio.to_thread(passwords.verify, typed, found.pin_hash)
    async with engine.begin() as connection:
        if right:
            await connection.execute(update(pin).where(*row_of, pin.c.locked_at.is_(None)).values(tries=0))
            return
        if found.tries >= TRIES:
            locked = await connection.execute(
                update(pin)
                .where(*row_of, pin.c.locked_at.is_(None), pin.c.tries >= TRIES)
                .values(locked_at=now, locked_by=actor_id)
            )
            if locked.rowcount:
                await trail.write(
                    connection,
                    book_id,
                    actor_id=actor_id,
                    action="pin.lock",
                    subject_kind="member",
                    subject_id=member_id,
                    before={"pin": "set"},
                    after={"pin": "locked"},
                    now=now,
                )
    raise PinLocked() if found.tries >= TRIES else PinWrong(left=TRIES - found.tries)


async def vouch(
    engine: AsyncEngine, book_id: int, keys: Keys, *, card_text: str, digits: str, actor_id: UUID, now: datetime
) -> Vouched:
    """Whether the PIN that was typed after scanning a card is its holder's. A card that is no good is left to the
    check-in, which refuses it. Where the PIN was chosen at this very manager's desk, it vouches for nothing."""
    try:
        async with engine.connect() as connection:
            member_id = await cards.holder(connection, book_id, keys, card_text, now)
            witness_id = await witnessed_by(connection, book_id, member_id)
        await compare(engine, book_id, keys, member_id=member_id, digits=digits, actor_id=actor_id, now=now)
    except (PinMissing, PinWrong, PinLocked) as refused:
        return Vouched(None, refused.code)
    except BankError:
        return Vouched(None, None)
    return Vouched(None if witness_id == actor_id else "pin", None)


async def reset(connection: AsyncConnection, book_id: int, member_id: UUID, *, now: datetime, actor_id: UUID) -> None:
    """Forget a member's PIN, locked or not, so that the member can type a new one. Without a PIN, nothing happens.

    By a second person who serves the member: not the member, nobody of the household, and not the one on whose device
    it was locked. Errors: `not_found` (member), `role_not_allowed`.
    """
    row = await access.served_member(connection, book_id, member_id, actor_id=actor_id, roles=RESETTING_ROLES, now=now)
    await access.refuse_household(connection, book_id, row, actor_id)
    query = select(pin).where(pin.c.book_id == book_id, pin.c.member_id == member_id).with_for_update()
    found = (await connection.execute(query)).one_or_none()
    if found is None:
        return
    if found.locked_by == actor_id:
        raise NotAllowed()
    await connection.execute(delete(pin).where(pin.c.book_id == book_id, pin.c.member_id == member_id))
    await trail.write(
        connection,
        book_id,
        actor_id=actor_id,
        action="pin.reset",
        subject_kind="member",
        subject_id=member_id,
        before={"pin": "locked" if found.locked_at else "set"},
        after={"pin": "none"},
        now=now,
    )
