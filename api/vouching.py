"""A card that is scanned at a station's desk, and the PIN that was typed, or none: for pages and programs alike."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Row

from api.state import Bank
from timebank import answers, cards, codes, desk, kiosks, pins
from timebank.cards import CardRevoked
from timebank.codes import CodeRefused
from timebank.commands import Answer
from timebank.pins import Vouched
from timebank.punches import Punch
from timebank.redemptions import Redeem


async def card_punch(
    bank: Bank,
    *,
    id: UUID,
    actor_id: UUID,
    station_id: UUID,
    kind: Literal["in", "out"],
    code: str,
    pin: str | None,
    service_kind_id: UUID | None = None,
    kiosk: Row[Any] | None = None,
    scanned_at: datetime | None = None,
) -> Punch:
    """The command of a scanned card. The PIN is compared once for each id: sent again, it is not tried again.

    `kiosk` scanned it. `scanned_at`: when, where there was no network, by the kiosk's clock, or by the sender's own.
    `invalid` for a moment of a kiosk's that is to come.
    """
    now = bank.clock()
    scan, refusal = None, None
    try:
        if kiosk is not None:
            at = kiosks.scanned_at(scanned_at, kiosk.enrolled_at, now)
        else:
            at = codes.kept_since(scanned_at, now)
        scan = codes.read_card_code(bank.keys.card, code, at)
    except CodeRefused as refused:
        refusal = refused.code
    vouched = Vouched(None, None)
    if pin and scan is not None:
        async with bank.engine.connect() as connection:
            known = await answers.remembered(connection, bank.book_id, actor_id, [id])
        if not known:
            vouched = await pins.vouch(
                bank.engine, bank.book_id, bank.keys, card_text=code, digits=pin, actor_id=actor_id, now=now
            )
    return Punch(
        id=id,
        actor_id=actor_id,
        kind=kind,
        code=code,
        scan=scan,
        refusal=refusal,
        service_kind_id=service_kind_id,
        station_id=station_id,
        device_id=kiosk.device_id if kiosk else None,
        # A kiosk keeps the bank's time; anything else is a witness of its own, who may be asked.
        phone_time=None if kiosk else scanned_at,
        vouched_by=vouched.vouched_by,
        vouch_refusal=vouched.vouch_refusal,
        beside=chosen_beside(pin, kiosk, scanned_at),
    )


def chosen_beside(pin: str | None, kiosk: Row[Any] | None, scanned_at: datetime | None) -> tuple[str, ...]:
    """What a repetition must repeat. That there was a PIN is chosen; which, is never kept.

    A kiosk keeps no PIN until it has an answer: it sends the same scan again without one.
    """
    if kiosk is None:
        return ("pin",) if pin else ()
    return (f"at:{scanned_at.isoformat()}",) if scanned_at else ()


async def kiosk_punch(
    bank: Bank,
    kiosk: Row[Any],
    *,
    id: UUID,
    kind: Literal["in", "out"],
    code: str,
    pin: str | None,
    scanned_at: datetime | None,
) -> Punch:
    """The command of a card that a kiosk scanned: in its holder's name, and the kiosk stands beside it.

    Raises CodeRefused for what is no card, `card_revoked` for one that never was, and as `card_punch`.
    """
    number = codes.read_card_code(bank.keys.card, code, bank.clock()).card_number
    async with bank.engine.connect() as connection:
        holder = (await cards.holders(connection, bank.book_id, {number})).get(number or 0)
    if holder is None:
        raise CardRevoked()
    return await card_punch(
        bank,
        id=id,
        actor_id=holder.member_id,
        station_id=kiosk.station_id,
        kind=kind,
        code=code,
        pin=pin,
        kiosk=kiosk,
        scanned_at=scanned_at,
    )


async def redeem_with_card(
    bank: Bank, *, id: UUID, actor_id: UUID, station_id: UUID, code: str, pin: str, reward_id: UUID
) -> tuple[UUID, Answer]:
    """A manager redeems for the holder of a card, who types the PIN: whose points, and the answer of the redemption.

    The PIN is compared once for each id. Errors: as `desk.agreed`.
    """
    async with bank.engine.connect() as connection:
        holder_id = await cards.holder(connection, bank.book_id, bank.keys, code, bank.clock())
        known = await answers.remembered(connection, bank.book_id, holder_id, [id])
    if not known:
        await desk.agreed(
            bank.engine, bank.book_id, bank.keys, card_text=code, digits=pin, actor_id=actor_id, now=bank.clock()
        )
    command = Redeem(id=id, actor_id=holder_id, reward_id=reward_id, by_id=actor_id, station_id=station_id)
    return holder_id, await bank.commits.redeem.submit(command)
