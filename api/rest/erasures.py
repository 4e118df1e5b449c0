"""Erasing a person: asked for, taken back, carried out by a second one."""

from datetime import datetime
from typing import Any
from uuid import UUID

from litestar import Response

from api.auth import member_of
from api.rest.deeds import Doing, doing
from api.rest.members import MemberCommand
from api.rest.operation import (
    Answered,
    AnyRequest,
    ListPage,
    Operation,
    cursor_of,
    following,
    give,
    id_query,
    limit_of,
    reading,
)
from api.state import Bank, bank_of
from timebank import erasing, vault


class Erasure(Answered, frozen=True):
    """A wish that somebody be erased, which nobody has carried out yet."""

    member_id: UUID
    name: str | None
    asked_at: datetime
    asked_by: UUID | None
    """The member's own id where the wish is the member's."""


class Erasures(ListPage, frozen=True):
    """One page of wishes, the latest first."""

    erasures: list[Erasure]


def opened(bank: Bank, row: Any) -> Erasure:
    """A row with the name in it."""
    fields = vault.unseal(bank.keys, row) or {}
    return Erasure(member_id=row.id, name=fields.get("name"), asked_at=row.asked_at, asked_by=row.asked_by)


@reading(
    "/erasures", Operation(Erasures, refusals=("cursor_invalid", "invalid"), query=("region_id", "cursor", "limit"))
)
async def list_erasures(request: AnyRequest) -> Response[Any]:
    """Who in the branch shall be erased and is not yet."""
    bank = bank_of(request)
    async with bank.engine.connect() as connection:
        page = await erasing.listed(
            connection,
            bank.book_id,
            actor_id=member_of(request).member_id,
            now=bank.clock(),
            region_id=id_query(request, "region_id"),
            before=cursor_of(request),
            limit=limit_of(request),
        )
    found = [opened(bank, row) for row in page.rows]
    return give(Erasures(erasures=found, following=following(page.following)))


@doing("/me/erasure-request", MemberCommand, refusals=("erasure_asked",))
async def ask_my_erasure(deed: Doing[MemberCommand]) -> None:
    """Ask to be erased. An administrator carries it out."""
    await erasing.ask(
        deed.connection, deed.bank.book_id, deed.actor_id, id=deed.id, actor_id=deed.actor_id, now=deed.now
    )


@doing("/me/erasure-withdrawal", MemberCommand, refusals=("erasure_not_asked",))
async def withdraw_my_erasure(deed: Doing[MemberCommand]) -> None:
    """Take the wish to be erased back."""
    await erasing.withdraw(deed.connection, deed.bank.book_id, deed.actor_id, actor_id=deed.actor_id, now=deed.now)


@doing("/members/{member_id:uuid}/erasure-request", MemberCommand, refusals=("erasure_asked",))
async def ask_erasure(deed: Doing[MemberCommand]) -> None:
    """Ask that a member be erased. Another administrator carries it out."""
    await erasing.ask(
        deed.connection, deed.bank.book_id, deed.subject, id=deed.id, actor_id=deed.actor_id, now=deed.now
    )


@doing("/members/{member_id:uuid}/erasure-withdrawal", MemberCommand, refusals=("erasure_not_asked",))
async def withdraw_erasure(deed: Doing[MemberCommand]) -> None:
    """Take back what an administrator asked; what the member asked, the member takes back."""
    await erasing.withdraw(deed.connection, deed.bank.book_id, deed.subject, actor_id=deed.actor_id, now=deed.now)


@doing("/members/{member_id:uuid}/erasure", MemberCommand, refusals=("erasure_not_asked", "second_person_needed"))
async def erase_member(deed: Doing[MemberCommand]) -> None:
    """Erase a member, for good: by somebody else than who asked for it."""
    await erasing.carry_out(deed.connection, deed.bank.book_id, deed.subject, actor_id=deed.actor_id, now=deed.now)
    deed.afterwards.append(deed.bank.note_erasures)


DEEDS = (ask_my_erasure, withdraw_my_erasure, ask_erasure, withdraw_erasure, erase_member)
handlers = [list_erasures, *(deed.route for deed in DEEDS)]
