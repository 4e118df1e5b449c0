"""`timebank keys`: the file with the bank's secrets."""

import asyncio
import fcntl
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from api.commands.desk import service_url, spoken
from timebank import copies, key_copies, members
from timebank.clock import system_clock
from timebank.database import create_engine, reached, refuse_other_schema
from timebank.keys import PURPOSES, ROTATABLE, ROTATED, Keys
from timebank.postgres_files import make_data
from timebank.settings import Settings, from_environment

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
        with (path.parent / "keys.lock").open("a") as lock:
            # Two that rotate at once make two keys, and lose none.
            fcntl.flock(lock, fcntl.LOCK_EX)
            rotated = Keys.load(path).rotated(system_clock(), purposes or ROTATED, believe=not stolen)
            rotated.save(path)
    console.print(f"Key {max(rotated.masters)} is in use for {', '.join(purposes or ROTATED)}.")
    console.print("A service that runs takes it within seconds. Back the keys up again: timebank keys backup FILE")


@keys_group.command("backup")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--plain", is_flag=True, help="Without a passphrase: whoever has the file has the keys.")
@click.option("--passphrase", help="Better left out: it is asked for, which keeps it out of the shell's history.")
def backup(file: Path, plain: bool, passphrase: str | None) -> None:
    """Copy the keys to FILE under a passphrase, readable by you alone. Nothing is overwritten."""
    with spoken():
        path = keys_path()
        keys = Keys.load(path)
        if plain:
            keys.backup(file)
        else:
            asked = passphrase or click.prompt("Passphrase", hide_input=True, confirmation_prompt=True)
            key_copies.write(file, key_copies.seal(keys, asked))
        copies.note(path.parent, "keys", system_clock(), newest=max(keys.masters))
    console.print(f"Keys copied to {file}. Keep it where the database backups are not.")


@keys_group.command("restore")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--passphrase", help="Of the copy, if it has one; it is asked for where it is not given.")
def restore(file: Path, passphrase: str | None) -> None:
    """Put the copy in FILE where the bank looks for its keys. Keys that are there are left alone."""
    with spoken():
        path = keys_path()
        make_data(path.parent)
        read_copy(file, passphrase).backup(path)
    console.print(f"Keys of {file} are in {path}.")


def read_copy(file: Path, passphrase: str | None) -> Keys:
    """The keys of a copy, with its passphrase where it has one."""
    if not key_copies.is_sealed(file):
        return Keys.load(file)
    return key_copies.opened(file, passphrase or click.prompt("Passphrase", hide_input=True))


@keys_group.command("drill")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--passphrase", help="Of the copy, if it has one; it is asked for where it is not given.")
def drill(file: Path, passphrase: str | None) -> None:
    """Prove that the copy in FILE opens, and that its keys open what the bank has stored about people.

    Of every key that people's data are under, the newest and the oldest rows are opened. Nothing is shown or changed.
    """
    with spoken():
        keys = read_copy(file, passphrase)
        settings = from_environment()
        with service_url(settings) as url:
            counted = asyncio.run(open_rows(settings, url, keys))
    if not counted:
        console.print("The copy opens. Nobody is in the book yet whose data it could open.")
    for number, rows in sorted(counted.items()):
        console.print(f"Key {number}: {rows} people's data open.")
    console.print("[green]The copy is good.[/green]")


async def open_rows(settings: Settings, url: str, keys: Keys) -> dict[int, int]:
    """How many rows of each key were opened. Refusal `keys_do_not_fit` when one does not."""
    engine = create_engine(url, application_name="timebank keys drill", pool_size=1)
    try:
        async with reached(engine) as connection:
            await refuse_other_schema(connection)
            return await members.open_some(connection, settings.book_id, keys)
    finally:
        await engine.dispose()
