"""`timebank export`: the ledger for other people's tools."""

import asyncio
from pathlib import Path
from typing import TextIO

import click
from rich.console import Console
from rich.status import Status

from api.commands.desk import service_url, spoken
from timebank import purses
from timebank.database import create_engine, reached
from timebank.refusal import Refusal
from timebank.settings import Settings, from_environment

console = Console()
SHOWN_EVERY = 1000


@click.command()
@click.option(
    "--format",
    "dialect",
    type=click.Choice(sorted(purses.DIALECTS)),
    default="beancount",
    show_default=True,
    help="For whose tool the journal is.",
)
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def export(dialect: str, file: Path) -> None:
    """Write the whole ledger to FILE as a journal, from one moment, while the bank serves. Nothing is overwritten.

    It names members by number only. The journal ends with every account's balance: bean-check or hledger check says so
    when the transfers do not come to it.
    """
    with spoken():
        settings = from_environment()
        try:
            out = file.open("x", encoding="utf-8")
        except FileExistsError:
            raise Refusal("file_exists", f"{file} exists and is left alone.", path=str(file)) from None
        try:
            with out, service_url(settings) as url, console.status("Writing the journal …") as shown:
                asyncio.run(write(settings, url, dialect, out, shown))
        except BaseException:
            # Half a journal would look like a whole one.
            file.unlink()
            raise
    console.print(f"Written to {file}.")


async def write(settings: Settings, url: str, dialect: str, out: TextIO, shown: Status) -> None:
    """Write the journal of the settings' book, and how far it is. Refusal `book_missing`."""
    engine = create_engine(url, application_name="timebank export", pool_size=1)
    try:
        async with reached(engine) as connection:
            written = pieces = 0
            async for piece in purses.journal(connection, settings.book_id, purses.DIALECTS[dialect]):
                written, pieces = written + out.write(piece), pieces + 1
                if pieces % SHOWN_EVERY == 0:
                    shown.update(f"Writing the journal … {written / 1e6:,.1f} million characters")
    except purses.LedgerError as error:
        raise Refusal("book_missing", f"There is no book {settings.book_id} ({error.code})") from None
    finally:
        await engine.dispose()
