"""Texts that people write about somebody, sealed under that person's own data key and forgotten with it."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, select
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import vault
from timebank.keys import Keys
from timebank.tables import member


async def people(connection: AsyncConnection, book_id: int, ids: Iterable[UUID]) -> dict[UUID, Row[Any]]:
    """What it takes to seal texts of these members and to open them."""
    query: Select[Any] = select(member.c.book_id, member.c.id, member.c.key_id, member.c.data_key)
    rows = await connection.execute(query.where(member.c.book_id == book_id, member.c.id.in_(set(ids))))
    return {row.id: row for row in rows}


async def seal(
    connection: AsyncConnection, book_id: int, keys: Keys, member_id: UUID, purpose: str, text: str
) -> bytes | None:
    """The text, sealed for one purpose; None where the person was erased, with every text about them."""
    person = (await people(connection, book_id, [member_id]))[member_id]
    return vault.seal_beside(keys, person, purpose, {"text": text}) if person.data_key is not None else None


def opened(keys: Keys, person: Row[Any], purpose: str, sealed: bytes | None) -> str | None:
    """What `seal` sealed; None where there is nothing, or nothing any more."""
    if sealed is None or person.data_key is None:
        return None
    return str(vault.unseal_beside(keys, person, purpose, sealed)["text"])
