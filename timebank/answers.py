"""What commands were answered, asked for again by who sent them: the page after a form shows this."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import ARRAY, Uuid, any_, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank.commands import Answer
from timebank.tables import command


async def remembered(
    connection: AsyncConnection, book_id: int, actor_id: UUID, ids: Sequence[UUID]
) -> dict[UUID, Answer]:
    """The answers of these commands of the actor's. What is unknown or somebody else's is left out."""
    query = select(command.c.id, command.c.answer).where(
        command.c.book_id == book_id,
        command.c.id == any_(literal(list(ids), ARRAY(Uuid))),
        command.c.actor_id == actor_id,
    )
    return {row.id: Answer(**row.answer) for row in await connection.execute(query)}
