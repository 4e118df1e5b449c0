"""Real names: documents seen at a desk, and what an administrator decides of one that two have shown."""

from typing import Annotated, Any, Literal
from uuid import UUID

from litestar import Response
from litestar.params import FromPath
from msgspec import Meta

from api.auth import member_of
from api.rest.deeds import Doing, doing
from api.rest.operation import Answered, AnyRequest, Body, Operation, body_of, give, writing
from api.state import bank_of
from timebank import identities

Kind = Literal["id_card", "passport", "permit"]


class SeenDocument(Body, frozen=True):
    """A document that the sender has before their eyes."""

    kind: Kind
    number: Annotated[str, Meta(max_length=80)]
    """Compared and forgotten."""


class IdentityState(Answered, frozen=True):
    """What became of it."""

    state: str
    """checked, or held: another member has shown the same document, and an administrator looks."""


class IdentityDecision(Body, frozen=True):
    """What an administrator decides of a document that is held."""

    id: UUID
    """UUID version 7, made by the sender and kept until there is an answer."""
    verdict: Literal["accept", "refuse"]


@writing(
    "/members/{member_id:uuid}/identity-checks",
    Operation(
        IdentityState,
        SeenDocument,
        201,
        ("not_found", "role_not_allowed", "conflict", "identity_mismatch", "identity_down"),
    ),
)
async def check_identity(request: AnyRequest, member_id: FromPath[UUID]) -> Response[Any]:
    """Say that one has seen a member's document. Its number is kept as a keyed hash, and its last four characters."""
    bank, body = bank_of(request), await body_of(request, SeenDocument)
    state = await identities.see(
        bank.engine,
        bank.book_id,
        bank.keys,
        bank.register,
        member_id,
        kind=body.kind,
        number=body.number,
        actor_id=member_of(request).member_id,
        now=bank.clock(),
    )
    return give(IdentityState(state=state), 201)


@doing("/members/{member_id:uuid}/identity-decision", IdentityDecision)
async def settle_identity(deed: Doing[IdentityDecision]) -> None:
    """Decide of a document that two members have shown: it counts for this one, or the check is void."""
    await identities.settle(
        deed.connection,
        deed.bank.book_id,
        deed.subject,
        deed.body.verdict,
        actor_id=deed.actor_id,
        now=deed.now,
    )


handlers = [check_identity, settle_identity.route]
