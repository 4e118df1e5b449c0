"""`timebank keys`: the file with the bank's secrets."""

from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from api.commands.desk import spoken
from timebank import copies
from timebank.clock import system_clock
from timebank.keys import PURPOSES, ROTATABLE, ROTATED, Keys
from timebank.postgres_files import make_data
from timebank.settings import from_environment

console = Console()


@click.group("keys")
def keys_group() -> None:
    """The bank's secrets: one file, apart from the database, backed up apart from it."""


def keys_path() -> Path:
    """Where the keys of this data directory are."""
    return from_environment().data / "keys.json"


@keys_group.command("show")
def show() -> None:
    """Say which key each purpose uses. No key is ever shown."""
    with spoken():
        path = keys_path()
        keys = Keys.load(path)
    table = Table("purpose", "key in use", "can be rotated", title=str(path), title_justify="left")
    for purpose in PURPOSES:
        table.add_row(purpose, str(keys.current[purpose]), "yes" if purpose in ROTATABLE else "no")
    console.print(table)


@keys_group.command("rotate")
@click.option(
    "--purpose",
    "purposes",
    multiple=True,
    type=click.Choice(ROTATABLE),
    help=f"Which keys; may be given several times. By default: {', '.join(ROTATED)}.",
)
@click.option("--stolen", is_flag=True, help="Take no station code of the old key from now on: somebody else has it.")
def rotate(purposes: tuple[str, ...], stolen: bool) -> None:
    """Use new keys from now on. Old ones stay in the file, so everything stays readable."""
    with spoken():
        path = keys_path()
        rotated = Keys.load(path).rotated(system_clock(), purposes or ROTATED, believe=not stolen)
        rotated.save(path)
    console.print(f"Key {max(rotated.masters)} is in use for {', '.join(purposes or ROTATED)}.")
    console.print("Restart the service, and back the keys up again: timebank keys backup FILE")


@keys_group.command("backup")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def backup(file: Path) -> None:
    """Copy the keys to FILE, readable by you alone. Nothing is overwritten."""
    with spoken():
        path = keys_path()
        keys = Keys.load(path)
        keys.backup(file)
        copies.note(path.parent, "keys", system_clock(), newest=max(keys.masters))
    console.print(f"Keys copied to {file}. Keep it where the database backups are not.")


@keys_group.command("restore")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def restore(file: Path) -> None:
    """Put the copy in FILE where the bank looks for its keys. Keys that are there are left alone."""
    with spoken():
        path = keys_path()
        make_data(path.parent)
        Keys.load(file).backup(path)
    console.print(f"Keys of {file} are in {path}.")
