"""`timebank records`: verified service records for another system."""

import os
from datetime import date, datetime
from pathlib import Path

import click
from rich.console import Console
from sqlalchemy import text

from api.commands.desk import Desk, at_desk, spoken
from timebank import exchange
from timebank.refusal import Refusal

console = Console()
SHOWN_EVERY = 1000
DAY = click.DateTime(["%Y-%m-%d"])


@click.command()
@click.option("--since", type=DAY, help="Of services from this day on.")
@click.option("--until", type=DAY, help="Of services up to this day, which is included.")
@click.option("--without-names", is_flag=True, help="Volunteers by number only.")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def records(since: datetime | None, until: datetime | None, without_names: bool, file: Path) -> None:
    """Write every verified service record to FILE, a line of JSON each, with the fields that Order 67 asks for.

    Nothing is overwritten, and memory stays flat. With names the file is personal data: readable by you alone.
    """
    written = 0
    shown = console.status("Writing the records …")

    async def work(desk: Desk) -> None:
        nonlocal written
        # One moment, however long it takes.
        await desk.connection.rollback()
        await desk.connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))
        lines = exchange.lines(
            desk.connection,
            desk.book_id,
            desk.keys,
            since=day(since),
            until=day(until),
            with_names=not without_names,
        )
        async for line in lines:
            out.write(line)
            written += 1
            if written % SHOWN_EVERY == 0:
                shown.update(f"Writing the records … {written:,}")

    with spoken():
        try:
            out = os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
        except FileExistsError:
            raise Refusal("file_exists", f"{file} exists and is left alone.", path=str(file)) from None
    try:
        with out, shown:
            at_desk(work)
    except BaseException:
        # Half a file would look like a whole one.
        file.unlink()
        raise
    console.print(f"{written:,} records written to {file}.")


def day(moment: datetime | None) -> date | None:
    """The day that was typed."""
    return moment.date() if moment else None
