"""Webhooks of a branch: which addresses are told of what, and what became of each message."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from litestar import Response
from msgspec import Meta

from api.auth import member_of
from api.rest.deeds import Doing, doing
from api.rest.members import MemberCommand
from api.rest.operation import (
    Answered,
    AnyRequest,
    Body,
    ListPage,
    Operation,
    choice_query,
    cursor_of,
    following,
    give,
    id_query,
    limit_of,
    reading,
    shaped,
)
from api.state import bank_of
from timebank import webhooks
from timebank.tables import MESSAGE_STATES

Event = Literal[
    "record.verified",
    "record.corrected",
    "redemption.fulfilled",
    "certificate.issued",
    "shift.planned",
    "shift.cancelled",
]


class NewWebhook(Body, frozen=True):
    """An address that shall be told."""

    id: UUID
    """UUID version 7, made by the sender: the webhook's."""
    region_id: UUID
    """Where it happens: there and below."""
    url: Annotated[str, Meta(max_length=500)]
    events: Annotated[list[Event], Meta(min_length=1, max_length=6)]


class Webhook(Answered, frozen=True):
    """One address, and what its messages are signed with."""

    id: UUID
    region_id: UUID
    region_zh: str
    region_en: str | None
    url: str
    events: list[str]
    secret: str
    """For whoever checks the messages: `whsec_` and 32 bytes in base64."""
    added_by: UUID
    added_at: datetime
    waiting: int
    """Messages that are (still) to be sent."""
    dead: int
    """Messages that nobody took."""


class Webhooks(Answered, frozen=True):
    """All of the branch, the oldest first; a book has at most fifty."""

    webhooks: list[Webhook]


class WebhookMessage(Answered, frozen=True):
    """One message, and what became of it."""

    id: UUID
    """Its `webhook-id`."""
    webhook_id: UUID
    event: str
    subject_id: UUID
    at: datetime
    state: str
    """waiting, sent or dead."""
    tries: int
    due_at: datetime
    status: int | None
    """What the far side answered last."""
    failure: str | None
    """Why there was no answer."""
    sent_at: datetime | None


class WebhookMessages(ListPage, frozen=True):
    """One page of messages, the latest first."""

    messages: list[WebhookMessage]


@reading("/webhooks", Operation(Webhooks))
async def list_webhooks(request: AnyRequest) -> Response[Any]:
    """The webhooks of the branch."""
    bank = bank_of(request)
    async with bank.engine.connect() as connection:
        rows = await webhooks.listed(connection, bank.book_id, actor_id=member_of(request).member_id, now=bank.clock())
    found = [shaped(row, Webhook, secret=webhooks.secret_of(bank.keys, bank.book_id, row.id)) for row in rows]
    return give(Webhooks(webhooks=found))


@reading(
    "/webhook-messages",
    Operation(
        WebhookMessages,
        refusals=("cursor_invalid", "invalid"),
        query=("webhook_id", "message_state", "cursor", "limit"),
    ),
)
async def list_messages(request: AnyRequest) -> Response[Any]:
    """What the webhooks of the branch were told, or are still to be told."""
    bank = bank_of(request)
    async with bank.engine.connect() as connection:
        page = await webhooks.messages(
            connection,
            bank.book_id,
            actor_id=member_of(request).member_id,
            now=bank.clock(),
            webhook_id=id_query(request, "webhook_id"),
            state=choice_query(request, "message_state", MESSAGE_STATES),
            before=cursor_of(request),
            limit=limit_of(request),
        )
    found = [shaped(row, WebhookMessage) for row in page.rows]
    return give(WebhookMessages(messages=found, following=following(page.following)))


@doing("/webhooks", NewWebhook)
async def add_webhook(deed: Doing[NewWebhook]) -> dict[str, Any]:
    """Tell an address of what happens in a region of the branch."""
    body, settings = deed.body, deed.bank.settings
    await webhooks.add(
        deed.connection,
        deed.bank.book_id,
        region_id=body.region_id,
        url=body.url,
        events=body.events,
        private=settings.webhooks_private,
        demo=settings.demo,
        id=deed.id,
        actor_id=deed.actor_id,
        now=deed.now,
    )
    return {"webhook_id": str(deed.id)}


@doing("/webhooks/{webhook_id:uuid}/removal", MemberCommand)
async def remove_webhook(deed: Doing[MemberCommand]) -> None:
    """Tell an address nothing any more, nor what waits."""
    await webhooks.remove(deed.connection, deed.bank.book_id, deed.subject, actor_id=deed.actor_id, now=deed.now)


@doing("/webhook-messages/{message_id:uuid}/sending", MemberCommand)
async def send_again(deed: Doing[MemberCommand]) -> None:
    """Try a message that nobody took anew. Of one that is not dead nothing changes."""
    await webhooks.send_again(deed.connection, deed.bank.book_id, deed.subject, actor_id=deed.actor_id, now=deed.now)


handlers = [list_webhooks, list_messages, add_webhook.route, remove_webhook.route, send_again.route]
