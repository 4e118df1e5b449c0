"""Rows that are places: regions of the tree, and stations."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import funds, kinds, regions, stations, texts
from timebank.errors import BankError, NotFound
from timebank.imports.outcomes import Import, Outcome, Refused, Row, refusal
from timebank.regions import CODE_DIGITS, NAME_LIMIT
from timebank.tables import LEVELS, region, service_kind, station

# What a station has where its row does not say.
CAP_MINUTES = 240
UNSAID = "—"


async def settle_regions(connection: AsyncConnection, run: Import, rows: Sequence[Row], now: datetime) -> list[Outcome]:
    """Add regions of the book's own city; a parent may stand in an earlier row or be left out, for codes tell it.

    Rows of other cities, and those above the city, are left. A code that is there is left as it is.
    """
    root = await regions.root(connection, run.book_id)
    if root is None or root.code is None:
        raise NotFound(kind="region")
    known: dict[str, tuple[str, list[UUID]]] = run.known.setdefault("regions", {root.code: (root.level, root.path)})
    codes = {above for row in rows for above in (row.values["code"], *ancestors(row.values["code"]))}
    codes |= {row.values["parent"] for row in rows if row.values.get("parent")}
    stored = await regions.by_codes(connection, run.book_id, sorted(codes - set(known)))
    known |= {code: (found.level, found.path) for code, found in stored.items()}
    added: list[dict[str, Any]] = []
    outcomes: dict[UUID, Outcome] = {}
    for row in sorted(rows, key=lambda row: level_of(row.values["code"])):
        code = row.values["code"]
        if not code.startswith(root.code[: regions.significant(root.code)]) or not code[4:].strip("0") > "":
            state = "same" if code in known else "left"
            outcomes[row.id] = Outcome(row.number, state)  # type: ignore[arg-type]  # one of the two
        elif code in known:
            outcomes[row.id] = Outcome(row.number, "same", subject_id=known[code][1][-1])
        else:
            try:
                values = region_of(run, row, known, now)
            except BankError as error:
                outcomes[row.id] = refusal(row, error)
                continue
            known[code] = (values["level"], values["path"])
            added.append(values)
            outcomes[row.id] = Outcome(row.number, "added", subject_id=row.subject_id)
    if added and not run.dry:
        await connection.execute(insert(region), added)
    return [outcomes[row.id] for row in rows]


def region_of(run: Import, row: Row, known: dict[str, tuple[str, list[UUID]]], now: datetime) -> dict[str, Any]:
    """The row of a region that is new."""
    code, level = row.values["code"], level_of(row.values["code"])
    named = row.values.get("parent")
    parent = str(named).ljust(12, "0") if named else next((each for each in ancestors(code) if each in known), None)
    if parent not in known:
        raise Refused("parent_unknown", "parent")
    above, path = known[parent]
    regions.check_code(code, LEVELS[level], parent)
    if level <= LEVELS.index(above):
        raise Refused("parent_unknown", "parent")
    english = row.values.get("name_en")
    return {
        "book_id": run.book_id,
        "id": row.subject_id,
        "code": code,
        "level": LEVELS[level],
        "parent_id": path[-1],
        "path": [*path, row.subject_id],
        "name_zh": texts.line("name", row.values["name"], NAME_LIMIT),
        "name_en": texts.line("name_en", english, NAME_LIMIT) if english else None,
        "created_at": now,
    }


def level_of(code: str) -> int:
    """The place in LEVELS of what a code names, by its zeros."""
    digits = regions.significant(code)
    return LEVELS.index(next(level for level, wanted in CODE_DIGITS.items() if wanted == digits))


def ancestors(code: str) -> list[str]:
    """The codes above, the nearest first."""
    own = regions.significant(code)
    return [code[:digits].ljust(12, "0") for digits in sorted(CODE_DIGITS.values(), reverse=True) if digits < own]


async def settle_stations(
    connection: AsyncConnection, run: Import, rows: Sequence[Row], now: datetime
) -> list[Outcome]:
    """Open stations. One of the same name in the same region is the same station."""
    places = await find_regions(connection, run, [row.values["region"] for row in rows])
    known: set[tuple[UUID, str]] = run.known.setdefault("stations", set())
    outcomes = []
    for row in rows:
        try:
            outcomes.append(await settle_station(connection, run, row, places, known, now))
        except BankError as error:
            outcomes.append(refusal(row, error))
    return outcomes


async def settle_station(
    connection: AsyncConnection,
    run: Import,
    row: Row,
    places: dict[str, UUID | None],
    known: set[tuple[UUID, str]],
    now: datetime,
) -> Outcome:
    """One station."""
    region_id = only(places, row.values["region"])
    key = (region_id, row.values["name"])
    query = select(station.c.id).where(
        station.c.book_id == run.book_id, station.c.region_id == region_id, station.c.name_zh == row.values["name"]
    )
    found = (await connection.execute(query.limit(1))).scalar_one_or_none()
    if found is not None or key in known:
        return Outcome(row.number, "same", subject_id=found)
    values = {
        "region_id": region_id,
        "fund_id": await funds.nearest(connection, run.book_id, region_id),
        "service_kind_id": await kind_of(connection, run, row.values.get("kind")),
        "name_zh": row.values["name"],
        "name_en": row.values.get("name_en") or row.values["name"],
        "address": row.values["address"],
        "organising_unit": row.values.get("organising_unit") or row.values["name"],
        "person_in_charge": row.values.get("person_in_charge") or UNSAID,
        "cap_minutes": row.values.get("cap_minutes", CAP_MINUTES),
        "number": row.values.get("number"),
    }
    # What a dry run finds is what the real one would; a savepoint takes back what it wrote.
    async with connection.begin_nested() as trying:
        await stations.add(connection, run.book_id, id=row.subject_id, now=now, actor_id=run.actor_id, **values)
        if run.dry:
            await trying.rollback()
    known.add(key)
    return Outcome(row.number, "added", subject_id=row.subject_id)


async def find_regions(
    connection: AsyncConnection, run: Import, wanted: Sequence[str | None]
) -> dict[str, UUID | None]:
    """Regions by code or by name; None for a name that several have. What is not there is left out."""
    cache: dict[str, UUID | None] = run.known.setdefault("places", {})
    missing = {each for each in wanted if each} - set(cache)
    if missing:
        query = select(region.c.id, region.c.code, region.c.name_zh).where(
            region.c.book_id == run.book_id, region.c.code.in_(missing) | region.c.name_zh.in_(missing)
        )
        for row in await connection.execute(query):
            for name in {row.code, row.name_zh} & missing:
                cache[name] = None if name in cache else row.id
    return cache


def only(places: dict[str, UUID | None], name: str) -> UUID:
    """The one region of this name. Refused `region_unknown`, `region_ambiguous`."""
    if name not in places:
        raise Refused("region_unknown", "region")
    found = places[name]
    if found is None:
        raise Refused("region_ambiguous", "region")
    return found


async def kind_of(connection: AsyncConnection, run: Import, named: str | None) -> UUID:
    """The kind of service by its code or Chinese name; the usual one where nothing is said. Refused `kind_unknown`."""
    cache: dict[str, UUID] = run.known.setdefault("kinds", {})
    if not cache:
        query = select(service_kind).where(service_kind.c.book_id == run.book_id, service_kind.c.active)
        for row in await connection.execute(query):
            cache |= {row.code: row.id, row.name_zh: row.id}
    found = cache.get(named or kinds.CATALOGUE[0].code)
    if found is None:
        raise Refused("kind_unknown", "kind")
    return found


async def station_of(connection: AsyncConnection, run: Import, named: str | None) -> Any:
    """A station by its number or name; the import's own where nothing is said. Refused `station_unknown`."""
    cache: dict[str, Any] = run.known.setdefault("station_rows", {})
    key = named or str(run.station_id or "")
    if key not in cache:
        query = select(station).where(station.c.book_id == run.book_id)
        if not named:
            query = query.where(station.c.id == run.station_id)
        elif named.isdecimal() and len(named) < 8:
            query = query.where(station.c.number == int(named))
        else:
            query = query.where(func.lower(station.c.name_zh) == named.lower())
        found = (await connection.execute(query.limit(2))).all()
        cache[key] = found[0] if len(found) == 1 else None
    if cache[key] is None:
        raise Refused("station_unknown", "station")
    return cache[key]
