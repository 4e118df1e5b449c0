"""Commands about the database itself: its schema, its proof, and a way in."""

import asyncio
import json
import os
import signal
from dataclasses import asdict

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from api.commands.desk import owner_url, service_url, spoken
from timebank import backups, purses, schema
from timebank.clock import system_clock
from timebank.database import create_engine, for_clients, reached, refuse_other_schema
from timebank.postgres_files import find_clients
from timebank.refusal import Refusal
from timebank.settings import Settings, from_environment

console = Console()


@click.command()
@click.option(
    "--branch",
    "branches",
    multiple=True,
    type=click.Choice(schema.BRANCHES),
    help="Only this part: the ledger installs without the bank. By default both.",
)
def migrate(branches: tuple[str, ...]) -> None:
    """Bring the schema to what this version needs: all of it or nothing.

    On a database of your own it needs TIMEBANK_MIGRATION_URL: the role that owns the tables.
    """
    with spoken(), owner_url(settings := from_environment()) as url:
        if settings.database_url is None:
            now = system_clock()
            if file := asyncio.run(backups.before_upgrade(url, settings.data, settings.backup_keep, now)):
                console.print(f"The database before this version is in {file}", soft_wrap=True)
        asyncio.run(schema.migrate(url, branches or schema.BRANCHES, lambda step: console.print(f"{step} …")))
    console.print("The schema is current.")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="The report as JSON, for programs.")
def audit(as_json: bool) -> None:
    """Prove the ledger: work every balance out again from its rows alone.

    Ends with status 1 when anything is not as the rules have it. Serving goes on meanwhile.
    """
    with spoken():
        settings = from_environment()
        with service_url(settings) as url:
            report = asyncio.run(prove(settings, url, show_progress=not as_json))
    if as_json:
        click.echo(json.dumps({**asdict(report), "passed": report.passed}, ensure_ascii=False))
    else:
        tell(report)
    if not report.passed:
        raise SystemExit(1)


async def prove(settings: Settings, url: str, *, show_progress: bool) -> purses.Report:
    """Audit the settings' book on the database at `url`. Refusal `book_missing` when there is none yet."""
    # Without the limits of those who serve: a large book takes its time.
    engine = create_engine(url, application_name="timebank audit", pool_size=1, limits={})
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    try:
        async with reached(engine) as connection:
            await refuse_other_schema(connection)
            # The audit's snapshot comes first in its transaction.
            await connection.rollback()
            with Progress(*columns, console=console, transient=True, disable=not show_progress) as bar:
                task = bar.add_task("audit")
                try:
                    return await purses.audit(
                        connection,
                        settings.book_id,
                        lambda name, done, total: bar.update(task, description=name, completed=done, total=total),
                    )
                except purses.LedgerError as error:
                    if error.code != "book_unknown":
                        raise
                    raise Refusal("book_missing", f"There is no book {settings.book_id}") from None
    finally:
        await engine.dispose()


def tell(report: purses.Report) -> None:
    """Print a report for people."""
    counted = f"{report.transfers:,} transfers, {report.accounts:,} accounts"
    if report.passed:
        console.print(f"[green]Book {report.book_id} passes[/green]: {counted}; every balance works out.")
        return
    console.print(f"[red]Book {report.book_id} does not pass[/red]: {counted}, {len(report.findings):,} findings.")
    for finding in report.findings:
        console.print(f"  {finding.code}  {finding.subject}  {finding.detail}", soft_wrap=True, highlight=False)
    for name in report.cut_short:
        console.print(f"  … and more of {name}")


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("--owner", is_flag=True, help="As the owner of the tables instead of the role that serves.")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def psql(owner: bool, arguments: tuple[str, ...]) -> None:
    """Open PostgreSQL's own terminal on the bank's database; further ARGUMENTS go to psql."""
    with spoken():
        settings = from_environment()
        with (owner_url if owner else service_url)(settings) as url:
            place, secret = for_clients(url)
            # Ctrl-C ends a query in psql, which goes on; and we with it.
            signal.signal(signal.SIGINT, lambda *_: None)
            status = os.spawnve(  # noqa: S606  the operator asked for psql
                os.P_WAIT, find_clients() / "psql", ["psql", "-d", place, *arguments], {**os.environ, **secret}
            )
    raise SystemExit(status)
