"""Rewards, as the administrators of their regions offer and change them."""

import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery
from sqlalchemy.ext.asyncio import AsyncConnection

from api.pages.forms import Form, as_uuid
from api.pages.office import administrator, surroundings
from api.pages.page import AnyRequest, Shown, answer_to, go, show, shown, speaker
from api.problems import Problem, problem_of
from api.rest.operation import limit_of
from api.sentences import sentence
from api.state import Bank, bank_of
from timebank import catalogue, overview, pictures, rewards, shelf
from timebank.commands import Answer
from timebank.cursors import Cursor
from timebank.errors import BankError
from timebank.ids import uuid7
from timebank.rewards import Changes
from timebank.sessions import Session
from timebank.tables import PERIODS

LISTED_STATIONS = 200
HIGHEST_NUMBER = 2**31 - 1
TEXTS = ("name_zh", "name_en", "description_zh", "description_en")
FIELDS = (
    *TEXTS,
    "kind",
    "region_id",
    "price_points",
    "stock",
    "places",
    "limit_pieces",
    "limit_period",
    "starts_at",
    "ends_at",
    "hold_hours",
)
HIGHEST_HOLD_HOURS = 8760

Verb = Callable[[AsyncConnection], Awaitable[Answer]]


@get("/admin/rewards")
async def list_rewards(
    request: AnyRequest,
    kind: FromQuery[str | None] = None,
    offer: FromQuery[str | None] = None,
    region: FromQuery[str | None] = None,
    before: FromQuery[str | None] = None,
) -> Response[Any]:
    """The rewards of the administrator's branch, the latest first."""
    session, bank, now = administrator(request), bank_of(request), bank_of(request).clock()
    kind, offer = kind if kind in rewards.KINDS else None, offer if offer in rewards.STATES else None
    region_id = as_uuid(region)
    async with bank.engine.connect() as connection:
        page = await shelf.listed(
            connection,
            bank.book_id,
            actor_id=session.member_id,
            now=now,
            kind=kind,
            state=offer,
            region_id=region_id,
            before=Cursor.read(before),
            limit=limit_of(request, 30),
        )
        regions = await overview.regions(
            connection, bank.book_id, actor_id=session.member_id, roles=shelf.ROLES, now=now
        )
    chosen = {"kind": kind, "offer": offer, "region": region_id}
    return show(
        request,
        "admin/rewards.html",
        **surroundings(request, "/admin/rewards"),
        rewards=page.rows,
        regions=regions,
        chosen=chosen,
        kinds=rewards.KINDS,
        older=go("/admin/rewards", **chosen, before=str(page.following)).url if page.following else None,
    )


@get("/admin/rewards/new")
async def new_reward(request: AnyRequest) -> Response[Any]:
    """The form for a new reward."""
    session = administrator(request)
    return await new_form(request, session, {}, None)


async def new_form(
    request: AnyRequest, session: Session, values: dict[str, str], refusal: Problem | None
) -> Response[Any]:
    """The form, with what was typed before and what was wrong with it. A refused id is used up, so it gets another."""
    bank, now = bank_of(request), bank_of(request).clock()
    async with bank.engine.connect() as connection:
        regions = await overview.regions(
            connection, bank.book_id, actor_id=session.member_id, roles=shelf.ROLES, now=now
        )
    return show(
        request,
        "admin/new_reward.html",
        **surroundings(request, "/admin/rewards"),
        status=refusal.status if refusal else 200,
        id=uuid7(now),
        values=values,
        refusal=words_of(request, refusal),
        regions=regions,
        kinds=rewards.KINDS,
        periods=PERIODS,
    )


def words_of(request: AnyRequest, refusal: Problem | None) -> str | None:
    """What a refusal says."""
    return sentence(refusal.code, speaker(request).tag, refusal.data) if refusal else None


@post("/admin/rewards/new", status_code=303)
async def offer_reward(request: AnyRequest) -> Response[Any]:
    """Offer a reward. Sent twice, it is offered once."""
    session, bank, form = administrator(request), bank_of(request), await Form.of(request)
    id = form.uuid("id")

    async def act(connection: AsyncConnection) -> Answer:
        values: dict[str, Any] = {
            **changes_of(form, bank),
            "region_id": form.uuid("region_id"),
            "stock": whole(form, "stock"),
            "places": await places_of(connection, bank, form),
        }
        return await shelf.add(
            connection, bank.book_id, id=id, actor_id=session.member_id, now=bank.clock(), values=values
        )

    refusal = await carry_out(bank, act)
    if refusal:
        return await new_form(request, session, {name: form.text(name) for name in FIELDS}, refusal)
    return go(f"/admin/rewards/{id}", answer=id)


async def carry_out(bank: Bank, act: Verb) -> Problem | None:
    """Carry out what a form asks for, in a transaction; the problem when it is refused."""
    try:
        async with bank.engine.begin() as connection:
            answer = await act(connection)
    except (BankError, Problem) as error:
        return problem_of(error)
    return Problem(answer.code, answer.data) if answer.refused else None


def changes_of(form: Form, bank: Bank) -> Changes:
    """What the fields of a reward say. Those that still say what they said when the form was shown, which it brings
    along as `was_…`, are left out: nobody overwrites what somebody else changed meanwhile, and seconds that a field
    cannot show stay what they are."""
    zone = bank.settings.time_zone
    pieces = form.integer("limit_pieces", -(2**31), 2**31 - 1)
    found = Changes(
        kind=form.text("kind"),
        name_zh=form.text("name_zh"),
        name_en=form.text("name_en"),
        description_zh=form.text("description_zh"),
        description_en=form.text("description_en"),
        price_points=whole(form, "price_points"),
        limit_pieces=pieces,
        # The period is always chosen; without a number it says nothing.
        limit_period=(form.text("limit_period") or None) if pieces is not None else None,
        ends_at=form.moment("ends_at", zone),
        hold_minutes=60 * (form.integer("hold_hours", 1, HIGHEST_HOLD_HOURS) or 24),
    )
    starts_at = form.moment("starts_at", zone)
    if starts_at is not None:
        found["starts_at"] = starts_at
    same = {name for name in FIELDS if is_same(form, name)}
    if not {"limit_pieces", "limit_period"} <= same:
        same -= {"limit_pieces", "limit_period"}
    if "hold_hours" in same:
        same.add("hold_minutes")
    kept: Any = {name: value for name, value in found.items() if name not in same}
    changes: Changes = kept
    return changes


def is_same(form: Form, name: str) -> bool:
    """Whether a field says what it said when the form was shown."""
    return bool(form.texts(f"was_{name}")) and form.text(f"was_{name}") == form.text(name)


def whole(form: Form, name: str) -> int:
    """A whole number that must be given."""
    value = form.integer(name, -(2**31), 2**31 - 1)
    if value is None:
        raise Problem("invalid", {"field": name, "reason": "missing"})
    return value


async def places_of(connection: AsyncConnection, bank: Bank, form: Form) -> list[UUID]:
    """The stations whose numbers were typed, with anything between them."""
    words = re.findall(r"[0-9]+|[^\s,;，；、]", form.text("places"))
    if not all(word.isascii() and word.isdigit() and len(word) <= 10 for word in words):
        raise Problem("invalid", {"field": "places", "reason": "type"})
    numbers = {int(word) for word in words if int(word) <= HIGHEST_NUMBER}
    return await shelf.by_numbers(connection, bank.book_id, numbers)


@get("/admin/rewards/{reward_id:uuid}")
async def reward_page(
    request: AnyRequest,
    reward_id: FromPath[UUID],
    answer: FromQuery[str | None] = None,
    done: FromQuery[str | None] = None,
) -> Response[Any]:
    """One reward, with everything that can be changed about it."""
    session, bank = administrator(request), bank_of(request)
    spoken = speaker(request)
    async with bank.engine.connect() as connection:
        answered = await answer_to(connection, bank, session.member_id, as_uuid(answer))
    told = shown(request, answered, spoken.gettext("Not saved"), spoken.gettext("Saved"))
    if done == "picture" and told is None:
        told = Shown(False, spoken.gettext("Saved"), "")
    return await reward_form(request, session, reward_id, told)


async def reward_form(
    request: AnyRequest,
    session: Session,
    reward_id: UUID,
    told: Shown | None,
    values: dict[str, str] | None = None,
    status: int = 200,
) -> Response[Any]:
    """The page of a reward; `values` are what was typed and could not be taken."""
    bank, now = bank_of(request), bank_of(request).clock()
    async with bank.engine.connect() as connection:
        reward = await shelf.one(connection, bank.book_id, reward_id, actor_id=session.member_id, now=now)
        places: Sequence[Any] = (await catalogue.places(connection, bank.book_id, [reward_id])).get(reward_id, [])
        stations = await shelf.stations_in(connection, bank.book_id, reward.region_id, limit=LISTED_STATIONS)
    return show(
        request,
        "admin/reward.html",
        **surroundings(request, "/admin/rewards"),
        status=status,
        reward=reward,
        places=places,
        stations=stations,
        answer=told,
        values=values or values_of(reward, places, bank),
        was=values_of(reward, places, bank),
        ids={name: uuid7(now) for name in ("edit", "state", "stock")},
        kinds=rewards.KINDS,
        periods=PERIODS,
    )


def values_of(reward: Any, places: Sequence[Any], bank: Bank) -> dict[str, str]:
    """A reward as the fields of its form have it."""

    def local(moment: datetime | None) -> str:
        return moment.astimezone(bank.settings.time_zone).strftime("%Y-%m-%dT%H:%M") if moment else ""

    return {
        **{name: getattr(reward, name) for name in (*TEXTS, "kind")},
        "price_points": str(reward.price_points),
        "limit_pieces": str(reward.limit_pieces or ""),
        "limit_period": reward.limit_period or "month",
        "starts_at": local(reward.starts_at),
        "ends_at": local(reward.ends_at),
        "hold_hours": str(-(-reward.hold_minutes // 60)),
        "places": ", ".join(str(place.number) for place in places),
    }


async def taken(
    request: AnyRequest, session: Session, reward_id: UUID, form: Form, act: Verb, *, keep: bool = False
) -> Response[Any]:
    """Carry out a change and show the reward; with what was typed where it could not be taken and `keep` says so."""
    refusal = await carry_out(bank_of(request), act)
    if refusal is None:
        return go(f"/admin/rewards/{reward_id}", answer=form.uuid("id"))
    if refusal.code == "not_found" and refusal.data.get("kind") == "reward":
        raise refusal
    told = Shown(True, speaker(request).gettext("Not saved"), words_of(request, refusal) or "")
    values = {name: form.text(name) for name in FIELDS} if keep else None
    return await reward_form(request, session, reward_id, told, values, refusal.status)


@post("/admin/rewards/{reward_id:uuid}", status_code=303)
async def edit_reward(request: AnyRequest, reward_id: FromPath[UUID]) -> Response[Any]:
    """Change a reward."""
    session, bank, form = administrator(request), bank_of(request), await Form.of(request)
    id = form.uuid("id")

    async def act(connection: AsyncConnection) -> Answer:
        return await shelf.edit(
            connection,
            bank.book_id,
            reward_id,
            id=id,
            actor_id=session.member_id,
            now=bank.clock(),
            changes=changes_of(form, bank),
            places=None if is_same(form, "places") else await places_of(connection, bank, form),
        )

    return await taken(request, session, reward_id, form, act, keep=True)


@post("/admin/rewards/{reward_id:uuid}/state", status_code=303)
async def set_state(request: AnyRequest, reward_id: FromPath[UUID]) -> Response[Any]:
    """Close a reward, or open it again. What is held already can still be collected."""
    session, bank, form = administrator(request), bank_of(request), await Form.of(request)
    id, state = form.uuid("id"), form.text("state")

    async def act(connection: AsyncConnection) -> Answer:
        return await shelf.edit(
            connection,
            bank.book_id,
            reward_id,
            id=id,
            actor_id=session.member_id,
            now=bank.clock(),
            changes=Changes(state=state),
        )

    return await taken(request, session, reward_id, form, act)


@post("/admin/rewards/{reward_id:uuid}/stock", status_code=303)
async def restock(request: AnyRequest, reward_id: FromPath[UUID]) -> Response[Any]:
    """Add pieces to the stock, or take them away."""
    session, bank, form = administrator(request), bank_of(request), await Form.of(request)
    id = form.uuid("id")

    async def act(connection: AsyncConnection) -> Answer:
        return await shelf.restock(
            connection,
            bank.book_id,
            reward_id,
            id=id,
            actor_id=session.member_id,
            now=bank.clock(),
            pieces=whole(form, "pieces"),
        )

    return await taken(request, session, reward_id, form, act)


@post(
    "/admin/rewards/{reward_id:uuid}/picture",
    status_code=303,
    request_max_body_size=pictures.SIZE_LIMIT_BYTES + 64 * 1024,
)
async def give_picture(request: AnyRequest, reward_id: FromPath[UUID]) -> Response[Any]:
    """Give a reward a picture. Sent again, it changes nothing."""
    session, bank, form = administrator(request), bank_of(request), await Form.of(request)
    # Asked before the work of decoding is done for somebody who may not.
    async with bank.engine.connect() as connection:
        await shelf.one(connection, bank.book_id, reward_id, actor_id=session.member_id, now=bank.clock())
    try:
        picture = await pictures.read(await form.file("picture"))
    except (BankError, Problem) as error:
        refusal = problem_of(error)
        told = Shown(True, speaker(request).gettext("Not saved"), words_of(request, refusal) or "")
        return await reward_form(request, session, reward_id, told, status=refusal.status)
    async with bank.engine.begin() as connection:
        await pictures.keep(connection, bank.book_id, reward_id, picture, now=bank.clock(), actor_id=session.member_id)
    return go(f"/admin/rewards/{reward_id}", done="picture")


@post("/admin/rewards/{reward_id:uuid}/picture/removal", status_code=303)
async def remove_picture(request: AnyRequest, reward_id: FromPath[UUID]) -> Response[Any]:
    """Take a reward's picture away."""
    session, bank = administrator(request), bank_of(request)
    async with bank.engine.begin() as connection:
        await pictures.remove(connection, bank.book_id, reward_id, now=bank.clock(), actor_id=session.member_id)
    return go(f"/admin/rewards/{reward_id}", done="picture")


handlers = [
    list_rewards,
    new_reward,
    offer_reward,
    reward_page,
    edit_reward,
    set_state,
    restock,
    give_picture,
    remove_picture,
]
