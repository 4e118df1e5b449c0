"""Real names: documents seen at a desk, and what an administrator decides of one that two have shown."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from litestar import Response
from litestar.params import FromPath
from msgspec import Meta

from api.auth import member_of
from api.rest.deeds import Doing, doing
from api.rest.operation import (
    Answered,
    AnyRequest,
    Body,
    ListPage,
    Operation,
    body_of,
    cursor_of,
    following,
    give,
    id_query,
    limit_of,
    reading,
    shaped,
    writing,
)
from api.state import Bank, bank_of
from timebank import identities, vault

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


class HeldDocument(Answered, frozen=True):
    """A document that another member has shown before, and nobody has decided upon."""

    member_id: UUID
    name: str | None
    kind: str
    """id_card, passport or permit."""
    checked_at: datetime
    checked_by: UUID
    """Who had it before their eyes."""


class HeldDocuments(ListPage, frozen=True):
    """One page of them, the latest first."""

    documents: list[HeldDocument]


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


def opened(bank: Bank, row: Any) -> HeldDocument:
    """A row with the name in it."""
    return shaped(row, HeldDocument, member_id=row.id, name=(vault.unseal(bank.keys, row) or {}).get("name"))


@reading(
    "/held-documents",
    Operation(HeldDocuments, refusals=("cursor_invalid", "invalid"), query=("region_id", "cursor", "limit")),
)
async def held_documents(request: AnyRequest) -> Response[Any]:
    """The documents that two members of the branch have shown, and that wait for a decision."""
    bank = bank_of(request)
    async with bank.engine.connect() as connection:
        page = await identities.held(
            connection,
            bank.book_id,
            actor_id=member_of(request).member_id,
            now=bank.clock(),
            region_id=id_query(request, "region_id"),
            before=cursor_of(request),
            limit=limit_of(request),
        )
    found = [opened(bank, row) for row in page.rows]
    return give(HeldDocuments(documents=found, following=following(page.following)))


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


handlers = [check_identity, held_documents, settle_identity.route]
