"""`timebank doctor`: is this machine fit to serve, and what to do where it is not."""

import asyncio
import json
import os
from collections.abc import Mapping

import click
from rich.console import Console
from rich.text import Text

from api import network
from api.commands.desk import service_url
from api.doctor_words import STATES, SUBJECTS, words_of
from timebank import doctor
from timebank.clock import system_clock
from timebank.doctor import Finding
from timebank.refusal import Refusal
from timebank.settings import Settings, from_environment

COLOURS = {"ok": "green", "warn": "yellow", "bad": "bold red"}

console = Console()


@click.command("doctor")
@click.option("--language", type=click.Choice(("zh", "en")), help="By default the terminal's own.")
@click.option("--lan", is_flag=True, help="Look at what timebank run --lan serves.")
@click.option("--json", "as_json", is_flag=True, help="The findings as JSON, for programs.")
def examine(language: str | None, lan: bool, as_json: bool) -> None:
    """Look at everything that the bank needs of this machine, and say how to mend what is not as it should be.

    Changes nothing. Ends with status 1 when the bank would not start or would not do what it promises.
    """
    found = findings(lan=lan)
    if as_json:
        click.echo(json.dumps([{**each.data, "code": each.code, "state": each.state} for each in found]))
    else:
        for each in found:
            tell(each, language or language_of(os.environ))
    if any(each.state == "bad" for each in found):
        raise SystemExit(1)


def language_of(environment: Mapping[str, str]) -> str:
    """ "zh" where the terminal says so, else "en": a terminal that says nothing may have no Chinese characters."""
    said = next((value for name in ("LC_ALL", "LC_MESSAGES", "LANG") if (value := environment.get(name))), "")
    return "zh" if said.lower().startswith("zh") else "en"


def findings(*, lan: bool = False) -> list[Finding]:
    """Everything, in the order in which it is to be mended."""
    try:
        settings = from_environment()
        # A data directory that is somebody else's may not be looked into: that is said first, and nothing more.
        if lan and doctor.check_data(settings.data).state != "bad":
            settings = network.seen_on_local_network(settings)
    except Refusal as refusal:
        return [doctor.refused("settings", refusal)]
    now = system_clock()
    machine = doctor.check_machine(settings, now)
    closed = settings.database_url is None and any(each.subject == "data" and each.state == "bad" for each in machine)
    return [Finding("settings", "ok", "settings_ok"), *machine, *([] if closed else of_database(settings))]


def of_database(settings: Settings) -> list[Finding]:
    """What the database says; an embedded one that does not run is started for it, and never made."""
    if settings.database_url is None and not (settings.data / "postgres" / "cluster").is_dir():
        return [Finding("database", "warn", "database_fresh")]
    try:
        with service_url(settings) as url:
            return asyncio.run(doctor.check_database(settings, url, system_clock()))
    except Refusal as refusal:
        return [doctor.refused("database", refusal)]
    except OSError as error:
        return [Finding("database", "bad", "machine_refuses", {"sentence": str(error)})]


def tell(finding: Finding, language: str) -> None:
    """Print one finding, and below it what to do."""
    column = 0 if language == "zh" else 1
    sentence, mend = words_of(finding, language)
    line = Text(f"{STATES[finding.state][column]:<5}", style=COLOURS[finding.state])
    line.append(f" {SUBJECTS[finding.subject][column]}: {sentence}", style="default")
    console.print(line, soft_wrap=True)
    if mend and finding.state != "ok":
        console.print(Text(f"      → {mend}  ({finding.code})"), soft_wrap=True)
