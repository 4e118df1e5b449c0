"""Rewards, redeeming, and the codes that are collected at the counter."""

from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery

from api import qr
from api.auth import visitor_of
from api.pages.forms import Form, as_uuid
from api.pages.office import query_of
from api.pages.page import AnyRequest, Shown, answer_to, go, holds_role, member, show, shown, speaker
from api.pages.scanned import keep
from api.rest.operation import choice_query, limit_of, ranked_cursor
from api.sentences import sentence
from api.state import bank_of
from timebank import catalogue, explain, pictures
from timebank.commands import Answer
from timebank.counter import COUNTER_ROLES
from timebank.cursors import Cursor
from timebank.ending import Cancel
from timebank.ids import uuid7
from timebank.redemptions import Redeem
from timebank.rewards import KINDS
from timebank.tables import REDEMPTION_STATES


@get("/rewards")
async def rewards(request: AnyRequest) -> Response[Any]:
    """What a volunteer's points can become, the cheapest first."""
    kind = choice_query(request, "kind", ("", *KINDS)) or None
    session, bank, now = member(request), bank_of(request), bank_of(request).clock()
    async with bank.engine.connect() as connection:
        balance = await explain.balance(connection, bank.book_id, session.member_id, now)
        offers, following = await catalogue.offers(
            connection,
            bank.book_id,
            session.member_id,
            points=balance.points,
            zone=bank.settings.time_zone,
            now=now,
            kind=kind,
            after=ranked_cursor(request),
            limit=limit_of(request, 50),
        )
    return show(
        request,
        "catalogue/rewards.html",
        way="/rewards",
        balance=balance,
        offers=offers,
        following=following,
        kinds=KINDS,
        chosen={"kind": kind},
    )


@get("/rewards/{reward_id:uuid}")
async def reward(request: AnyRequest, reward_id: FromPath[UUID], answer: FromQuery[str | None] = None) -> Response[Any]:
    """One reward, what it costs and what would be left, and the button."""
    session, bank, now = member(request), bank_of(request), bank_of(request).clock()
    spoken = speaker(request)
    async with bank.engine.connect() as connection:
        balance = await explain.balance(connection, bank.book_id, session.member_id, now)
        offer = await catalogue.offer(
            connection,
            bank.book_id,
            session.member_id,
            reward_id,
            points=balance.points,
            zone=bank.settings.time_zone,
            now=now,
        )
        answered = await answer_to(connection, bank, session.member_id, as_uuid(answer))
    return show(
        request,
        "catalogue/reward.html",
        way="/rewards",
        balance=balance,
        offer=offer,
        reward=offer.reward,
        refusal=sentence(offer.refusal, spoken.tag) if offer.refusal else None,
        answer=shown(request, answered, spoken.gettext("Not redeemed"), spoken.gettext("Redeemed")),
        id=uuid7(now),
    )


@get("/rewards/{reward_id:uuid}/picture/{digest:str}")
async def picture(request: AnyRequest, reward_id: FromPath[UUID], digest: FromPath[str]) -> Response[bytes]:
    """The picture of a reward, for whom it may concern. Another picture has another address, so it may be kept."""
    bank = bank_of(request)
    async with bank.engine.connect() as connection:
        content = await pictures.content_of(
            connection, bank.book_id, reward_id, digest, member_id=member(request).member_id, now=bank.clock()
        )
    headers = {"Cache-Control": "private, max-age=31536000, immutable"}
    return Response(content, media_type=pictures.MEDIA_TYPE, headers=headers)


@post("/rewards/{reward_id:uuid}", status_code=303)
async def redeem(request: AnyRequest, reward_id: FromPath[UUID]) -> Response[Any]:
    """Redeem a reward: the points are held, and the code is shown."""
    session, bank, form = member(request), bank_of(request), await Form.of(request)
    id = form.uuid("id")
    answer = await bank.commits.redeem.submit(
        Redeem(id=id, actor_id=session.member_id, reward_id=reward_id, by_id=session.helper_id)
    )
    if answer.refused:
        return go(f"/rewards/{reward_id}", answer=id)
    return go(f"/codes/{answer.data['redemption_id']}", answer=id)


@get("/codes")
async def codes(request: AnyRequest, before: FromQuery[str | None] = None) -> Response[Any]:
    """A member's redemptions: first what can be collected, then the rest by age; or those in one state, by age."""
    session, bank, now = member(request), bank_of(request), bank_of(request).clock()
    chosen = query_of(request, "state")
    async with bank.engine.connect() as connection:
        page = await catalogue.my_redemptions(
            connection,
            bank.book_id,
            session.member_id,
            now=now,
            **chosen,
            before=Cursor.read(before),
            limit=limit_of(request),
        )
        due = () if chosen else await catalogue.to_collect(connection, bank.book_id, session.member_id, now=now)
    first = {row.id for row in due}
    return show(
        request,
        "catalogue/codes.html",
        way="/codes",
        redemptions=[*(due if before is None else ()), *(row for row in page.rows if row.id not in first)],
        following=page.following,
        chosen=chosen,
        states=REDEMPTION_STATES,
    )


@get("/codes/{redemption_id:uuid}")
async def code(
    request: AnyRequest, redemption_id: FromPath[UUID], answer: FromQuery[str | None] = None
) -> Response[Any]:
    """One redemption: its QR and digits while it can be collected, and what became of it afterwards."""
    session, bank, now = member(request), bank_of(request), bank_of(request).clock()
    async with bank.engine.connect() as connection:
        row = await catalogue.my_redemption(connection, bank.book_id, session.member_id, redemption_id, now=now)
        places = (await catalogue.places(connection, bank.book_id, [row.reward_id])).get(row.reward_id, [])
        answered = await answer_to(connection, bank, session.member_id, as_uuid(answer))
    address = bank.settings.address + catalogue.code_text(bank.keys, row.number)
    return show(
        request,
        "catalogue/code.html",
        way="/codes",
        redemption=row,
        places=places,
        collected_at=next((place for place in places if place.id == row.station_id), None),
        picture=qr.draw(address.upper()) if row.state == "held" else None,
        answer=told(request, answered, row.state),
        id=uuid7(now),
    )


def told(request: AnyRequest, answer: Answer | None, state: str) -> Shown | None:
    """The answer of redeeming or cancelling, which brought the reader here; none once something else has happened."""
    gettext = speaker(request).gettext
    if state == "held":
        words = gettext("Show this code at the counter. Your points are held until then.")
        return shown(request, answer, gettext("Not cancelled"), gettext("Redeemed"), words)
    if state == "cancelled" or (answer is not None and answer.refused):
        words = gettext("The points are back where they came from, with the same expiry date.")
        return shown(request, answer, gettext("Not cancelled"), gettext("Cancelled"), words)
    return None


@post("/codes/{redemption_id:uuid}/cancel", status_code=303)
async def cancel(request: AnyRequest, redemption_id: FromPath[UUID]) -> Response[Any]:
    """Give a redemption up, and get the points back."""
    session, bank, form = member(request), bank_of(request), await Form.of(request)
    id = form.uuid("id")
    await bank.commits.cancel.submit(
        Cancel(id=id, actor_id=session.member_id, redemption_id=redemption_id, by_id=session.helper_id)
    )
    return go(f"/codes/{redemption_id}", answer=id)


@get("/R/{code_text:str}")
async def redemption_code(request: AnyRequest, code_text: FromPath[str]) -> Response[Any]:
    """A redemption's QR was opened: a clerk is led to the counter with it, anybody else learns nothing."""
    at_counter = holds_role(visitor_of(request).session, *COUNTER_ROLES)
    return keep(request, "redemption", code_text, "/counter" if at_counter else "/scanned")


handlers = [rewards, reward, picture, redeem, codes, code, cancel, redemption_code]
