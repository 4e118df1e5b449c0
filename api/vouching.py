"""A card that is scanned at a station's desk, with the PIN that was typed or without: pages and programs alike."""

from typing import Literal
from uuid import UUID

from api.state import Bank
from timebank import answers, codes, pins
from timebank.codes import CodeRefused
from timebank.pins import Vouched
from timebank.punches import Punch


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
) -> Punch:
    """The command of a scanned card. The PIN is compared once for each id: sent again, it is not tried again."""
    now = bank.clock()
    scan, refusal = None, None
    try:
        scan = codes.read_card_code(bank.keys.card, code, now)
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
        vouched_by=vouched.vouched_by,
        vouch_refusal=vouched.vouch_refusal,
        # That there was a PIN is chosen; which, is never kept.
        beside=("pin",) if pin else (),
    )
