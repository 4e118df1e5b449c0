"""Joining, codes on paper, and children, for programs."""

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from litestar import Response
from litestar.params import FromPath
from msgspec import Meta

from api.auth import address_of, member_of, visitor_of
from api.rest.deeds import Doing, doing
from api.rest.members import Locale, Phone
from api.rest.operation import (
    Answered,
    AnyRequest,
    Body,
    Operation,
    ShortText,
    body_of,
    give,
    reading,
    writing,
)
from api.rest.sessions import Sent, SignedIn, signed_in
from api.state import bank_of
from timebank import activations, guardians, joining, signing_in, vault
from timebank.joining import Newcomer

POSTER = ("code_malformed", "code_forged", "poster_revoked", "guardian_needed", "try_later")
Purpose = Literal["service", "location", "honour"]
PosterCode = Annotated[str, Meta(max_length=600)]


class NewcomerBody(Body, frozen=True, kw_only=True):
    """Somebody who wants to join."""

    poster: PosterCode
    """The code of the station's poster."""
    name: ShortText
    phone: Phone
    born: date
    agreed: Annotated[list[Purpose], Meta(max_length=3)]
    """What they agree to; `service` is needed."""
    locale: Locale = "zh-CN"


class NewcomerProof(NewcomerBody, frozen=True, kw_only=True):
    """The same, with the digits that were sent."""

    digits: Annotated[str, Meta(pattern="^[0-9]{6}$")]


class Activation(Body, frozen=True):
    """A phone number, the code on paper that goes with it, and the password that shall be."""

    phone: Phone
    paper: Annotated[str, Meta(max_length=40)]
    password: Annotated[str, Meta(max_length=1024)]


class PaperCode(Answered, frozen=True):
    """A code to be printed. It is shown this once."""

    text: str
    expires_at: datetime


class NewChild(Body, frozen=True):
    """A child of who is signed in."""

    id: UUID
    """UUID version 7, made by the sender; the child's id."""
    name: ShortText
    born: date
    agreed: Annotated[list[Purpose], Meta(max_length=3)]
    """What the guardian agrees to for the child; `service` is needed."""


class Child(Answered, frozen=True):
    """A child for whom the member acts."""

    id: UUID
    name: str | None
    until: datetime
    """When the child is of age."""


class Children(Answered, frozen=True):
    """The children, the first to join first."""

    children: list[Child]


def newcomer(body: NewcomerBody) -> Newcomer:
    """What was said."""
    return Newcomer(name=body.name, phone=body.phone, born=body.born, agreed=body.agreed, locale=body.locale)


@writing("/joins/codes", Operation(Sent, NewcomerBody, 202, POSTER))
async def ask_to_join(request: AnyRequest) -> Response[Any]:
    """Say who wants to join at a station, and have six digits sent to the number."""
    body, bank = await body_of(request, NewcomerBody), bank_of(request)
    await joining.ask(
        bank.engine,
        bank.book_id,
        bank.keys,
        newcomer(body),
        code=body.poster,
        address=address_of(request),
        now=bank.clock(),
        sender=bank.sender,
    )
    return give(Sent(seconds=int(signing_in.CODE_LIFE.total_seconds())), 202)


@writing("/joins", Operation(SignedIn, NewcomerProof, 201, (*POSTER, "sign_in_refused")))
async def join(request: AnyRequest) -> Response[Any]:
    """Join with the digits that came; whoever is a member already is signed in."""
    body, bank = await body_of(request, NewcomerProof), bank_of(request)
    token, member_id, _ = await joining.join(
        bank.engine,
        bank.book_id,
        bank.keys,
        newcomer(body),
        code=body.poster,
        digits=body.digits,
        address=address_of(request),
        now=bank.clock(),
    )
    return signed_in(request, token, member_id)


@writing("/activations", Operation(SignedIn, Activation, 201, ("sign_in_refused", "try_later", "password_weak")))
async def activate(request: AnyRequest) -> Response[Any]:
    """Choose the first password with a code on paper."""
    body, bank = await body_of(request, Activation), bank_of(request)
    token, member_id = await activations.use(
        bank.engine,
        bank.book_id,
        bank.keys,
        phone=body.phone,
        code=body.paper,
        password=body.password,
        address=address_of(request),
        now=bank.clock(),
    )
    return signed_in(request, token, member_id)


@writing(
    "/members/{member_id:uuid}/activation-codes",
    Operation(PaperCode, None, 201, ("not_found", "role_not_allowed", "conflict")),
)
async def issue_activation(request: AnyRequest, member_id: FromPath[UUID]) -> Response[Any]:
    """Make a code on paper for a member without a password and without a role; the one before is void."""
    bank, now = bank_of(request), bank_of(request).clock()
    async with bank.engine.begin() as connection:
        text = await activations.issue(
            connection, bank.book_id, bank.keys, member_id, actor_id=member_of(request).member_id, now=now
        )
    return give(PaperCode(text=text, expires_at=now + activations.LIFE), 201)


@reading("/me/children", Operation(Children))
async def my_children(request: AnyRequest) -> Response[Any]:
    """The children for whom who is signed in acts."""
    bank = bank_of(request)
    async with bank.engine.connect() as connection:
        rows = await guardians.children(connection, bank.book_id, member_of(request).member_id, bank.clock())
    names = {row.id: (vault.unseal(bank.keys, row) or {}).get("name") for row in rows}
    return give(Children(children=[Child(id=row.id, name=names[row.id], until=row.until) for row in rows]))


@doing("/me/children", NewChild, refusals=("role_not_allowed",))
async def add_child(deed: Doing[NewChild]) -> dict[str, Any]:
    """Join one's child, agreeing for them. They are of one's household."""
    child_id = await guardians.add_child(
        deed.connection,
        deed.bank.book_id,
        deed.bank.keys,
        name=deed.body.name,
        born=deed.body.born,
        agreed=deed.body.agreed,
        id=deed.id,
        actor_id=deed.actor_id,
        now=deed.now,
    )
    return {"member_id": str(child_id)}


@writing("/me/children/{child_id:uuid}/sessions", Operation(SignedIn, None, 201, ("not_found",)))
async def act_for_child(request: AnyRequest, child_id: FromPath[UUID]) -> Response[Any]:
    """Go on as one's child, in the same session under another token, until it is stopped (`/me/helping/stop`). What is
    done meanwhile is done by the child."""
    return signed_in(request, await begun(request, child_id), child_id)


async def begun(request: AnyRequest, child_id: UUID) -> str:
    """The session's new token, as whose child it goes on."""
    bank, present = bank_of(request), visitor_of(request).token or ""
    async with bank.engine.begin() as connection:
        token = await guardians.act(
            connection,
            bank.book_id,
            child_id,
            token=present,
            actor_id=member_of(request).member_id,
            now=bank.clock(),
        )
    bank.recognition.forget(present)
    return token


handlers = [ask_to_join, join, activate, issue_activation, my_children, act_for_child, add_child.route]
