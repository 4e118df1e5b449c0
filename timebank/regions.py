"""The region tree: up to seven levels, rooted in the city that keeps the book.

Regions down to the community carry the 12-digit national division code (statistical codes of the National Bureau of
Statistics: 2 digits province, 2 city, 2 district, 3 street, 3 community; zeros fill what is not named).
"""

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, exists, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import access, texts, trail
from timebank.cursors import Cursor, Page, rising
from timebank.errors import Conflict, Invalid
from timebank.ids import uuid7
from timebank.tables import LEVELS, region

NAME_LIMIT = 80
# How many leading digits of the code name a region of each level.
CODE_DIGITS = {"city": 4, "district": 6, "street": 9, "community": 12}


@dataclass(frozen=True, slots=True, kw_only=True)
class Division:
    """One line of a national code list: its own code, and its parent's unless it is the root of the tree."""

    code: str
    name: str
    level: str
    parent: str | None
    name_en: str | None = None


def check_code(code: str, level: str, parent: str | None) -> None:
    """Raise `Invalid` unless the code has the shape of its level and lies inside its parent's."""
    digits = CODE_DIGITS.get(level)
    if digits is None or not re.fullmatch(r"[0-9]{12}", code) or code[digits:].strip("0"):
        raise Invalid(field="code", reason="code", code=code, level=level)
    if parent is not None and not code.startswith(parent[: significant(parent)]):
        raise Invalid(field="code", reason="outside_parent", code=code, parent=parent)


def significant(code: str) -> int:
    """How many leading digits of a code name a region; the zeros after them only fill."""
    return next(digits for digits in CODE_DIGITS.values() if not code[digits:].strip("0"))


async def add(
    connection: AsyncConnection,
    book_id: int,
    *,
    level: str,
    name_zh: str,
    parent_id: UUID | None,
    id: UUID,
    now: datetime,
    code: str | None = None,
    name_en: str | None = None,
    actor_id: UUID | None = None,
) -> UUID:
    """Add one region below `parent_id`, or the root of the book's tree when that is None (the operator only).

    Errors: `invalid` (level, code, name), `not_found` (parent), `conflict` (the code, or a second root).
    """
    if level not in LEVELS:
        raise Invalid(field="level", reason="unknown")
    name_zh = texts.line("name_zh", name_zh, NAME_LIMIT)
    name_en = texts.line("name_en", name_en, NAME_LIMIT) if name_en is not None else None
    parent = await parent_of_new(connection, book_id, parent_id, level, actor_id, now)
    if code is not None:
        check_code(code, level, parent.code if parent else None)
        if await by_codes(connection, book_id, [code]):
            raise Conflict(field="code")
    path = [*(parent.path if parent else ()), id]
    await connection.execute(
        insert(region).values(
            book_id=book_id,
            id=id,
            code=code,
            level=level,
            parent_id=parent_id,
            path=path,
            name_zh=name_zh,
            name_en=name_en,
            created_at=now,
        )
    )
    await trail.write(
        connection,
        book_id,
        actor_id=actor_id,
        action="region.add",
        subject_kind="region",
        subject_id=id,
        after={"code": code, "level": level, "name_zh": name_zh, "name_en": name_en, "depth": len(path)},
        now=now,
    )
    return id


async def rename(
    connection: AsyncConnection,
    book_id: int,
    region_id: UUID,
    *,
    name_zh: str,
    name_en: str | None,
    now: datetime,
    actor_id: UUID | None = None,
) -> None:
    """Call a region otherwise; its code and its place in the tree stay. Errors: `not_found`, `invalid` (names)."""
    row = await require(connection, book_id, region_id, actor_id, now)
    names = {
        "name_zh": texts.line("name_zh", name_zh, NAME_LIMIT),
        "name_en": texts.line("name_en", name_en, NAME_LIMIT) if name_en else None,
    }
    before = {"name_zh": row.name_zh, "name_en": row.name_en}
    if names == before:
        return
    await connection.execute(
        update(region).where(region.c.book_id == book_id, region.c.id == region_id).values(**names)
    )
    await trail.write(
        connection,
        book_id,
        actor_id=actor_id,
        action="region.rename",
        subject_kind="region",
        subject_id=region_id,
        before=before,
        after=names,
        now=now,
    )


async def below(
    connection: AsyncConnection,
    book_id: int,
    parent_id: UUID | None,
    *,
    actor_id: UUID,
    roles: Sequence[str],
    now: datetime,
    after: Cursor | None = None,
    limit: int = 100,
) -> Page:
    """The regions right below one of the actor's branch, the oldest first; with no parent, the tops of the branches.

    Each row has the columns of `region` and `children`, how many regions stand right below it.
    """
    above = region.alias()
    query = of_branch(book_id, actor_id, roles, now)
    if parent_id is not None:
        query = query.where(region.c.parent_id == parent_id)
    else:
        reached_from_above = exists().where(
            above.c.book_id == region.c.book_id,
            above.c.id == region.c.parent_id,
            access.covers_region(actor_id, roles, now, region=above),
        )
        query = query.where(~reached_from_above)
    return await rising(connection, query, region.c.created_at, region.c.id, after, limit)


async def found(
    connection: AsyncConnection,
    book_id: int,
    *,
    actor_id: UUID,
    roles: Sequence[str],
    now: datetime,
    name: str | None = None,
    level: str | None = None,
    below_id: UUID | None = None,
    after: Cursor | None = None,
    limit: int = 100,
) -> Page:
    """The regions of the actor's branch, however deep, that are called so, the oldest first; rows as of `below`.

    `name` is a part of the name in either language, or the first digits of the division code; `below_id` leaves only
    what stands under that region.
    """
    query = of_branch(book_id, actor_id, roles, now)
    if name:
        parts = [column.icontains(name, autoescape=True) for column in (region.c.name_zh, region.c.name_en)]
        if name.isascii() and name.isdigit():
            parts.append(region.c.code.startswith(name))
        query = query.where(or_(*parts))
    if level is not None:
        query = query.where(region.c.level == level)
    if below_id is not None:
        query = query.where(access.below(below_id), region.c.id != below_id)
    return await rising(connection, query, region.c.created_at, region.c.id, after, limit)


def of_branch(book_id: int, actor_id: UUID, roles: Sequence[str], now: datetime) -> Select[Any]:
    """The regions of the actor's branch, each with `children`."""
    child = region.alias()
    children = (
        select(func.count())
        .where(child.c.book_id == region.c.book_id, child.c.parent_id == region.c.id)
        .scalar_subquery()
        .label("children")
    )
    return select(region, children).where(region.c.book_id == book_id, access.covers_region(actor_id, roles, now))


async def paths_to(
    connection: AsyncConnection, book_id: int, rows: Iterable[Row[Any]]
) -> dict[UUID, Sequence[Row[Any]]]:
    """The regions from the root down to each of these, by its id."""
    rows = list(rows)
    query = select(region).where(region.c.book_id == book_id, region.c.id.in_({id for row in rows for id in row.path}))
    by_id = {each.id: each for each in await connection.execute(query)}
    return {row.id: [by_id[id] for id in row.path] for row in rows}


async def parent_of_new(
    connection: AsyncConnection,
    book_id: int,
    parent_id: UUID | None,
    level: str,
    actor_id: UUID | None,
    now: datetime,
) -> Row[Any] | None:
    """The row of the parent, once it is clear that a region of `level` may stand below it."""
    if parent_id is None:
        if actor_id is not None or await root(connection, book_id) is not None:
            raise Conflict(field="parent_id")
        return None
    parent = await require(connection, book_id, parent_id, actor_id, now)
    if LEVELS.index(level) <= LEVELS.index(parent.level):
        raise Invalid(field="level", reason="not_below_parent", level=level, parent=parent.level)
    return parent


async def require(
    connection: AsyncConnection, book_id: int, region_id: UUID, actor_id: UUID | None, now: datetime
) -> Row[Any]:
    """The region, when it exists and the actor, unless the operator, administers it; `NotFound` otherwise."""
    if actor_id is not None:
        return await access.visible_region(connection, book_id, region_id, actor_id=actor_id, roles=("admin",), now=now)
    query = select(region).where(region.c.book_id == book_id, region.c.id == region_id)
    return await access.one(connection, query, "region")


async def root(connection: AsyncConnection, book_id: int) -> Row[Any] | None:
    """The region that has no parent, normally the city."""
    query = select(region).where(region.c.book_id == book_id, region.c.parent_id.is_(None))
    return (await connection.execute(query)).one_or_none()


async def by_codes(connection: AsyncConnection, book_id: int, codes: Sequence[str]) -> dict[str, Row[Any]]:
    """The regions that have these national codes, by code."""
    query = select(region).where(region.c.book_id == book_id, region.c.code.in_(codes))
    return {row.code: row for row in await connection.execute(query)}


def read_divisions(lines: Iterable[str]) -> list[Division]:
    """The lines of a CSV with a header: `code,name,level,parent`, and `name_en` if there is one."""
    reader = csv.DictReader(lines)
    if missing := {"code", "name", "level", "parent"} - set(reader.fieldnames or ()):
        raise Invalid(field="header", reason="missing", columns=sorted(missing))
    return [
        Division(
            code=row["code"],
            name=row["name"],
            level=row["level"],
            parent=row["parent"] or None,
            name_en=row.get("name_en") or None,
        )
        for row in reader
    ]


async def import_divisions(
    connection: AsyncConnection, book_id: int, divisions: Iterable[Division], *, now: datetime
) -> int:
    """Add a tree, or a part of one, from a national code list; the operator only. Answers how many are new.

    Parents may follow their children in the list. A code that the book has already is left as it is, so that the
    same list can be imported again. Errors: `invalid` (with the code), `conflict` (a second root); then nothing of
    the list is added.
    """
    listed = {division.code: division for division in divisions}
    known = await by_codes(connection, book_id, [*listed, *(d.parent for d in listed.values() if d.parent)])
    fresh = [division for code, division in listed.items() if code not in known]
    fresh.sort(key=lambda division: (LEVELS.index(checked_level(division)), division.code))
    placed: dict[str, tuple[str, list[UUID]]] = {row.code: (row.level, row.path) for row in known.values()}
    if sum(division.parent is None for division in fresh) > (await root(connection, book_id) is None):
        raise Conflict(field="parent")
    rows: list[dict[str, Any]] = []
    for division in fresh:
        path = [*path_above(division, placed), uuid7(now)]
        placed[division.code] = (division.level, path)
        rows.append(
            {
                "book_id": book_id,
                "id": path[-1],
                "code": division.code,
                "level": division.level,
                "parent_id": path[-2] if len(path) > 1 else None,
                "path": path,
                "name_zh": texts.line("name", division.name, NAME_LIMIT),
                "name_en": texts.line("name_en", division.name_en, NAME_LIMIT) if division.name_en else None,
                "created_at": now,
            }
        )
    if rows:
        await connection.execute(insert(region), rows)
        await trail.write(
            connection,
            book_id,
            actor_id=None,
            action="region.import",
            subject_kind="region",
            subject_id=rows[0]["path"][0],
            after={"added": len(rows)},
            now=now,
        )
    return len(rows)


def checked_level(division: Division) -> str:
    """The level of a line whose code has the shape of that level."""
    check_code(division.code, division.level, division.parent)
    return division.level


def path_above(division: Division, placed: dict[str, tuple[str, list[UUID]]]) -> list[UUID]:
    """The path of the parent of a line, which must be in the book or earlier in the list."""
    if division.parent is None:
        return []
    if division.parent not in placed:
        raise Invalid(field="parent", reason="unknown", code=division.code, parent=division.parent)
    level, path = placed[division.parent]
    if LEVELS.index(division.level) <= LEVELS.index(level):
        raise Invalid(field="level", reason="not_below_parent", code=division.code, parent=division.parent)
    return path
