"""A station's desk and the person whose card is scanned there: what a manager may do for who has nothing but a card.

The card says who it is, the PIN that they agree. Nobody serves himself or his household; and a PIN that was chosen at a
manager's own desk spends nothing there, or a card, a PIN and points could all be one person's doing.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from timebank import access, cards, catalogue, explain, members, pins, readings
from timebank.cards import ISSUING_ROLES
from timebank.errors import BankError
from timebank.explain import Balance
from timebank.keys import Keys
from timebank.pins import PinMissing, PinWitnessed
from timebank.tables import member, redemption


class OwnRedemption(BankError):
    """It is the actor's own account, or that of somebody of the household."""

    code = "own_redemption"


async def require_other(
    connection: AsyncConnection, book_id: int, member_id: UUID, *, actor_id: UUID, now: datetime
) -> Row[Any]:
    """The row of a member whom a manager serves, and who is somebody else.

    Errors: `not_found` (member), `own_redemption` (oneself, and the household).
    """
    if actor_id == member_id:
        raise OwnRedemption()
    row = await access.served_member(connection, book_id, member_id, actor_id=actor_id, roles=ISSUING_ROLES, now=now)
    query = select(member.c.household_id).where(member.c.book_id == book_id, member.c.id == actor_id)
    household_id = await connection.scalar(query)
    if household_id is not None and household_id == row.household_id:
        raise OwnRedemption()
    return row


async def balance(
    connection: AsyncConnection, book_id: int, member_id: UUID, *, actor_id: UUID, now: datetime
) -> Balance:
    """What a member has, for the manager who serves them. The look is kept. Errors as `require_other`."""
    await require_other(connection, book_id, member_id, actor_id=actor_id, now=now)
    await readings.note(connection, book_id, actor_id, [member_id], "statement", now)
    return await explain.balance(connection, book_id, member_id, now)


async def choose_pin(
    engine: AsyncEngine, book_id: int, keys: Keys, *, card_text: str, digits: str, actor_id: UUID, now: datetime
) -> UUID:
    """The first PIN of the holder of a card, typed at the desk, where no page of their own is to be had.

    Errors: as `cards.holder` and `require_other`; `pin_weak`, `pin_locked`; `pin_missing` where there is a PIN already.
    """
    async with engine.connect() as connection:
        member_id = await cards.holder(connection, book_id, keys, card_text, now)
        await require_other(connection, book_id, member_id, actor_id=actor_id, now=now)
        fields = await members.personal(connection, book_id, keys, member_id)
    await pins.choose(
        engine,
        book_id,
        keys,
        member_id=member_id,
        digits=digits,
        present=None,
        phone=(fields or {}).get("phone"),
        now=now,
        witness_id=actor_id,
    )
    return member_id


async def agreed(
    engine: AsyncEngine, book_id: int, keys: Keys, *, card_text: str, digits: str, actor_id: UUID, now: datetime
) -> UUID:
    """The holder of a card, who has typed the PIN: their points may be spent for them at this desk.

    Errors: as `cards.holder` and `require_other`; `pin_missing`, `pin_witnessed`, `pin_wrong`, `pin_locked`.
    """
    async with engine.connect() as connection:
        member_id = await cards.holder(connection, book_id, keys, card_text, now)
        await require_other(connection, book_id, member_id, actor_id=actor_id, now=now)
        if await pins.witnessed_by(connection, book_id, member_id) == actor_id:
            raise PinWitnessed()
    if not digits:
        raise PinMissing()
    await pins.compare(engine, book_id, keys, member_id=member_id, digits=digits, actor_id=actor_id, now=now)
    return member_id


async def made_here(
    connection: AsyncConnection, book_id: int, redemption_id: UUID, *, actor_id: UUID, now: datetime
) -> Row[Any]:
    """What a manager redeemed for somebody and nobody has collected yet, to print it; `not_found` for all else.

    Rows as `catalogue.redemptions` has them.
    """
    query = catalogue.redemptions(book_id, now).where(
        redemption.c.id == redemption_id,
        redemption.c.made_by == actor_id,
        redemption.c.state == "held",
        redemption.c.expires_at > now,
    )
    return await access.one(connection, query, "redemption")
