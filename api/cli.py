"""`timebank`: everything an operator does at a terminal."""

import importlib
import os
from pathlib import Path

import click

from timebank import postgres_files, settings_file
from timebank.refusal import Refusal
from timebank.settings import from_environment

# Where each command is. Only the one that is asked for is imported: a service that starts need not wait for the rest.
COMMANDS = {
    "run": "run:run",
    "doctor": "doctor:examine",
    "certificate": "certificate:certificate",
    "unit": "unit:unit",
    "migrate": "database:migrate",
    "audit": "database:audit",
    "export": "export:export",
    "records": "exchange:records",
    "psql": "database:psql",
    "backup": "backup:make_backup",
    "restore": "backup:restore",
    "restore-drill": "backup:restore_drill",
    "keys": "keys:keys_group",
    "book": "people:book_group",
    "fund": "people:fund_group",
    "station": "people:station_group",
    "user": "people:user_group",
    "grant": "people:grant",
    "erase": "privacy:erase",
    "import": "imports:import_file",
    "import-uploads": "uploads:import_uploads",
    "demo": "people:demo_group",
}


# What root may type anywhere: the doctor says it in its own words, and a unit is printed.
WRITE_NOTHING = ("doctor", "unit")


class Commands(click.Group):
    """The commands, imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order in which a city is set up."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """One command, or None."""
        if cmd_name not in COMMANDS:
            return None
        module, attribute = COMMANDS[cmd_name].split(":")
        command: click.Command = getattr(importlib.import_module(f"api.commands.{module}"), attribute)
        return command


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--settings",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file of settings, one KEY=VALUE a line. What the environment says itself goes before it.",
)
@click.version_option(package_name="timebank")
@click.pass_context
def main(context: click.Context, file: Path | None) -> None:
    """A volunteer time bank that a city can run and anyone can audit.

    Settings come from environment variables that begin with TIMEBANK_; docs/reference/settings.md lists them.
    """
    if file is not None:
        try:
            found = settings_file.read(file)
        except Refusal as refusal:
            raise click.ClickException(str(refusal)) from None
        os.environ.update({name: value for name, value in found.items() if name not in os.environ})
    if context.invoked_subcommand not in WRITE_NOTHING:
        refuse_other_account()


def refuse_other_account() -> None:
    """End where root would leave files in the data directory that the account of the bank could not read."""
    try:
        data = from_environment().data
    except Refusal:
        # A wrong setting: the command itself says so.
        return
    try:
        postgres_files.refuse_other_account(data)
    except Refusal as refusal:
        raise click.ClickException(str(refusal)) from None


if __name__ == "__main__":
    main()
