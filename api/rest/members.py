"""Members as administrators see and change them: always those of their branch."""

import contextlib
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
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
    ShortText,
    body_of,
    choice_query,
    cursor_of,
    following,
    give,
    id_query,
    limit_of,
    reading,
    writing,
)
from api.state import Bank, bank_of
from timebank import members, membership, merging, readings, signing_in, vault
from timebank.errors import TryLater
from timebank.membership import Changes

Locale = Literal["zh-CN", "en"]
# Fields of people are short; a phone number is shorter still.
Phone = Annotated[str, Meta(max_length=40)]


class Member(Answered, frozen=True):
    """A member of the branch."""

    id: UUID
    name: str | None
    """null for somebody who was erased."""
    phone: str | None
    region_id: UUID
    region_zh: str
    region_en: str | None
    household_id: UUID | None
    locale: str
    state: str
    """active, suspended, erased or merged."""
    merged_into: UUID | None
    """The member that this one turned out to be."""
    joined_at: datetime


class Members(ListPage, frozen=True):
    """One page of members, who joined last first."""

    members: list[Member]


class MembersFound(Answered, frozen=True):
    """The members that were looked for, at most 100, the oldest first."""

    members: list[Member]


class MemberSearch(Body, frozen=True):
    """Exactly one of the two. Sent as a body, so that no log of addresses names anybody."""

    phone: Phone | None = None
    name: ShortText | None = None
    """The whole name; spaces and capitals do not matter."""


class NewMember(Body, frozen=True):
    """A member to be added."""

    id: UUID
    """UUID version 7, made by the sender; the member's id."""
    name: ShortText
    region_id: UUID
    phone: Phone | None = None
    """Without one, the member cannot sign in."""
    locale: Locale = "zh-CN"


class MemberChanges(Body, frozen=True):
    """What shall be different; what is left out stays."""

    id: UUID
    """UUID version 7, made by the sender and kept until there is an answer."""
    name: ShortText | None = None
    phone: Phone | None = None
    """"" takes the number away."""
    region_id: UUID | None = None
    household_of: UUID | None = None
    """Another member of the branch, whose household becomes this one's; the member's own id: a household alone."""
    locale: Locale | None = None


class MemberCommand(Body, frozen=True):
    """Nothing but an id."""

    id: UUID
    """UUID version 7, made by the sender and kept until there is an answer."""


class Merger(Body, frozen=True):
    """Which member is absorbed."""

    id: UUID
    """UUID version 7, made by the sender and kept until there is an answer."""
    absorbed_id: UUID


def opened(bank: Bank, row: Any) -> Member:
    """A row with what is sealed in it."""
    fields = vault.unseal(bank.keys, row) or {}
    named = {str(name): value for name, value in row._mapping.items()}
    return msgspec.convert({**named, "name": fields.get("name"), "phone": fields.get("phone")}, Member)


@reading(
    "/members",
    Operation(Members, refusals=("cursor_invalid", "invalid"), query=("region_id", "member_state", "cursor", "limit")),
)
async def list_members(request: AnyRequest) -> Response[Any]:
    """The members of the branch."""
    bank, actor_id = bank_of(request), member_of(request).member_id
    async with bank.engine.connect() as connection:
        page = await membership.listed(
            connection,
            bank.book_id,
            actor_id=actor_id,
            now=bank.clock(),
            region_id=id_query(request, "region_id"),
            state=choice_query(request, "member_state", membership.STATES),
            before=cursor_of(request),
            limit=limit_of(request),
        )
    return give(Members(members=[opened(bank, row) for row in page.rows], following=following(page.following)))


@writing("/members/search", Operation(MembersFound, MemberSearch))
async def search_members(request: AnyRequest) -> Response[Any]:
    """Look members of the branch up, by phone number or by whole name. Changes nothing."""
    bank, body = bank_of(request), await body_of(request, MemberSearch)
    async with bank.engine.begin() as connection:
        rows = await membership.found(
            connection,
            bank.book_id,
            bank.keys,
            actor_id=member_of(request).member_id,
            now=bank.clock(),
            phone=body.phone,
            name=body.name,
        )
        found = [row.id for row in rows]
        await readings.note(connection, bank.book_id, member_of(request).member_id, found, "search", bank.clock())
    return give(MembersFound(members=[opened(bank, row) for row in rows]))


@reading("/members/{member_id:uuid}", Operation(Member, refusals=("not_found",)))
async def show_member(request: AnyRequest, member_id: FromPath[UUID]) -> Response[Any]:
    """One member of the branch."""
    bank = bank_of(request)
    async with bank.engine.begin() as connection:
        row = await membership.one(
            connection, bank.book_id, member_id, actor_id=member_of(request).member_id, now=bank.clock()
        )
        await readings.note(connection, bank.book_id, member_of(request).member_id, [member_id], "file", bank.clock())
    return give(opened(bank, row))


@doing("/members", NewMember, refusals=("phone_taken",))
async def add_member(deed: Doing[NewMember]) -> dict[str, Any]:
    """Add a member. They sign in by a code to their phone."""
    body = deed.body
    member_id = await members.add(
        deed.connection,
        deed.bank.book_id,
        deed.bank.keys,
        name=body.name,
        phone=body.phone or None,
        region_id=body.region_id,
        locale=body.locale,
        id=deed.id,
        now=deed.now,
        actor_id=deed.actor_id,
    )
    return {"member_id": str(member_id)}


@doing("/members/{member_id:uuid}/changes", MemberChanges, refusals=("phone_taken",))
async def change_member(deed: Doing[MemberChanges]) -> None:
    """Change what the bank knows of a member. Not oneself, nor who holds a role outside the branch."""
    values = msgspec.structs.asdict(deed.body)
    values.pop("id")
    await membership.edit(
        deed.connection,
        deed.bank.book_id,
        deed.bank.keys,
        deed.subject,
        Changes(**values),
        now=deed.now,
        actor_id=deed.actor_id,
    )


@doing("/members/{member_id:uuid}/suspension", MemberCommand)
async def suspend_member(deed: Doing[MemberCommand]) -> None:
    """Keep a member from checking in and redeeming. They may still sign in and see what is theirs."""
    await members.suspend(deed.connection, deed.bank.book_id, deed.subject, now=deed.now, actor_id=deed.actor_id)


@doing("/members/{member_id:uuid}/reinstatement", MemberCommand)
async def reinstate_member(deed: Doing[MemberCommand]) -> None:
    """End a suspension."""
    await members.reinstate(deed.connection, deed.bank.book_id, deed.subject, now=deed.now, actor_id=deed.actor_id)


@doing("/members/{member_id:uuid}/password-reset", MemberCommand)
async def reset_password(deed: Doing[MemberCommand]) -> None:
    """Take a member's password away, sign them out everywhere, and send six digits to their phone to sign in with."""
    bank, row = (
        deed.bank,
        await membership.one(deed.connection, deed.bank.book_id, deed.subject, actor_id=deed.actor_id, now=deed.now),
    )
    await membership.forget_password(
        deed.connection, bank.book_id, bank.keys, deed.subject, now=deed.now, actor_id=deed.actor_id
    )
    phone = (vault.unseal(bank.keys, row) or {})["phone"]

    async def send() -> None:
        # Whoever had enough codes for now asks for the next one on the page where they sign in.
        with contextlib.suppress(TryLater):
            await signing_in.send_phone_code(
                bank.engine,
                bank.book_id,
                bank.keys,
                phone=phone,
                address="the bank's own",
                now=deed.now,
                sender=bank.sender,
            )

    deed.afterwards.append(send)


@doing("/members/{member_id:uuid}/merger", Merger, refusals=("checked_in",))
async def merge_members(deed: Doing[Merger]) -> dict[str, Any]:
    """Make one member of two: everything of the absorbed one's goes over to the member that the address names.

    `data` says how many `minutes`, `points`, `records` and `redemptions` went over.
    """
    merged = await merging.merge(
        deed.connection,
        deed.bank.book_id,
        survivor_id=deed.subject,
        absorbed_id=deed.body.absorbed_id,
        id=deed.id,
        now=deed.now,
        actor_id=deed.actor_id,
    )
    return {
        "minutes": merged.minutes,
        "points": merged.points,
        "records": merged.records,
        "redemptions": merged.redemptions,
    }


DEEDS = (add_member, change_member, suspend_member, reinstate_member, reset_password, merge_members)
handlers = [list_members, search_members, show_member, *(deed.route for deed in DEEDS)]
