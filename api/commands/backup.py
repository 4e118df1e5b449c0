"""`timebank backup` and `timebank restore`."""

import asyncio
from pathlib import Path

import click
from rich.console import Console

from api.commands.database import prove, tell
from api.commands.desk import owner_url, service_url, spoken
from timebank import backup, copies, erasure_list, schema
from timebank.clock import system_clock
from timebank.database import create_engine, reached
from timebank.settings import Settings, from_environment

console = Console()


@click.command("backup")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def make_backup(file: Path) -> None:
    """Copy the whole database to FILE while the bank serves. The keys are not in it: timebank keys backup."""
    with spoken():
        settings = from_environment()
        with console.status("Copying the database …"), owner_url(settings) as url:
            backup.dump(url, file)
        # Where the bank's directory is elsewhere, there is nobody here to remind.
        if settings.data.is_dir():
            copies.note(settings.data, "database", system_clock(), file=str(file.absolute()))
    console.print(f"Copied to {file} ({file.stat().st_size:,} bytes). Keep the keys apart: timebank keys backup FILE")


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--erasures",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The newest copy of erasures.jsonl; by default the one in TIMEBANK_DATA, if there is one.",
)
def restore(file: Path, erasures: Path | None) -> None:
    """Make a bank from the copy in FILE, in an empty TIMEBANK_DATA or an empty database, and audit it.

    Put the keys file there first: timebank keys restore FILE. The new bank goes on where the copy was taken, and
    whoever was erased since then is erased again.
    """
    with spoken():
        settings = from_environment()
        backup.refuse_unreadable(file)
        listed = erasures or settings.data / erasure_list.NAME
        if erasures is not None:
            erasure_list.refuse_unreadable(erasures)
        with owner_url(settings) as url, service_url(settings) as serving:
            with console.status("Restoring …"):
                asyncio.run(fill(url, file))
                again = asyncio.run(forget(serving, listed))
            report = asyncio.run(prove(settings, serving, show_progress=True))
        if erasures is not None:
            erasure_list.carry_over(erasures, settings.data / erasure_list.NAME)
    tell(report)
    tell_erasures(listed, again)
    if not report.passed:
        raise SystemExit(1)
    tell_keys(settings)


async def fill(url: str, file: Path) -> None:
    """Restore into the empty database at `url`, and bring an older copy's schema to this version's."""
    await backup.refuse_used(url)
    await schema.make_roles(url)
    await asyncio.to_thread(backup.restore, url, file)
    await schema.migrate(url)


async def forget(serving_url: str, listed: Path) -> int:
    """Erase again whoever is on the list and in the copy; answers how many."""
    engine = create_engine(serving_url, application_name="timebank restore", pool_size=1)
    try:
        async with reached(engine) as connection:
            again = await erasure_list.replay(connection, listed, system_clock())
            await connection.commit()
            return again
    finally:
        await engine.dispose()


def tell_erasures(listed: Path, again: int) -> None:
    """Say who is gone again, or that nobody said who should be."""
    if listed.exists():
        console.print(f"{again} people erased again who were still in the copy.")
    else:
        console.print("No list of erasures: whoever was erased after this copy was taken is back. See --erasures.")


def tell_keys(settings: Settings) -> None:
    """Say what is still missing."""
    if not (settings.data / "keys.json").exists():
        console.print("The keys are missing: put your copy to TIMEBANK_DATA before the bank is started.")
