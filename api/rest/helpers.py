"""Helpers: who acts for a member, granted and ended; and going on for somebody, and for oneself again."""

from datetime import datetime
from typing import Any
from uuid import UUID

from litestar import Response
from litestar.params import FromPath

from api.auth import member_of, visitor_of
from api.problems import Problem
from api.rest.checkins import Code, Digits
from api.rest.deeds import Doing, doing
from api.rest.desk import station_at
from api.rest.operation import (
    Answered,
    AnyRequest,
    Body,
    Done,
    ListPage,
    Moment,
    Operation,
    ShortText,
    body_of,
    command_id,
    cursor_of,
    days_query,
    following,
    give,
    id_query,
    limit_of,
    moment,
    reading,
    shaped,
    writing,
)
from api.rest.sessions import SignedIn, signed_in
from api.state import bank_of
from timebank import cards, guardians, helpers, members

GRANTING = ("code_malformed", "code_forged", "card_revoked", "role_not_allowed", "helpers_full")


class NewHelper(Body, frozen=True):
    """Who may act for the sender from now on: somebody of the household, or whoever showed their card."""

    id: UUID
    """UUID version 7; the grant's id."""
    ends_at: Moment
    """Until when, a year on at most."""
    helper_id: UUID | None = None
    """Somebody of one's household; or else `card`."""
    card: Code | None = None
    """The helper's card, as scanned."""
    starts_at: Moment | None = None
    """From when on; null: from now on."""


class HelperAtDesk(Body, frozen=True):
    """A helper whom a manager assigns, with the member's card and, better, the PIN."""

    id: UUID
    """UUID version 7; the grant's id. Sent twice, it is one."""
    code: Code
    """The member's card, as scanned."""
    helper: ShortText
    """The helper's phone number, their card as scanned, or their member number."""
    ends_at: Moment
    pin: Digits | None = None
    """The member's PIN, typed by the member."""


class Ending(Body, frozen=True):
    """It is over."""

    id: UUID
    """UUID version 7, made by the sender and kept until there is an answer."""


class Helping(Answered, frozen=True):
    """Somebody who may act for somebody."""

    id: UUID
    member_id: UUID
    member_name: str | None
    helper_id: UUID
    helper_name: str | None
    starts_at: datetime
    ends_at: datetime
    vouched: str
    """self: by the member's own session; pin or card: at a desk, with that."""


class Helpers(Answered, frozen=True):
    """Who helps the sender and whom the sender helps, now or to come."""

    helpers: list[Helping]


class DoneForMe(Answered, frozen=True):
    """Something that somebody did for the sender: a helper, or whoever assigned one."""

    id: UUID
    at: datetime
    actor_id: UUID
    actor_name: str | None
    """null: somebody who was erased."""
    action: str


class DeedsForMe(ListPage, frozen=True):
    """One page of what others did for the sender, the latest first."""

    deeds: list[DoneForMe]


@reading("/me/helpers", Operation(Helpers))
async def my_helpers(request: AnyRequest) -> Response[Any]:
    """Who acts for whoever is signed in, and for whom they act."""
    bank, member_id = bank_of(request), member_of(request).member_id
    async with bank.engine.connect() as connection:
        rows = await helpers.of(connection, bank.book_id, member_id, bank.clock())
        ids = {row.member_id for row in rows} | {row.helper_id for row in rows}
        names = await members.names(connection, bank.book_id, bank.keys, ids)
    found = [
        Helping(
            id=row.id,
            member_id=row.member_id,
            member_name=names.get(row.member_id),
            helper_id=row.helper_id,
            helper_name=names.get(row.helper_id),
            starts_at=row.starts_at,
            ends_at=row.ends_at,
            vouched=row.vouched,
        )
        for row in rows
    ]
    return give(Helpers(helpers=found))


@reading(
    "/me/helpers/deeds",
    Operation(
        DeedsForMe,
        refusals=("cursor_invalid", "invalid"),
        query=("actor_id", "since:day", "until:day", "cursor", "limit"),
    ),
)
async def deeds_for_me(request: AnyRequest) -> Response[Any]:
    """What others did for whoever is signed in."""
    bank, (since, until) = bank_of(request), days_query(request)
    async with bank.engine.connect() as connection:
        page = await helpers.deeds(
            connection,
            bank.book_id,
            member_of(request).member_id,
            actor_id=id_query(request, "actor_id"),
            since=since,
            until=until,
            before=cursor_of(request),
            limit=limit_of(request),
        )
        names = await members.names(connection, bank.book_id, bank.keys, {row.actor_id for row in page.rows})
    found = [shaped(row, DoneForMe, actor_name=names.get(row.actor_id)) for row in page.rows]
    return give(DeedsForMe(deeds=found, following=following(page.following)))


@doing("/me/helpers", NewHelper, refusals=GRANTING)
async def grant_helper(deed: Doing[NewHelper]) -> dict[str, Any]:
    """Let somebody act for oneself. `data`: `helper_id`."""
    body, book_id = deed.body, deed.bank.book_id
    if (body.helper_id is None) == (body.card is None):
        raise Problem("invalid", {"field": "helper_id", "reason": "one_of"})
    if body.card is not None:
        helper_id = await cards.holder(deed.connection, book_id, deed.bank.keys, body.card, deed.now)
    else:
        helper_id = await helpers.of_household(deed.connection, book_id, deed.actor_id, body.helper_id)
    await helpers.grant(
        deed.connection,
        book_id,
        deed.actor_id,
        helper_id,
        starts_at=moment("starts_at", body.starts_at),
        ends_at=moment("ends_at", body.ends_at) or deed.now,
        vouched="self",
        id=deed.id,
        actor_id=deed.actor_id,
        now=deed.now,
    )
    return {"helper_id": str(helper_id)}


@doing("/me/helpers/{helping_id:uuid}/end", Ending)
async def end_helper(deed: Doing[Ending]) -> None:
    """End it at once: by the member, by the helper, or by a manager who serves the member."""
    await helpers.end(deed.connection, deed.bank.book_id, deed.subject, actor_id=deed.actor_id, now=deed.now)


@writing("/me/helpers/{helping_id:uuid}/sessions", Operation(SignedIn, None, 201, ("not_found",)))
async def act_for_member(request: AnyRequest, helping_id: FromPath[UUID]) -> Response[Any]:
    """Go on for a member, in the same session under another token, until it is stopped."""
    token, member_id = await begun(request, helping_id)
    return signed_in(request, token, member_id)


async def begun(request: AnyRequest, helping_id: UUID) -> tuple[str, UUID]:
    """The session's new token, and for whom it acts now."""
    bank, present = bank_of(request), visitor_of(request).token or ""
    async with bank.engine.begin() as connection:
        token, member_id = await helpers.act(
            connection,
            bank.book_id,
            helping_id,
            token=present,
            actor_id=member_of(request).member_id,
            now=bank.clock(),
        )
    bank.recognition.forget(present)
    return token, member_id


@writing("/me/helping/stop", Operation(SignedIn, None, 201, ("conflict",)))
async def stop_acting(request: AnyRequest) -> Response[Any]:
    """Go on for oneself again, as a helper or as a guardian; `conflict` for who acts for nobody."""
    token, member_id = await stopped(request)
    return signed_in(request, token, member_id)


async def stopped(request: AnyRequest) -> tuple[str, UUID]:
    """The session's new token, and whose it is again."""
    bank, session, present = bank_of(request), member_of(request), visitor_of(request).token or ""
    book_id, member_id, now = bank.book_id, session.member_id, bank.clock()
    async with bank.engine.begin() as connection:
        if (helper_id := session.helper_id) is not None:
            token = await helpers.stop(connection, book_id, member_id, token=present, helper_id=helper_id, now=now)
        elif (guardian_id := session.guardian_id) is not None:
            token = await guardians.stop(
                connection, book_id, member_id, token=present, guardian_id=guardian_id, now=now
            )
        else:
            raise Problem("conflict", {"field": "helper"})
    bank.recognition.forget(present)
    return token, session.person_id


@writing(
    "/stations/{number:int}/helpers",
    Operation(
        Done,
        HelperAtDesk,
        201,
        (
            *GRANTING,
            "not_found",
            "own_redemption",
            "conflict",
            "pin_missing",
            "pin_witnessed",
            "pin_wrong",
            "pin_locked",
        ),
    ),
)
async def assign_helper(request: AnyRequest, number: FromPath[int]) -> Response[Any]:
    """Assign a helper to a member who shows their card; with the PIN, where they type it too."""
    body = await body_of(request, HelperAtDesk)
    await station_at(request, number)
    await assigned(
        request,
        id=command_id(body.id),
        code=body.code,
        pin=body.pin,
        helper=body.helper,
        ends_at=moment("ends_at", body.ends_at) or bank_of(request).clock(),
    )
    return give(Done(), 201)


async def assigned(
    request: AnyRequest, *, id: UUID, code: str, pin: str | None, helper: str, ends_at: datetime
) -> None:
    """Assign a helper at a desk. Errors: as `helpers.assign`."""
    bank = bank_of(request)
    await helpers.assign(
        bank.engine,
        bank.book_id,
        bank.keys,
        card_text=code,
        digits=pin,
        helper=helper,
        ends_at=ends_at,
        id=id,
        actor_id=member_of(request).member_id,
        now=bank.clock(),
    )


handlers = [
    my_helpers,
    deeds_for_me,
    grant_helper.route,
    end_helper.route,
    act_for_member,
    stop_acting,
    assign_helper,
]
