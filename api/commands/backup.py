"""`timebank backup` and `timebank restore`."""

import asyncio
import tempfile
from contextlib import nullcontext
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from api.commands.database import prove, tell
from api.commands.desk import owner_url, service_url, spoken
from api.stopping import stop_when_asked
from timebank import backup, backups, copies, erasure_list, schema
from timebank.clock import system_clock
from timebank.database import create_engine, reached
from timebank.postgres import EmbeddedPostgres
from timebank.settings import Settings, from_environment

console = Console()


@click.command("backup")
@click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--nightly", is_flag=True, help="As the bank does by itself: unless it is done, and none but the newest stay."
)
def make_backup(file: Path | None, nightly: bool) -> None:
    """Copy the whole database to FILE, or beside the copies of the nights, while the bank serves.

    The keys are not in it: timebank keys backup. Beside the copy stands what an audit of the same moment found, which
    timebank restore-drill compares.
    """
    with spoken():
        settings = from_environment()
        stop_when_asked()
        with backups.alone(settings.data) if nightly or file is None else nullcontext(True) as is_alone:
            if nightly and not (is_alone and night_is_due(settings)):
                return
            file = file or backups.file_for(settings.data, "nightly", system_clock())
            with console.status("Copying the database …"), owner_url(settings) as url, service_url(settings) as serving:
                asyncio.run(backups.copy(url, serving, settings.book_id, file))
            backups.prune(settings.data, settings.backup_keep)
        # Where the bank's directory is elsewhere, there is nobody here to remind.
        if settings.data.is_dir():
            copies.note(settings.data, "database", system_clock(), file=str(file.absolute()))
    console.print(f"Copied to {file} ({file.stat().st_size:,} bytes). Keep the keys apart: timebank keys backup FILE")


def night_is_due(settings: Settings) -> bool:
    """Whether nobody made the copy since its time came."""
    if settings.backup_at is None:
        return False
    copied = [backups.made_at(file) for file in backups.kept(settings.data) if "-nightly" in file.name]
    now = system_clock()
    long_ago = now - 2 * backups.GRACE
    return backups.is_due(copied[-1] if copied else None, settings.backup_at, settings.time_zone, long_ago, now)


@click.command("restore-drill")
@click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path))
def restore_drill(file: Path | None) -> None:
    """Prove that FILE, or the newest copy, can be restored: into a PostgreSQL that is thrown away afterwards.

    Its audit has to pass, to say what was noted when the copy was made, and to have nothing that the bank has not. Ends
    with status 1 otherwise. The bank goes on meanwhile.
    """
    with spoken():
        settings = from_environment()
        file = file or backups.newest(settings.data)
        backup.refuse_unreadable(file)
        with console.status(f"Restoring {file.name} …"):
            restored = drill(settings, file)
        with service_url(settings) as serving:
            live = asyncio.run(proof_at(serving, settings.book_id))
        noted = backups.read_note(file)
    table = Table("", "passes", "transfers", "accounts", "balances", title=str(file), title_justify="left")
    for name, proof in (("restored", restored), ("noted with the copy", noted), ("the bank now", live)):
        cells = (
            (str(proof.passed), f"{proof.transfers:,}", f"{proof.accounts:,}", proof.balances[:12]) if proof else ("–",)
        )
        table.add_row(name, *cells)
    console.print(table)
    if not backups.agrees(restored, noted, live):
        console.print("[red]The copy does not agree.[/red]")
        raise SystemExit(1)
    console.print("[green]The copy can be restored, and agrees.[/green]")


def drill(settings: Settings, file: Path) -> backups.Proof | None:
    """Restore a copy where nobody serves, and prove it."""
    with tempfile.TemporaryDirectory(prefix="drill-", dir=settings.data if settings.data.is_dir() else None) as place:
        # PostgreSQL's own account has to get through.
        Path(place).chmod(0o711)
        with EmbeddedPostgres(Path(place)) as server:
            asyncio.run(fill(server.owner_url, file))
            return asyncio.run(proof_at(server.service_url, settings.book_id))


async def proof_at(url: str, book_id: int) -> backups.Proof | None:
    """Prove a book at a URL."""
    engine = create_engine(url, application_name="timebank drill", pool_size=1, limits={})
    try:
        async with reached(engine) as connection:
            return await backups.prove(connection, book_id)
    finally:
        await engine.dispose()


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
