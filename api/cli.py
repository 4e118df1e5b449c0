"""`timebank`: everything an operator does at a terminal."""

import importlib

import click

# Where each command is. Only the one that is asked for is imported: a service that starts need not wait for the rest.
COMMANDS = {
    "run": "run:run",
    "doctor": "doctor:examine",
    "migrate": "database:migrate",
    "audit": "database:audit",
    "export": "export:export",
    "psql": "database:psql",
    "backup": "backup:make_backup",
    "restore": "backup:restore",
    "keys": "keys:keys_group",
    "book": "people:book_group",
    "fund": "people:fund_group",
    "station": "people:station_group",
    "user": "people:user_group",
    "grant": "people:grant",
    "erase": "privacy:erase",
    "demo": "people:demo_group",
}


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
@click.version_option(package_name="timebank")
def main() -> None:
    """A volunteer time bank that a city can run and anyone can audit.

    Settings come from environment variables that begin with TIMEBANK_; docs/reference/settings.md lists them.
    """


if __name__ == "__main__":
    main()
