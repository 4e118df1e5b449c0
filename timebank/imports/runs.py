"""Carrying an import out: in batches, each whole or not at all, with what became of every row.

A row is claimed under its id before it is settled, in the same transaction. So two imports of the same rows, at once or
one after the other, settle each row once; and one that stopped goes on by being done again, and counts what it added
before it stopped as added. A row that was refused is tried again, for what was missing may be there now.
"""

import asyncio
import hashlib
import hmac
import itertools
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import msgspec
from sqlalchemy import and_, func, insert, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from timebank import kinds, trail
from timebank.clock import Clock
from timebank.errors import NotAllowed
from timebank.ids import uuid7
from timebank.imports import people, places, service, sheets
from timebank.imports.columns import Header, Read, Reader, check_chosen, find_header
from timebank.imports.outcomes import Import, Outcome, Row
from timebank.keys import Keys
from timebank.tables import import_row, import_run

T = TypeVar("T")
Settle = Callable[[AsyncConnection, Import, Sequence[Row], datetime], Awaitable[list[Outcome]]]

BATCH_ROWS = 500
# How often somebody who waits for the end of another import of the same file asks.
WAIT_SECONDS = 0.2
SETTLE: dict[str, Settle] = {
    "regions": places.settle_regions,
    "stations": places.settle_stations,
    "members": people.settle_members,
    "cards": people.settle_cards,
    "hours": service.settle_hours,
    "points": service.settle_points,
}
# What somebody vouches for under their own name.
VOUCHED = ("hours", "points")
LARGEST_NAME = 120

CLAIM = text("""
    INSERT INTO timebank.import_row AS known (book_id, id, run_id, number, state, settled_at)
    SELECT :book_id, r.id, :run_id, r.number, 'added', :now
    FROM unnest(CAST(:ids AS uuid[]), CAST(:numbers AS integer[])) AS r (id, number) ORDER BY r.id
    ON CONFLICT (book_id, id) DO UPDATE
      SET run_id = excluded.run_id, number = excluded.number, state = 'added', code = NULL, field = NULL,
        settled_at = excluded.settled_at
      WHERE known.state <> 'added'
    RETURNING id
""")
SETTLED = text("""
    UPDATE timebank.import_row AS known SET state = r.state, code = r.code, field = r.field, subject_id = r.subject_id
    FROM unnest(CAST(:ids AS uuid[]), CAST(:states AS text[]), CAST(:codes AS text[]), CAST(:fields AS text[]),
                CAST(:subjects AS uuid[])) AS r (id, state, code, field, subject_id)
    WHERE known.book_id = :book_id AND known.id = r.id
""")


@dataclass
class Tally:
    """How many rows became what, and where the import is in the file."""

    counts: Counter[str] = field(default_factory=Counter)
    row: int = 0
    before: int = 0
    """How many of the rows that were added had been before the import was cut off."""

    @property
    def rows(self) -> int:
        """All that were looked at."""
        return self.counts.total()


@dataclass(frozen=True, slots=True)
class Plan:
    """A file that was looked at: its header, and how each kind of spreadsheet is told from others."""

    path: Path
    kind: str
    sheet: str | None
    header: Header


def plan(path: Path, kind: str, *, sheet: str | None = None, chosen: Mapping[str, str] | None = None) -> Plan:
    """Find the header of a file. `chosen` maps titles to fields, or to "" for none.

    Errors: `sheet_unreadable`, `import_columns` (with what is missing and what there is).
    """
    check_chosen(kind, chosen or {})
    return Plan(path, kind, sheet, find_header(kind, sheets.rows(path, sheet), chosen or {}))


def digest(path: Path) -> bytes:
    """SHA-256 of the file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


@asynccontextmanager
async def alone(engine: AsyncEngine, run: Import, file_digest: bytes) -> AsyncIterator[None]:
    """Wait until nobody else imports this file; until the end nobody does. The lock is a connection's, and goes with a
    process that is killed."""
    named = hashlib.sha256(b"%d %s %s" % (run.book_id, run.kind.encode(), file_digest)).digest()
    lock = int.from_bytes(named[:8], signed=True)
    async with engine.connect() as plain:
        connection = await plain.execution_options(isolation_level="AUTOCOMMIT")
        while True:
            if await connection.scalar(select(func.pg_try_advisory_lock(lock))):
                break
            await asyncio.sleep(WAIT_SECONDS)
        try:
            yield
        finally:
            await connection.execute(select(func.pg_advisory_unlock(lock)))


async def begin(connection: AsyncConnection, run: Import, planned: Plan, file_digest: bytes, now: datetime) -> None:
    """Write that an import starts. Only whoever administers the whole book imports; hours and points somebody vouches
    for under their own name. Errors: `role_not_allowed`."""
    await kinds.require_keeper(connection, run.book_id, run.actor_id, now)
    if run.actor_id is None and run.kind in VOUCHED:
        raise NotAllowed()
    run.resumed |= await cut_off(connection, run, file_digest)
    if run.dry:
        return
    await connection.execute(
        insert(import_run).values(
            book_id=run.book_id,
            id=run.id,
            kind=run.kind,
            file_name=run.source[:LARGEST_NAME],
            file_digest=file_digest,
            actor_id=run.actor_id,
            columns=planned.header.as_document(),
            state="running",
            started_at=now,
        )
    )
    await write_trail(connection, run, "import.begin", {"file_digest": file_digest.hex()}, now)


async def cut_off(connection: AsyncConnection, run: Import, file_digest: bytes) -> set[UUID]:
    """The imports of the same file that did not get to its end, since the last one that did.

    Whoever asks is `alone` with the file: what is said to be running of it was killed."""
    same = and_(
        import_run.c.book_id == run.book_id, import_run.c.kind == run.kind, import_run.c.file_digest == file_digest
    )
    last = select(func.max(import_run.c.started_at)).where(same, import_run.c.state == "done").scalar_subquery()
    query = select(import_run.c.id).where(
        same, import_run.c.state.in_(("stopped", "running")), or_(last.is_(None), import_run.c.started_at > last)
    )
    return set(await connection.scalars(query))


async def end(connection: AsyncConnection, run: Import, tally: Tally, state: str, now: datetime) -> None:
    """Write how an import ended: `done`, or `stopped` where something broke, to be gone on with."""
    if run.dry:
        return
    await connection.execute(
        update(import_run)
        .where(import_run.c.book_id == run.book_id, import_run.c.id == run.id)
        .values(state=state, ended_at=now)
    )
    await write_trail(connection, run, "import.end", {"state": state, **tally.counts}, now)


async def write_trail(
    connection: AsyncConnection, run: Import, action: str, facts: dict[str, Any], now: datetime
) -> None:
    """Keep in the trail who imported what."""
    await trail.write(
        connection,
        run.book_id,
        actor_id=run.actor_id,
        action=action,
        subject_kind="import",
        subject_id=run.id,
        after={"kind": run.kind, **facts},
        now=now,
    )


async def carry_out(
    engine: AsyncEngine,
    run: Import,
    planned: Plan,
    clock: Clock,
    *,
    hear: Callable[[Sequence[Outcome], Tally], Awaitable[None] | None] = lambda *_: None,
) -> Tally:
    """Import a file from its beginning; what earlier imports settled is passed over. `hear` is told of each batch.

    A dry run finds the same and changes nothing. Where somebody imports the same file, they are waited for.
    """
    file_digest = digest(planned.path)
    async with alone(engine, run, file_digest):
        async with engine.begin() as connection:
            await begin(connection, run, planned, file_digest, clock())
        tally, state = Tally(), "stopped"
        try:
            async with aclosing(settled(engine, run, planned, tally, clock)) as batch:
                async for outcomes in batch:
                    if (heard := hear(outcomes, tally)) is not None:
                        await heard
            state = "done"
        finally:
            async with engine.begin() as connection:
                await end(connection, run, tally, state, clock())
    return tally


async def settled(
    engine: AsyncEngine, run: Import, planned: Plan, tally: Tally, clock: Clock
) -> AsyncGenerator[list[Outcome]]:
    """Settle batch after batch, each in a transaction of its own, and count in `tally`."""
    seen: Counter[bytes] = Counter()
    async with aclosing(batches(planned)) as found:
        async for reads in found:
            async with engine.connect() as connection:
                outcomes = await settle(connection, run, reads, seen, clock())
                tally.counts.update(each.state for each in outcomes)
                tally.before += sum(each.before for each in outcomes)
                tally.row = reads[-1].number
                if run.dry:
                    await connection.rollback()
                else:
                    await count(connection, run, tally)
                    await connection.commit()
            yield outcomes


async def batches(planned: Plan) -> AsyncGenerator[list[Read]]:
    """The rows below the header, some hundred at a time. They are read in one thread of its own: reading takes long,
    and the reader stays with the thread that opened it."""
    reader = Reader(planned.kind, planned.header)

    def below() -> Iterator[Read]:
        for row in sheets.rows(planned.path, planned.sheet):
            if row.number > planned.header.header:
                yield reader.read(row)

    with ThreadPoolExecutor(max_workers=1) as thread:
        rows = below()
        while batch := await in_thread(thread, lambda: list(itertools.islice(rows, BATCH_ROWS))):
            yield batch


async def in_thread(thread: ThreadPoolExecutor, work: Callable[[], T]) -> T:
    """Wait for work in that thread."""
    return await asyncio.get_running_loop().run_in_executor(thread, work)


async def settle(
    connection: AsyncConnection, run: Import, reads: Sequence[Read], seen: Counter[bytes], now: datetime
) -> list[Outcome]:
    """Settle one batch in the connection's transaction; an outcome for each row, in order."""
    outcomes: dict[int, Outcome] = {}
    rows = []
    for read in reads:
        if read.left:
            outcomes[read.number] = Outcome(read.number, "left")
        elif read.field is not None:
            outcomes[read.number] = Outcome(read.number, "refused", "unreadable", read.field)
        else:
            rows.append(Row(row_id(run, read, seen), uuid7(now), read.number, read.values))
    claimed = await claim(connection, run, rows, now)
    added = await added_before(connection, run, [row.id for row in rows if row.id not in claimed])
    for row in rows:
        if row.id in added:
            outcomes[row.number] = Outcome(row.number, "added", subject_id=added[row.id], before=True)
        elif row.id not in claimed:
            outcomes[row.number] = Outcome(row.number, "same")
    fresh = [row for row in rows if row.id in claimed]
    if fresh:
        settled = await SETTLE[run.kind](connection, run, fresh, now)
        await note(connection, run, fresh, settled)
        outcomes |= {each.number: each for each in settled}
    return [outcomes[read.number] for read in reads]


def row_id(run: Import, read: Read, seen: Counter[bytes]) -> UUID:
    """The id of a row: of what it says, and of how many rows above it say the same. Keyed, for it is about people."""
    said = msgspec.json.encode([run.book_id, run.kind, sorted(read.values.items())])
    plain = hmac.new(run.keys.rows, said, hashlib.sha256).digest()[:16]
    seen[plain] += 1
    if seen[plain] == 1:
        return UUID(bytes=plain, version=5)
    again = hmac.new(run.keys.rows, plain + seen[plain].to_bytes(8), hashlib.sha256).digest()[:16]
    return UUID(bytes=again, version=5)


async def claim(connection: AsyncConnection, run: Import, rows: Sequence[Row], now: datetime) -> set[UUID]:
    """Take the rows that no import has settled yet; whoever comes second waits, and finds them settled."""
    ids = [row.id for row in rows]
    if run.dry:
        query = select(import_row.c.id).where(
            import_row.c.book_id == run.book_id, import_row.c.id.in_(ids), import_row.c.state == "added"
        )
        return set(ids) - set(await connection.scalars(query))
    numbers = [row.number for row in rows]
    values = {"book_id": run.book_id, "run_id": run.id, "now": now, "ids": ids, "numbers": numbers}
    return set(await connection.scalars(CLAIM, values))


async def added_before(connection: AsyncConnection, run: Import, ids: Sequence[UUID]) -> dict[UUID, UUID | None]:
    """Which of these rows this import itself added before it was cut off, and what they became."""
    if not run.resumed or not ids:
        return {}
    query = select(import_row.c.id, import_row.c.subject_id).where(
        import_row.c.book_id == run.book_id, import_row.c.id.in_(ids), import_row.c.run_id.in_(run.resumed)
    )
    return {row.id: row.subject_id for row in await connection.execute(query)}


async def note(connection: AsyncConnection, run: Import, rows: Sequence[Row], outcomes: Sequence[Outcome]) -> None:
    """Write what became of claimed rows."""
    if run.dry:
        return
    await connection.execute(
        SETTLED,
        {
            "book_id": run.book_id,
            "ids": [row.id for row in rows],
            "states": [each.state for each in outcomes],
            "codes": [each.code for each in outcomes],
            "fields": [each.field for each in outcomes],
            "subjects": [each.subject_id for each in outcomes],
        },
    )


async def count(connection: AsyncConnection, run: Import, tally: Tally) -> None:
    """Keep how far the import is, with the batch itself."""
    counts = tally.counts
    await connection.execute(
        update(import_run)
        .where(import_run.c.book_id == run.book_id, import_run.c.id == run.id)
        .values(added=counts["added"], same=counts["same"], left_out=counts["left"], refused=counts["refused"])
    )


def new_run(
    book_id: int, kind: str, keys: Keys, *, source: str, actor_id: UUID | None, now: datetime, **more: Any
) -> Import:
    """An import that begins now."""
    return Import(uuid7(now), book_id, kind, keys, actor_id, source, **more)
