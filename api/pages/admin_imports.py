"""Imports in the office: a spreadsheet is handed in, its columns are shown, it is tried, and then imported."""

import asyncio
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.datastructures import UploadFile
from litestar.params import FromPath
from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from api import csv_file
from api.bodies import storable
from api.import_words import KINDS, STATES, field_words, words_of
from api.language import Language, mark
from api.pages.forms import Form
from api.pages.office import ADMINS, asker, cursor_of, office, reader
from api.pages.page import AnyRequest, go, speaker
from api.pages.trying import Tried
from api.problems import Problem, problem_of
from api.rest.operation import choice_query, limit_of
from api.sentences import sentence
from api.state import Bank, bank_of
from timebank import kinds, members, overview
from timebank.errors import NotFound
from timebank.ids import uuid7
from timebank.imports import columns, runs, uploads, waiting
from timebank.imports.outcomes import Outcome
from timebank.imports.uploads import Look
from timebank.tables import station

WAY = "/admin/imports"
STATE_WORDS = {
    "there": mark("Not tried yet"),
    "trying": mark("Being tried"),
    "tried": mark("Tried"),
    "importing": mark("Being imported"),
    "done": mark("Imported"),
    "failed": mark("Nothing came of it"),
    "removed": mark("Removed"),
}
# What a form around the file adds to it.
AROUND_BYTES = 64 * 1024
# Of the words of rows and columns, in order.
LANGUAGES = ("zh", "en")
# As many refused rows as this are shown; the report has them all.
SHOWN = 50


@get(WAY)
async def import_list(request: AnyRequest) -> Response[Any]:
    """The imports so far, and the form for another one."""
    return await list_page(request)


async def list_page(request: AnyRequest, tried: Tried | None = None) -> Response[Any]:
    """The same, with what was wrong with a file."""
    session, bank = reader(request, *ADMINS), bank_of(request)
    chosen = {
        "kind": choice_query(request, "kind", ("", *KINDS)),
        "state": choice_query(request, "state", ("", *STATE_WORDS)),
    }
    async with bank.engine.connect() as connection:
        may = await kinds.is_keeper(connection, bank.book_id, session.member_id, bank.clock())
        rows: Sequence[Row[Any]] = []
        following = None
        if may:
            page = await uploads.listed(
                connection,
                bank.book_id,
                actor_id=session.member_id,
                now=bank.clock(),
                kind=chosen["kind"] or None,
                state=chosen["state"] or None,
                before=cursor_of(request),
                limit=limit_of(request),
            )
            rows, following = page.rows, page.following
        names = await members.names(connection, bank.book_id, bank.keys, {row.actor_id for row in rows})
    return office(
        request,
        "admin/imports.html",
        WAY,
        tried,
        may_import=may,
        imports=rows,
        names=names,
        following=following,
        chosen={name: value for name, value in chosen.items() if value},
        kind_options=kind_options(speaker(request)),
        kind_words=dict(kind_options(speaker(request))),
        state_words={state: speaker(request).gettext(words) for state, words in STATE_WORDS.items()},
        limit_megabytes=uploads.SIZE_LIMIT_BYTES // 2**20,
    )


def place_of(bank: Bank) -> Path:
    """Where spreadsheets wait."""
    return uploads.directory(bank.settings.data)


def column_of(spoken: Language) -> int:
    """Which of two words is in the reader's language."""
    return 1 if spoken.tag == "en" else 0


def kind_options(spoken: Language) -> list[tuple[str, str]]:
    """What a spreadsheet may hold, in the order in which it is brought."""
    return [(kind, words[column_of(spoken)]) for kind, words in KINDS.items()]


@post(WAY, status_code=303, request_max_body_size=uploads.SIZE_LIMIT_BYTES + AROUND_BYTES)
async def hand_in(request: AnyRequest) -> Response[Any]:
    """Take a spreadsheet, look at it, and lead to its page."""
    session, bank, form = reader(request, *ADMINS), bank_of(request), await Form.of(request)
    id, place, values = uuid7(bank.clock()), place_of(bank), {"kind": form.text("kind")}
    try:
        async with bank.engine.connect() as connection:
            # Before the work is done for somebody who may not.
            await kinds.require_keeper(connection, bank.book_id, session.member_id, bank.clock())
        file = form.fields.get("file")
        if values["kind"] not in KINDS or not isinstance(file, UploadFile) or not file.filename:
            raise Problem("invalid", {"field": "file" if values["kind"] in KINDS else "kind", "reason": "missing"})
        digest = await asyncio.to_thread(uploads.keep, place, id, file.file)
        try:
            seen = await asyncio.to_thread(uploads.look, uploads.file_of(place, id), values["kind"])
            uploads.save(place, id, seen)
            async with bank.engine.begin() as connection:
                await uploads.hand_in(
                    connection,
                    bank.book_id,
                    seen,
                    id=id,
                    actor_id=session.member_id,
                    file_name=Path(storable(file.filename).replace("\\", "/")).name,
                    digest=digest,
                    now=bank.clock(),
                )
        except BaseException:
            uploads.forget(place, id)
            raise
    except Exception as error:
        problem = problem_of(error)
        if problem.status >= 500:
            raise
        return await list_page(request, Tried(None, problem, values))
    finally:
        await form.fields.close()
    return go(f"{WAY}/{id}")


@get("/admin/imports/{import_id:uuid}")
async def import_page(request: AnyRequest, import_id: FromPath[UUID]) -> Response[Any]:
    """One import: its columns, how far it is, what became of its rows."""
    return await one_page(request, import_id)


async def one_page(request: AnyRequest, id: UUID, tried: Tried | None = None) -> Response[Any]:
    """The same, with what was wrong with what was chosen."""
    session, bank, spoken = reader(request, *ADMINS), bank_of(request), speaker(request)
    async with bank.engine.connect() as connection:
        row = await uploads.one(connection, bank.book_id, id, actor_id=session.member_id, now=bank.clock())
        funds = await overview.funds(connection, bank.book_id, **asker(request, ADMINS))
        number = await connection.scalar(
            select(station.c.number).where(station.c.book_id == bank.book_id, station.c.id == row.station_id)
        )
        names = await members.names(connection, bank.book_id, bank.keys, [row.actor_id])
    place, column = place_of(bank), column_of(spoken)
    tried = spelt_out(tried, row.kind, LANGUAGES[column])
    seen = uploads.saved(place, id)
    refused = await asyncio.to_thread(lambda: list(islice(refusals(place, id), SHOWN)))
    return office(
        request,
        "admin/import.html",
        WAY,
        tried,
        row=row,
        failure=sentence(row.code, spoken.tag, {"reason": "damaged"}) if row.code else None,
        name=names.get(row.actor_id),
        kind_options=kind_options(spoken),
        kind_words=dict(kind_options(spoken)),
        state_words={state: spoken.gettext(words) for state, words in STATE_WORDS.items()},
        field_options=[
            (field.name, field_words(row.kind, field.name, LANGUAGES[column])) for field in columns.FIELDS[row.kind]
        ],
        missing=[field_words(row.kind, name, LANGUAGES[column]) for name in seen.missing] if seen else [],
        required={field.name for field in columns.FIELDS[row.kind] if field.required},
        counts=[
            (words[column], getattr(row, {"left": "left_out"}.get(state, state))) for state, words in STATES.items()
        ],
        funds=funds,
        station_number=number,
        vouched=row.kind in runs.VOUCHED,
        seen=seen,
        has_report=uploads.report_of(place, id).exists() and row.state not in uploads.WORKING,
        refused=[(each.number, words_of(each.code or "", each.field, LANGUAGES[column])) for each in refused],
    )


def spelt_out(tried: Tried | None, kind: str, language: str) -> Tried | None:
    """With the columns that are missing in words."""
    if tried is None or tried.problem is None or tried.problem.code != "import_columns":
        return tried
    data = tried.problem.data
    known = {field.name for field in columns.FIELDS[kind]}
    fields = [field_words(kind, each, language) if each in known else each for each in data["fields"]]
    said = {"fields": ", ".join(fields), "columns": ", ".join(data["columns"])}
    return Tried(tried.id, Problem("import_columns", said), tried.values)


def refusals(place: Path, id: UUID) -> Iterator[Outcome]:
    """The rows that were not taken."""
    return (each for each in uploads.report(place, id) if each.state == "refused")


@post("/admin/imports/{import_id:uuid}", status_code=303)
async def choose(request: AnyRequest, import_id: FromPath[UUID]) -> Response[Any]:
    """Keep what each column is; `then` says whether it is looked at again, or tried at once."""
    session, bank, form = reader(request, *ADMINS), bank_of(request), await Form.of(request)
    try:
        async with bank.engine.connect() as connection:
            row = await uploads.one(connection, bank.book_id, import_id, actor_id=session.member_id, now=bank.clock())
            station_id = await station_named(connection, bank, form)
        place, before = place_of(bank), uploads.saved(place_of(bank), import_id)
        if before is None:
            raise NotFound(kind="file")
        kind, sheet = form.text("kind") or row.kind, form.text("sheet") or before.sheet
        if kind not in KINDS:
            raise Problem("invalid", {"field": "kind", "reason": "unknown"})
        # What was chosen of other columns says nothing of these.
        same = (kind, sheet) == (before.kind, before.sheet or next(iter(before.sheets), sheet))
        seen = await asyncio.to_thread(
            uploads.look,
            uploads.file_of(place, import_id),
            kind,
            sheet=sheet,
            chosen=chosen_of(form, before) if same else {},
        )
        async with bank.engine.begin() as connection:
            await uploads.choose(
                connection,
                bank.book_id,
                import_id,
                seen,
                station_id=station_id,
                fund_id=form.uuid("fund_id") if form.text("fund_id") else None,
                actor_id=session.member_id,
                now=bank.clock(),
            )
        uploads.save(place, import_id, seen)
        if form.text("then") == "try":
            await start(bank, import_id, "trying", session.member_id)
    except Exception as error:
        problem = problem_of(error)
        if problem.status >= 500 or problem.code in ("not_found", "role_not_allowed"):
            raise
        return await one_page(request, import_id, Tried(None, problem, {}))
    return go(f"{WAY}/{import_id}")


def chosen_of(form: Form, before: Look) -> dict[str, str]:
    """What each column is said to be, by its title."""
    return {
        title: form.text(f"column-{place}") if f"column-{place}" in form.fields else found or ""
        for place, (title, found, _) in enumerate(before.columns)
    }


async def station_named(connection: AsyncConnection, bank: Bank, form: Form) -> UUID | None:
    """The station whose number was typed; raises `invalid` where there is none."""
    number = form.integer("station", 1, 2**31 - 1)
    if number is None:
        return None
    query = select(station.c.id).where(station.c.book_id == bank.book_id, station.c.number == number)
    found: UUID | None = await connection.scalar(query)
    if found is None:
        raise Problem("invalid", {"field": "station", "reason": "unknown"})
    return found


async def start(bank: Bank, id: UUID, state: str, actor_id: UUID) -> None:
    """Have an import tried or carried out, by a process of its own."""
    async with bank.engine.begin() as connection:
        await uploads.ask(connection, bank.book_id, place_of(bank), id, state, actor_id=actor_id, now=bank.clock())
    waiting.want(place_of(bank), id)
    if bank.tending is not None:
        bank.tending.import_now()


@post("/admin/imports/{import_id:uuid}/start", status_code=303)
async def carry_on(request: AnyRequest, import_id: FromPath[UUID]) -> Response[Any]:
    """Import what was tried; or go on, where a machine stopped in the middle."""
    session, bank = reader(request, *ADMINS), bank_of(request)
    async with bank.engine.connect() as connection:
        row = await uploads.one(connection, bank.book_id, import_id, actor_id=session.member_id, now=bank.clock())
    try:
        await start(bank, import_id, "trying" if row.state == "trying" else "importing", session.member_id)
    except Exception as error:
        problem = problem_of(error)
        if problem.status >= 500:
            raise
        return await one_page(request, import_id, Tried(None, problem, {}))
    return go(f"{WAY}/{import_id}")


@post("/admin/imports/{import_id:uuid}/removal", status_code=303)
async def discard(request: AnyRequest, import_id: FromPath[UUID]) -> Response[Any]:
    """Take the spreadsheet away without importing it."""
    session, bank = reader(request, *ADMINS), bank_of(request)
    try:
        async with bank.engine.begin() as connection:
            await uploads.remove(
                connection, bank.book_id, place_of(bank), import_id, actor_id=session.member_id, now=bank.clock()
            )
    except Exception as error:
        problem = problem_of(error)
        if problem.status >= 500 or problem.code in ("not_found", "role_not_allowed"):
            raise
        return await one_page(request, import_id, Tried(None, problem, {}))
    return go(WAY)


@get("/admin/imports/{import_id:uuid}/report.csv")
async def report(request: AnyRequest, import_id: FromPath[UUID]) -> Response[Any]:
    """What became of each row, for a spreadsheet."""
    session, bank, spoken = reader(request, *ADMINS), bank_of(request), speaker(request)
    async with bank.engine.connect() as connection:
        await uploads.one(connection, bank.book_id, import_id, actor_id=session.member_id, now=bank.clock())
    place, column = place_of(bank), column_of(spoken)
    if not uploads.report_of(place, import_id).exists():
        raise NotFound(kind="report")
    titles = [spoken.gettext("Row"), spoken.gettext("What became of it"), spoken.gettext("Why")]

    def written() -> Response[bytes]:
        def rows() -> Iterator[Sequence[csv_file.Cell]]:
            yield titles
            for each in uploads.report(place, import_id):
                why = words_of(each.code, each.field, LANGUAGES[column]) if each.code else ""
                yield each.number, STATES[each.state][column], why

        return csv_file.download("import-report.csv", rows())

    return await asyncio.to_thread(written)


handlers = [import_list, hand_in, import_page, choose, carry_on, discard, report]
