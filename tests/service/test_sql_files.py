"""The SQL files that migrations and the ledger load: each piece is one statement."""

from pathlib import Path
from typing import Any

import asyncpg
import pytest

import ledger
import migrations
from tests.conftest import Database
from timebank.database import plain_url

SOURCES = (Path(migrations.__path__[0]), Path(ledger.__path__[0]))


def sql_files() -> list[Path]:
    """Every SQL file that is loaded, in the migrations and in the ledger."""
    return sorted(path for source in SOURCES for path in source.rglob("*.sql"))


async def is_one_statement(connection: asyncpg.Connection, statement: str) -> bool:
    """Whether PostgreSQL reads it as one: preparing takes one only, and carries nothing out."""
    try:
        await connection.prepare(statement)
    except asyncpg.PostgresSyntaxError as error:
        if "multiple commands" in str(error):
            return False
        raise
    except asyncpg.SyntaxOrAccessError:
        # One statement, about what is not there any more.
        return True
    return True


def pieces_of(path: Path) -> list[str]:
    """As they are loaded: the migrations cut where an empty line follows; the ledger's files are taken whole."""
    source = path.read_text(encoding="utf-8")
    pieces = source.split(";\n\n") if path.is_relative_to(SOURCES[0]) else [source]
    return [piece.strip().removesuffix(";") for piece in pieces]


@pytest.mark.parametrize("path", sql_files(), ids=lambda path: path.name)
async def test_every_piece_of_a_sql_file_is_one_statement(database: Database, path: Path) -> None:
    connection: Any = await asyncpg.connect(plain_url(database.owner_url))
    try:
        assert not await is_one_statement(connection, "SELECT 1; SELECT 2")
        for piece in pieces_of(path):
            assert piece
            assert await is_one_statement(connection, piece), piece
    finally:
        await connection.close()
