"""Webhooks: addresses of other systems that are told what happens in a branch, by messages that are signed, tried again
and, when nobody takes them, kept until somebody looks.

The form is that of Standard Webhooks (https://www.standardwebhooks.com): `webhook-id`, `webhook-timestamp` and
`webhook-signature`. A message says which thing it is about by its id, and nothing of any person.
"""

import base64
import hashlib
import hmac
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from uuid import UUID

import msgspec
from sqlalchemy import Row, Select, and_, delete, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import access, trail
from timebank.cursors import Cursor, Page, falling
from timebank.errors import Invalid, NotFound
from timebank.keys import Keys
from timebank.setting_values import is_loopback
from timebank.tables import EVENTS, region, webhook, webhook_message

ROLES = ("admin",)
URL_LIMIT = 500
# How many one book has.
MOST = 50
# After each try that failed; as many tries and one. Then the message is dead, and waits for somebody who looks.
PAUSES = (
    timedelta(seconds=10),
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=8),
    timedelta(hours=24),
)
# For how long a message is one process's, which may die with it.
LEASE = timedelta(minutes=2)
# How long what was taken is kept, and what was not.
KEPT = timedelta(days=30)


class Message(NamedTuple):
    """One message that this process has claimed."""

    id: UUID
    webhook_id: UUID
    url: str
    event: str
    subject_id: UUID
    at: datetime
    tries: int

    @property
    def body(self) -> bytes:
        """What is sent: the same bytes at every try."""
        thing = {"kind": self.event.partition(".")[0], "id": str(self.subject_id)}
        return msgspec.json.encode({"type": self.event, "timestamp": self.at, "data": thing})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a try came to: the status that was answered, or why there was none."""

    status: int | None = None
    failure: str | None = None

    @property
    def taken(self) -> bool:
        """Whether the far side has it."""
        return self.status is not None and 200 <= self.status < 300


def secret_of(keys: Keys, book_id: int, webhook_id: UUID) -> str:
    """What a webhook's messages are signed with, as the far side is told it."""
    made = hmac.new(keys.webhook, f"{book_id}/{webhook_id}".encode(), hashlib.sha256).digest()
    return "whsec_" + base64.b64encode(made).decode()


def signed(secret: str, id: UUID, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers of a message."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    mark = hmac.new(key, f"{id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "Content-Type": "application/json",
        "webhook-id": str(id),
        "webhook-timestamp": str(timestamp),
        "webhook-signature": "v1," + base64.b64encode(mark).decode(),
    }


def checked_url(url: str, *, private: bool, demo: bool) -> str:
    """An address that messages may go to: https, and in a demo plain http to this machine. `invalid` (url) otherwise.

    Names are looked up when something is sent; see `is_outside`.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise Invalid(field="url", reason="characters") from None
    if not host or not url.isascii() or not url.isprintable() or " " in url or parts.username or parts.fragment:
        raise Invalid(field="url", reason="characters")
    if len(url) > URL_LIMIT:
        raise Invalid(field="url", reason="too_long", limit=URL_LIMIT)
    here = is_loopback(host)
    if parts.scheme != "https" and not (parts.scheme == "http" and here and demo):
        raise Invalid(field="url", reason="https")
    if not private and not (here and demo) and (here or not is_outside(host, unless_name=True)):
        raise Invalid(field="url", reason="not_outside")
    return url


def is_outside(host: str, *, unless_name: bool = False) -> bool:
    """Whether an address is of the public internet; a name is what `unless_name` says."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return unless_name
    return address.is_global and not address.is_multicast


async def add(
    connection: AsyncConnection,
    book_id: int,
    *,
    region_id: UUID,
    url: str,
    events: Sequence[str],
    private: bool,
    demo: bool,
    id: UUID,
    actor_id: UUID,
    now: datetime,
) -> None:
    """Tell an address of what happens in a region of the actor's. `private` and `demo`: see `checked_url`.

    Errors: `not_found` (region), `invalid` (url, events, webhooks: too many).
    """
    await access.visible_region(connection, book_id, region_id, actor_id=actor_id, roles=ROLES, now=now)
    url = checked_url(url, private=private, demo=demo)
    if not events or not set(events) <= set(EVENTS):
        raise Invalid(field="events", reason="unknown")
    count = select(func.count()).select_from(webhook).where(webhook.c.book_id == book_id)
    if (await connection.scalar(count) or 0) >= MOST:
        raise Invalid(field="webhooks", reason="too_large")
    chosen = [event for event in EVENTS if event in events]
    added = await connection.execute(
        insert(webhook)
        .values(
            book_id=book_id,
            id=id,
            region_id=region_id,
            url=url,
            events=chosen,
            added_by=actor_id,
            added_at=now,
        )
        .on_conflict_do_nothing(index_elements=["book_id", "id"])
    )
    if added.rowcount:
        after = {"url": url, "events": chosen}
        await note(connection, book_id, "webhook.add", id, region_id, actor_id, now, after=after)


async def note(
    connection: AsyncConnection,
    book_id: int,
    action: str,
    id: UUID,
    region_id: UUID,
    actor_id: UUID,
    now: datetime,
    *,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    """The row of the trail."""
    await trail.write(
        connection,
        book_id,
        actor_id=actor_id,
        action=action,
        subject_kind="webhook",
        subject_id=id,
        region_id=region_id,
        before=before,
        after=after,
        now=now,
    )


async def require(connection: AsyncConnection, book_id: int, id: UUID, *, actor_id: UUID, now: datetime) -> Row[Any]:
    """A webhook of the actor's branch; `not_found` otherwise."""
    query = of_branch(select(webhook), actor_id, now).where(webhook.c.book_id == book_id, webhook.c.id == id)
    return await access.one(connection, query, "webhook")


def of_branch(query: Select[Any], actor_id: UUID, now: datetime) -> Select[Any]:
    """The query, whose rows are webhooks, with their region; those of the actor's branch."""
    home = and_(region.c.book_id == webhook.c.book_id, region.c.id == webhook.c.region_id)
    return query.join(region, home).where(access.covers_region(actor_id, ROLES, now))


async def remove(connection: AsyncConnection, book_id: int, id: UUID, *, actor_id: UUID, now: datetime) -> None:
    """Tell it nothing any more, nor what waits. `not_found` outside the actor's branch."""
    row = await require(connection, book_id, id, actor_id=actor_id, now=now)
    await connection.execute(
        delete(webhook_message).where(webhook_message.c.book_id == book_id, webhook_message.c.webhook_id == id)
    )
    await connection.execute(delete(webhook).where(webhook.c.book_id == book_id, webhook.c.id == id))
    before = {"url": row.url, "events": row.events}
    await note(connection, book_id, "webhook.remove", id, row.region_id, actor_id, now, before=before)


async def listed(connection: AsyncConnection, book_id: int, *, actor_id: UUID, now: datetime) -> Sequence[Row[Any]]:
    """The webhooks of the actor's branch, the oldest first, each with its region and how many messages are `waiting`
    and `dead`."""

    def counted(state: str) -> Any:
        return (
            select(func.count())
            .where(
                webhook_message.c.book_id == webhook.c.book_id,
                webhook_message.c.webhook_id == webhook.c.id,
                webhook_message.c.state == state,
            )
            .scalar_subquery()
            .label(state)
        )

    columns: tuple[Any, ...] = (webhook, region.c.name_zh.label("region_zh"), region.c.name_en.label("region_en"))
    query = of_branch(select(*columns, counted("waiting"), counted("dead")).select_from(webhook), actor_id, now)
    query = query.where(webhook.c.book_id == book_id).order_by(webhook.c.added_at, webhook.c.id)
    rows: Sequence[Row[Any]] = (await connection.execute(query)).all()
    return rows


async def messages(
    connection: AsyncConnection,
    book_id: int,
    *,
    actor_id: UUID,
    now: datetime,
    webhook_id: UUID | None = None,
    state: str | None = None,
    before: Cursor | None = None,
    limit: int = 50,
) -> Page:
    """The messages of the branch's webhooks, the latest first."""
    of_it = and_(webhook.c.book_id == webhook_message.c.book_id, webhook.c.id == webhook_message.c.webhook_id)
    query = of_branch(select(webhook_message).join_from(webhook_message, webhook, of_it), actor_id, now)
    query = query.where(webhook_message.c.book_id == book_id)
    if webhook_id is not None:
        query = query.where(webhook_message.c.webhook_id == webhook_id)
    if state is not None:
        query = query.where(webhook_message.c.state == state)
    return await falling(connection, query, webhook_message.c.at, webhook_message.c.id, before, limit)


async def send_again(connection: AsyncConnection, book_id: int, id: UUID, *, actor_id: UUID, now: datetime) -> None:
    """Let a dead message wait anew, with all its tries. Of one that is not dead nothing changes. `not_found`."""
    query = select(webhook_message).where(webhook_message.c.book_id == book_id, webhook_message.c.id == id)
    row = await access.one(connection, query.with_for_update(), "webhook_message")
    try:
        hook = await require(connection, book_id, row.webhook_id, actor_id=actor_id, now=now)
    except NotFound:
        raise NotFound(kind="webhook_message") from None
    if row.state != "dead":
        return
    await connection.execute(
        update(webhook_message)
        .where(webhook_message.c.book_id == book_id, webhook_message.c.id == id)
        .values(state="waiting", tries=0, due_at=now)
    )
    facts = {"before": {"state": "dead"}, "after": {"state": "waiting"}}
    await note(connection, book_id, "webhook.again", hook.id, hook.region_id, actor_id, now, **facts)


CLAIM = text("""
    UPDATE timebank.webhook_message AS m SET due_at = :until, tries = m.tries + 1
    FROM (
      SELECT id FROM timebank.webhook_message
      WHERE book_id = :book_id AND state = 'waiting' AND due_at <= :now
      ORDER BY due_at, id LIMIT :most FOR UPDATE SKIP LOCKED
    ) AS due, timebank.webhook AS w
    WHERE m.book_id = :book_id AND m.id = due.id AND w.book_id = m.book_id AND w.id = m.webhook_id
    RETURNING m.id, m.webhook_id, w.url, m.event, m.subject_id, m.at, m.tries
""")


async def claim(connection: AsyncConnection, book_id: int, now: datetime, most: int) -> list[Message]:
    """Messages that are due, for this process alone, for two minutes. Commit, send them, and `settle` each."""
    rows = await connection.execute(CLAIM, {"book_id": book_id, "now": now, "until": now + LEASE, "most": most})
    return [Message(*row) for row in rows]


async def settle(connection: AsyncConnection, book_id: int, message: Message, outcome: Outcome, now: datetime) -> str:
    """Keep what a try came to; answers the message's state. One that another process has tried since is left alone."""
    values: dict[str, Any] = {"status": outcome.status, "failure": outcome.failure}
    if outcome.taken:
        values |= {"state": "sent", "sent_at": now}
    elif message.tries > len(PAUSES):
        values |= {"state": "dead"}
    else:
        values |= {"due_at": now + PAUSES[message.tries - 1]}
    await connection.execute(
        update(webhook_message)
        .where(
            webhook_message.c.book_id == book_id,
            webhook_message.c.id == message.id,
            webhook_message.c.state == "waiting",
            webhook_message.c.tries == message.tries,
        )
        .values(**values)
    )
    return str(values.get("state", "waiting"))


async def drop_past(connection: AsyncConnection, book_id: int, now: datetime) -> int:
    """Forget messages that were taken, or died, more than a month ago. Answers how many."""
    gone = await connection.execute(
        delete(webhook_message).where(
            webhook_message.c.book_id == book_id,
            or_(webhook_message.c.state == "sent", webhook_message.c.state == "dead"),
            webhook_message.c.due_at < now - KEPT,
        )
    )
    return gone.rowcount
