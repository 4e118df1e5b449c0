"""`timebank backup` and `timebank restore`."""

import asyncio
from pathlib import Path

import click
from rich.console import Console

from api.commands.database import prove, tell
from api.commands.desk import owner_url, service_url, spoken
from timebank import backup, schema
from timebank.settings import Settings, from_environment

console = Console()


@click.command("backup")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def make_backup(file: Path) -> None:
    """Copy the whole database to FILE while the bank serves. The keys are not in it: timebank keys backup."""
    with spoken(), console.status("Copying the database …"), owner_url(from_environment()) as url:
        backup.dump(url, file)
    console.print(f"Copied to {file} ({file.stat().st_size:,} bytes). Keep the keys apart: timebank keys backup FILE")


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def restore(file: Path) -> None:
    """Make a bank from the copy in FILE, in an empty TIMEBANK_DATA or an empty database, and audit it.

    Put the keys file there first: timebank keys restore FILE. The new bank goes on where the copy was taken.
    """
    with spoken():
        settings = from_environment()
        backup.refuse_unreadable(file)
        with owner_url(settings) as url, service_url(settings) as serving:
            with console.status("Restoring …"):
                asyncio.run(fill(url, file))
            report = asyncio.run(prove(settings, serving, show_progress=True))
    tell(report)
    if not report.passed:
        raise SystemExit(1)
    tell_keys(settings)


async def fill(url: str, file: Path) -> None:
    """Restore into the empty database at `url`, and bring an older copy's schema to this version's."""
    await backup.refuse_used(url)
    await schema.make_roles(url)
    await asyncio.to_thread(backup.restore, url, file)
    await schema.migrate(url)


def tell_keys(settings: Settings) -> None:
    """Say what is still missing."""
    if not (settings.data / "keys.json").exists():
        console.print("The keys are missing: put your copy to TIMEBANK_DATA before the bank is started.")
