"""What a command that works on the bank's own rows needs: a connection as the service's role, the keys, the time."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import click
from sqlalchemy.ext.asyncio import AsyncConnection

from api.sentences import sentence
from timebank import founding, postgres, vault
from timebank.clock import DemoClock, system_clock
from timebank.database import create_engine, reached, refuse_other_schema
from timebank.errors import BankError, NotFound
from timebank.keys import Keys
from timebank.refusal import Refusal
from timebank.settings import Settings, from_environment

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Desk:
    """One transaction of the operator; it is committed when the command succeeds, and leaves nothing otherwise."""

    connection: AsyncConnection
    book_id: int
    keys: Keys
    now: datetime
    settings: Settings


def at_desk(work: Callable[[Desk], Awaitable[T]], *, founds: bool = False) -> T:
    """Do `work` in one transaction. A refusal of the bank becomes a sentence for the person at the terminal.

    Refusal `book_missing` where there is no book yet, unless the work `founds` it.
    """
    with spoken():
        settings = from_environment()
        with service_url(settings) as url:
            return asyncio.run(transact(settings, url, work, founds=founds))


async def transact(settings: Settings, url: str, work: Callable[[Desk], Awaitable[T]], *, founds: bool) -> T:
    """Do `work` in one transaction on the database at `url`."""
    clock = DemoClock(settings.data / "clock") if settings.demo else system_clock
    engine = create_engine(url, application_name="timebank command", pool_size=1)
    try:
        async with reached(engine) as connection:
            await refuse_other_schema(connection)
            if not founds:
                await founding.refuse_missing(connection, settings.book_id)
            keys = await vault.keys_for(connection, settings.book_id, settings.data / "keys.json")
            done = await work(Desk(connection, settings.book_id, keys, clock(), settings))
            await connection.commit()
            return done
    finally:
        await engine.dispose()


@contextlib.contextmanager
def service_url(settings: Settings) -> Iterator[str]:
    """The database that the service uses: another's, or the embedded one, started where no service has it running."""
    if settings.database_url:
        yield settings.database_url
        return
    with postgres.reach(settings.data) as server:
        yield server.service_url


@contextlib.contextmanager
def owner_url(settings: Settings) -> Iterator[str]:
    """The same database as the role that owns the tables. Refusal `migration_url_missing` where nobody said it."""
    if settings.migration_url:
        yield settings.migration_url
        return
    if settings.database_url:
        raise Refusal(
            "migration_url_missing",
            "This needs the role that owns the tables: give its URL in TIMEBANK_MIGRATION_URL",
        )
    with postgres.reach(settings.data) as server:
        yield server.owner_url


@contextlib.contextmanager
def spoken() -> Iterator[None]:
    """Let errors that a person can do something about end the command with one sentence and its code."""
    try:
        yield
    except NotFound as error:
        # Nothing is hidden from the operator: what is not found is not there.
        raise click.ClickException(
            f"There is no such {str(error.data['kind']).replace('_', ' ')} ({error.code})"
        ) from None
    except BankError as error:
        raise click.ClickException(f"{sentence(error.code, 'en', error.data)} ({error.code})") from None
    except Refusal as refusal:
        raise click.ClickException(str(refusal)) from None
    except OSError as error:
        # No room on the disk, no right to a file.
        what = f"{error.filename}: {error.strerror}" if error.filename else error.strerror or str(error)
        raise click.ClickException(f"The machine refuses: {what} (machine_refuses)") from None
