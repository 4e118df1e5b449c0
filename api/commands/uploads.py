"""`timebank import-uploads`: what administrators asked for in the office, carried out by a process of its own."""

import asyncio
import fcntl

import click
from rich.console import Console

from api.commands.desk import service_url, spoken
from timebank.clock import Clock, DemoClock, system_clock
from timebank.database import create_engine, reached, refuse_other_schema
from timebank.imports import uploads, waiting
from timebank.keys import Keys
from timebank.settings import Settings, from_environment

console = Console()


@click.command("import-uploads")
def import_uploads() -> None:
    """Carry out the imports that administrators asked for in the office, one after the other.

    The bank does it by itself. Where another process is at it, nothing is done.
    """
    with spoken():
        settings = from_environment()
        place = uploads.directory(settings.data)
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (place / ".lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            with service_url(settings) as url:
                done = asyncio.run(carry_out(settings, url))
    console.print(f"{done} done.")


async def carry_out(settings: Settings, url: str) -> int:
    """Do it on the database at `url`."""
    clock: Clock = DemoClock(settings.data / "clock") if settings.demo else system_clock
    keys = Keys.load_or_create(settings.data / "keys.json")
    engine = create_engine(url, application_name="timebank import", pool_size=3)
    try:
        async with reached(engine) as connection:
            await refuse_other_schema(connection)
        return await waiting.work(engine, settings.book_id, keys, uploads.directory(settings.data), clock)
    finally:
        await engine.dispose()
