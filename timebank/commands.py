"""Commands that may be sent again: the same id, actor and content gets the same answer, for ever.

The phone makes a command's id before it sends it and keeps it until it has an answer. Every final answer, refusals
included, is stored in the transaction that carried the command out, so an answer that got lost on the way is simply
asked for again.
"""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, TypeVar
from uuid import UUID

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank.errors import BankError
from timebank.rows import run


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a command. `code` is "ok", "held" (kept, and a person decides) or the code of a refusal.

    `data` holds JSON values only, and no personal field: answers are kept for ever.
    """

    code: str
    data: dict[str, Any] = field(default_factory=dict)

    @property
    def refused(self) -> bool:
        """True when the command changed nothing but the memory of this answer."""
        return self.code not in ("ok", "held")


class Command(Protocol):
    """What every command has: an id made by its sender, who sends it, and what a repetition must repeat."""

    @property
    def id(self) -> UUID:
        """UUIDv7, made by the sender."""

    @property
    def actor_id(self) -> UUID:
        """The signed-in member who sends it."""

    def content(self) -> tuple[object, ...]:
        """Everything the sender chose; a second command with this id must have the same."""


C = TypeVar("C", bound=Command)
Decide = Callable[[list[C]], Awaitable[list[Answer]]]

ID_REUSED = Answer("id_reused")

KNOWN = text("""
    SELECT id, kind, actor_id, content_hash, answer FROM timebank.command
    WHERE book_id = :book_id AND id = ANY(CAST(:ids AS uuid[]))
""")

REMEMBER = """
    INSERT INTO timebank.command (book_id, id, kind, actor_id, content_hash, answer, recorded_at)
    SELECT $1, c.id, $2, c.actor_id, c.content_hash, CAST(c.answer AS jsonb), $3
    FROM unnest($4::uuid[], $5::uuid[], $6::bytea[], $7::text[]) AS c (id, actor_id, content_hash, answer)
    ORDER BY c.id
"""


def content_hash(kind: str, command: Command) -> bytes:
    """SHA-256 over the kind and content of a command."""
    return hashlib.sha256(msgspec.json.encode((kind, *command.content()))).digest()


async def settle(
    connection: AsyncConnection,
    book_id: int,
    kind: str,
    commands: Sequence[C],
    now: datetime,
    decide: Decide[C],
) -> list[Answer]:
    """Answer every command of one kind, in order: known ones from memory, new ones through `decide`, once each.

    A known id with another kind, actor or content is answered `id_reused` and reveals nothing of the first. When
    another process settles one of the same ids at this moment, the insert fails with a unique violation (23505) and
    the whole batch is to be sent again.
    """
    hashes = [content_hash(kind, command) for command in commands]
    known: dict[UUID, tuple[UUID, bytes, Answer]] = {}
    rows = await connection.execute(KNOWN, {"book_id": book_id, "ids": [command.id for command in commands]})
    for row in rows:
        known[row.id] = (row.actor_id, row.content_hash, Answer(**row.answer))
    fresh: dict[UUID, int] = {}
    for position, command in enumerate(commands):
        if command.id not in known and command.id not in fresh:
            fresh[command.id] = position
    if fresh:
        new = [commands[position] for position in fresh.values()]
        answers = await decide(new)
        for position, answer in zip(fresh.values(), answers, strict=True):
            known[commands[position].id] = (commands[position].actor_id, hashes[position], answer)
        await run(
            connection,
            REMEMBER,
            book_id,
            kind,
            now,
            list(fresh),
            [command.actor_id for command in new],
            [hashes[position] for position in fresh.values()],
            [msgspec.json.encode({"code": answer.code, "data": answer.data}).decode() for answer in answers],
        )
    result = []
    for command, digest in zip(commands, hashes, strict=True):
        actor_id, stored_hash, answer = known[command.id]
        result.append(answer if (actor_id, stored_hash) == (command.actor_id, digest) else ID_REUSED)
    return result


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A rare command, as administrators send them; `chosen` is all that was sent."""

    id: UUID
    actor_id: UUID
    chosen: tuple[object, ...]

    def content(self) -> tuple[object, ...]:
        """What was sent."""
        return self.chosen


async def once(
    connection: AsyncConnection,
    book_id: int,
    kind: str,
    order: Order,
    now: datetime,
    act: Callable[[], Awaitable[dict[str, Any]]],
) -> Answer:
    """Carry out a rare command by `act`, which answers the data of "ok", unless it was carried out before.

    A BankError becomes its refusal, which is remembered too; what `act` had written until then is taken back.
    """

    async def decide(_: list[Order]) -> list[Answer]:
        try:
            async with connection.begin_nested():
                return [Answer("ok", await act())]
        except BankError as error:
            return [Answer(error.code, error.data)]

    (answer,) = await settle(connection, book_id, kind, [order], now, decide)
    return answer
