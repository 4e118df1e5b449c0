"""`timebank run`: start everything and serve."""

import contextlib
from dataclasses import replace

import click
from rich.console import Console
from rich.table import Table

from api import serving
from api.commands.desk import spoken
from timebank import demo
from timebank.settings import Settings, from_environment

console = Console()


@click.command()
@click.option("--demo", "as_demo", is_flag=True, help="A small demo city to try out, on this machine only.")
def run(as_demo: bool) -> None:
    """Start the database, migrate it, and serve until stopped.

    Stopping (Ctrl-C, SIGTERM) finishes what was begun and shuts the database down in good order.
    """
    serving.stop_when_asked()
    with spoken(), contextlib.suppress(KeyboardInterrupt):
        settings = from_environment()
        if as_demo:
            settings = replace(settings, demo=True)
        with serving.prepared(settings, describe) as ready:
            serving.serve(quiet(ready.settings), lambda: announce(ready))
    console.print("Stopped.")


def describe(step: str) -> None:
    """Say what takes long."""
    console.print(f"{step} …")


def quiet(settings: Settings) -> Settings:
    """A demo at a terminal shows what its reader needs, unless asked for more: no line for each request."""
    return replace(settings, log_level="warning") if settings.demo and settings.log_level == "info" else settings


def announce(prepared: serving.Prepared) -> None:
    """Say where the bank is and who may sign in."""
    settings = prepared.settings
    console.print(f"\nTime bank ready at [bold]{settings.address}[/bold]")
    if settings.demo:
        table = Table("sign in as", "name", "phone", "password")
        for person in demo.SIGN_INS:
            table.add_row(person.role, person.name, person.phone, person.password)
        console.print(table)
        console.print("A demo: anybody who can open the page can sign in. Stop with Ctrl-C.")
    elif prepared.is_empty:
        console.print("The book is empty. Create the city: timebank book create --name … --regions FILE")
