"""`timebank run`: start everything and serve."""

import contextlib
from dataclasses import replace

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from api import network, serving
from api.commands.desk import spoken
from api.stopping import stop_when_asked
from timebank import certificates, demo
from timebank.clock import system_clock
from timebank.settings import Settings, from_environment

console = Console()


@click.command()
@click.option("--demo", "as_demo", is_flag=True, help="A small demo city to try out, on this machine only.")
@click.option(
    "--lan", is_flag=True, help="For everybody on the local network, over https with a certificate of its own."
)
def run(as_demo: bool, lan: bool) -> None:
    """Start the database, migrate it, and serve until stopped.

    Stopping (Ctrl-C, SIGTERM) finishes what was begun and shuts the database down in good order.
    """
    stop_when_asked()
    with spoken(), contextlib.suppress(KeyboardInterrupt):
        settings = from_environment()
        if as_demo:
            settings = replace(settings, demo=True)
        if lan:
            settings = network.on_local_network(settings, system_clock())
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
    console.print(f"\nTime bank ready at [bold]{escape(settings.address)}[/bold]")
    if network.has_own_certificate(settings):
        tell_network(settings)
    if settings.demo:
        table = Table("sign in as", "name", "phone", "password")
        for person in demo.SIGN_INS:
            table.add_row(person.role, person.name, person.phone, person.password)
        console.print(table)
        console.print("A demo: anybody who can open the page can sign in. Stop with Ctrl-C.")
    elif prepared.is_empty:
        console.print("The book is empty. Create the city: timebank book create --name … --regions FILE")


def tell_network(settings: Settings) -> None:
    """Say by which addresses it is reached, and how a phone comes to trust its certificate."""
    for address in network.other_addresses(settings):
        console.print(f"             also at {address}", highlight=False, markup=False)
    facts = certificates.read(certificates.authority_of(settings.data).certificate)
    console.print(
        f"\nNo phone knows this bank's certificate. Once on each: open {settings.address}{network.TRUST_PATH}, go on "
        "past the warning, and follow the page. It has to show this fingerprint:",
        highlight=False,
        markup=False,
    )
    console.print(facts.fingerprint, highlight=False, soft_wrap=True)
