"""`timebank import`: what a community brings along in spreadsheets."""

import asyncio
import csv
import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from api.commands.desk import service_url, spoken
from api.commands.doctor import language_of
from api.import_words import FIELDS, KINDS, STATES, words_of
from timebank import founding, members, vault
from timebank.clock import Clock, DemoClock, system_clock
from timebank.database import create_engine, reached, refuse_other_schema
from timebank.errors import NotFound
from timebank.imports import runs, sheets
from timebank.imports.outcomes import Import, Outcome
from timebank.imports.runs import Plan, Tally
from timebank.keys import Keys
from timebank.settings import Settings, from_environment
from timebank.tables import fund, station

# As many refused rows as this are shown; the report has them all.
SHOWN = 20

console = Console()


@dataclass
class Wish:
    """What the operator asked for."""

    kind: str
    file: Path
    dry: bool
    strict: bool
    phone: str | None
    number: int | None
    fund: str | None
    report: Path | None
    language: str
    refused: list[Outcome] = field(default_factory=list)


@click.command("import")
@click.argument("kind", type=click.Choice(list(runs.SETTLE)))
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dry-run", "dry", is_flag=True, help="Say what would become of every row, and write nothing.")
@click.option("--strict", is_flag=True, help="Write nothing when any row is refused.")
@click.option("--sheet", help="Which sheet of a workbook; by default the first.")
@click.option("--map", "chosen", multiple=True, metavar="TITLE=FIELD", help="Which field a column is; TITLE= for none.")
@click.option("--as", "phone", help="Phone number of who vouches for hours and points: an administrator of the book.")
@click.option("--station", "number", type=int, help="Number of the station for rows that name none.")
@click.option("--fund", help="Name of the fund for rows that name none.")
@click.option("--report", type=click.Path(dir_okay=False, path_type=Path), help="Write each row's fate here, as CSV.")
@click.option("--language", type=click.Choice(("zh", "en")), help="By default the terminal's own.")
def import_file(
    kind: str,
    file: Path,
    dry: bool,
    strict: bool,
    sheet: str | None,
    chosen: tuple[str, ...],
    phone: str | None,
    number: int | None,
    fund: str | None,
    report: Path | None,
    language: str | None,
) -> None:
    """Import a spreadsheet, XLSX, XLS, ODS or CSV: FILE has rows of one KIND.

    Each row is settled once, whatever is imported again: an import that stopped goes on by being typed again. Rows that
    are refused are listed and keep no other row out. Ends with status 1 when any was refused.
    """
    wish = Wish(kind, file, dry, strict, phone, number, fund, report, language or language_of(os.environ))
    with spoken():
        mapping = dict(each.rpartition("=")[::2] for each in chosen)
        planned = runs.plan(file, kind, sheet=sheet, chosen=mapping)
        tell_columns(planned, wish.language)
        settings = from_environment()
        with service_url(settings) as url:
            tally = asyncio.run(carry_out(settings, url, wish, planned))
    tell(tally, wish)
    if tally.counts["refused"]:
        raise SystemExit(1)


def tell_columns(planned: Plan, language: str) -> None:
    """Show which column was taken for what."""
    place = 0 if language == "zh" else 1
    where = ("表头所在行", "header in row")[place]
    title = f"{KINDS[planned.kind][place]}: {planned.path.name}, {where} {planned.header.header}"
    table = Table(("列", "column")[place], ("内容", "field")[place], title=title, title_justify="left")
    for column, name in planned.header.as_document():
        table.add_row(column, f"{FIELDS[name][place]} ({name})" if name else "–")
    console.print(table)


async def carry_out(settings: Settings, url: str, wish: Wish, planned: Plan) -> Tally:
    """Do it on the database at `url`; a strict one only once a dry run found nothing to refuse."""
    clock = DemoClock(settings.data / "clock") if settings.demo else system_clock
    engine = create_engine(url, application_name="timebank import", pool_size=2)
    try:
        async with reached(engine) as connection:
            await refuse_other_schema(connection)
            await founding.refuse_missing(connection, settings.book_id)
            keys = await vault.keys_for(connection, settings.book_id, settings.data / "keys.json")
            more = await chosen_of(connection, settings, keys, wish)

        async def run(dry: bool) -> Tally:
            new = runs.new_run(settings.book_id, wish.kind, keys, source=wish.file.name, now=clock(), dry=dry, **more)
            wish.refused.clear()
            return await watched(engine, new, planned, clock, wish)

        if wish.strict and not wish.dry and (tried := await run(True)).counts["refused"]:
            return tried
        return await run(wish.dry)
    finally:
        await engine.dispose()


async def chosen_of(connection: AsyncConnection, settings: Settings, keys: Keys, wish: Wish) -> dict[str, UUID | None]:
    """The person, the station and the fund that the operator named. Errors: `not_found`, `invalid` (phone)."""
    found: dict[str, UUID | None] = {"actor_id": None, "station_id": None, "fund_id": None}
    if wish.phone:
        row = await members.by_phone(connection, settings.book_id, keys, wish.phone)
        if row is None:
            raise NotFound(kind="member")
        found["actor_id"] = row.id
    queries = {
        "station_id": select(station.c.id).where(station.c.number == wish.number) if wish.number else None,
        "fund_id": select(fund.c.id).where(or_(fund.c.name_zh == wish.fund, fund.c.name_en == wish.fund))
        if wish.fund
        else None,
    }
    for name, query in queries.items():
        if query is not None:
            table = station if name == "station_id" else fund
            found[name] = await connection.scalar(query.where(table.c.book_id == settings.book_id))
            if found[name] is None:
                raise NotFound(kind=name.removesuffix("_id"))
    return found


async def watched(engine: AsyncEngine, run: Import, planned: Plan, clock: Clock, wish: Wish) -> Tally:
    """Carry an import out under a bar, writing the report as it goes."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with ExitStack() as stack:
        write = None
        if wish.report is not None:
            out = stack.enter_context(wish.report.open("w", encoding="utf-8-sig", newline=""))
            write = csv.writer(out).writerow
            write(("row", "state", "code", "field", "words"))
        bar = stack.enter_context(Progress(*columns, console=console, transient=True))
        height = max(0, sheets.height(planned.path, planned.sheet) - planned.header.header)
        task = bar.add_task("–" if run.dry else "→", total=height)

        def hear(outcomes: Sequence[Outcome], tally: Tally) -> None:
            for each in outcomes:
                words = words_of(each.code, each.field, wish.language) if each.code else ""
                if write is not None:
                    write((each.number, each.state, each.code or "", each.field or "", words))
                if each.state == "refused" and len(wish.refused) < SHOWN:
                    wish.refused.append(each)
            bar.update(task, completed=tally.row - planned.header.header)

        return await runs.carry_out(engine, run, planned, clock, hear=hear)


def tell(tally: Tally, wish: Wish) -> None:
    """Say what became of the rows."""
    place = 0 if wish.language == "zh" else 1
    for each in wish.refused:
        words = words_of(each.code or "", each.field, wish.language)
        console.print(
            f"{('第', 'row ')[place]}{each.number}{(' 行', '')[place]}: {words} ({each.code})", highlight=False
        )
    if (more := tally.counts["refused"] - len(wish.refused)) > 0:
        console.print(f"… {more:,}")
    counted = ", ".join(f"{STATES[state][place]} {tally.counts[state]:,}" for state in STATES)
    if tally.before:
        went_on = ("其中 {} 行在中断前已新增", "{} of those added before it was interrupted")[place]
        counted += ("；", "; ")[place] + went_on.format(f"{tally.before:,}")
    nothing = wish.dry or (wish.strict and tally.counts["refused"])
    console.print(f"{counted}{('。没有写入任何内容。', '. Nothing was written.')[place] if nothing else ''}")
