"""What one serving process holds while it runs: the bank behind every request."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from litestar.connection import ASGIConnection
from sqlalchemy.ext.asyncio import AsyncEngine

from api.delivering import Deliveries
from api.honouring import Rolls
from api.recognition import Recognition
from api.tending import Tending
from api.watching import Watching
from timebank import erasure_list, gateways, identities, issuers, membership, minors, retention, sms
from timebank.clock import Clock, DemoClock, system_clock
from timebank.commit import LANES, VERBS, Commits
from timebank.database import create_engine
from timebank.errors import NotFound
from timebank.identities import Register
from timebank.imports import uploads
from timebank.jobs import Jobs
from timebank.keys import Keys, ServedKeys
from timebank.outside import Provider
from timebank.settings import Settings
from timebank.sms import Sender


@dataclass
class Bank:
    """Everything a request needs besides itself."""

    settings: Settings
    engine: AsyncEngine
    keys: Keys
    clock: Clock
    commits: Commits
    sender: Sender
    jobs: Jobs | None = None
    """None where nobody works by itself: in tests that move the clock."""
    committing: AsyncEngine | None = None
    """The connections of the commits, apart from everybody else's."""
    deliveries: Deliveries | None = None
    """None where nobody is told by itself: in tests that move the clock."""
    tending: Tending | None = None
    """None where keys do not change, and nobody copies: in tests."""
    downloads_under_way: int = 0
    """How many lists are being written into files now."""
    outside: dict[str, Provider] = field(init=False)
    """Who else may say who somebody is, by their names in our addresses."""
    register: Register | None = field(init=False)
    """Who is asked whether a name and a document go together."""
    recognition: Recognition = field(init=False)
    watching: Watching = field(init=False)
    rolls: Rolls = field(init=False)

    def __post_init__(self) -> None:
        # Whoever sends a command is recognised first, whatever crowd of readers has every other connection.
        self.recognition = Recognition(self.committing or self.engine, self.book_id, self.clock)
        self.outside = issuers.chosen(self.settings)
        self.register = identities.chosen(self.settings)
        self.watching = Watching(self.engine, self.book_id)
        self.rolls = Rolls(self.engine, self.book_id)

    @property
    def book_id(self) -> int:
        """The book that this process serves."""
        return self.settings.book_id

    @classmethod
    async def open(cls, settings: Settings) -> "Bank":
        """The bank as the settings say, ready to serve. Refusal when the keys cannot be read."""
        if settings.database_url is None:
            raise ValueError("a serving process is told where its database is")
        keys = ServedKeys(settings.data / "keys.json")
        clock: Clock = DemoClock(settings.data / "clock") if settings.demo else system_clock
        engine = create_engine(settings.database_url)
        # Of their own, so that no crowd of readers keeps a command waiting.
        connections = LANES * len(VERBS)
        committing = create_engine(settings.database_url, application_name="timebank commit", pool_size=connections)
        commits = Commits(committing, settings.book_id, keys, clock)
        await commits.start()
        more = {
            "index_names": membership.indexing(keys),
            "forget_phones": retention.forgetting(settings.phone_months),
            "close_over": minors.closing(keys),
            "drop_past_uploads": uploads.dropping(uploads.directory(settings.data)),
            "note_erasures": erasure_list.noting(settings.data / erasure_list.NAME),
        }
        jobs = Jobs(engine, settings.book_id, clock, more=more)
        jobs.start()
        tending = Tending(settings, keys)
        tending.start()
        deliveries = Deliveries(engine, settings, keys, clock)
        deliveries.start()
        return cls(
            settings, engine, keys, clock, commits, gateways.chosen(settings), jobs, committing, deliveries, tending
        )

    async def close(self) -> None:
        """Finish what was begun: commands that were taken are committed, codes that were asked for are sent."""
        self.watching.stop()
        await self.rolls.stop()
        if self.tending is not None:
            await self.tending.stop()
        if self.deliveries is not None:
            await self.deliveries.stop()
        if self.jobs is not None:
            await self.jobs.stop()
        await self.commits.stop()
        await sms.all_sent()
        await self.engine.dispose()
        if self.committing is not None:
            await self.committing.dispose()

    async def note_erasures(self) -> None:
        """Put whoever was just erased on the list outside the database, without waiting for the job that would."""
        async with self.engine.connect() as connection:
            await erasure_list.note(connection, self.book_id, self.settings.data / erasure_list.NAME, self.clock())

    def move_clock(self, by: timedelta) -> datetime:
        """Move a demo's clock ahead and answer its new time; `NotFound` where time cannot be moved."""
        if not isinstance(self.clock, DemoClock):
            raise NotFound(kind="clock")
        return self.clock.advance(by)


def bank_of(connection: ASGIConnection[Any, Any, Any, Any]) -> Bank:
    """The bank that a request is for."""
    bank: Bank = connection.scope["litestar_app"].state.bank
    return bank
