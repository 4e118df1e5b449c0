"""`timebank run`: the database, what has to be true of it, and the processes that serve."""

import asyncio
import contextlib
import http.client
import multiprocessing
import os
import signal
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from granian.constants import Interfaces, Loops, SSLProtocols
from granian.log import LogLevels
from granian.server import Server as Granian

import api.app
from api import network
from api.pages import assets
from api.stopping import asked_to_stop
from timebank import certificates, demo, members, regions, vault
from timebank.clock import DemoClock, system_clock
from timebank.database import create_engine, is_current, reached, refuse_other_schema, refuse_unsafe
from timebank.keys import Keys
from timebank.postgres import EmbeddedPostgres, Server
from timebank.postgres_files import make_data
from timebank.refusal import Refusal
from timebank.settings import Settings, to_environment

# What the workers serve; imported here so that they find it imported.
APP = f"{api.app.__name__}:{api.app.create_app.__name__}"
# How long a worker may take to finish what it took before it is ended; systemd's own patience is 90.
STOP_SECONDS = 30
READY_SECONDS = 120
# What granian holds back when all are busy: the committers' queue refuses earlier, with a word to the caller.
BACKLOG = 2048

Describe = Callable[[str], None]


@dataclass(frozen=True)
class Prepared:
    """A database that may be served from."""

    settings: Settings
    """With the URL of the role that serves."""
    is_empty: bool
    """Whether there is no city in the book yet."""


@contextlib.contextmanager
def prepared(settings: Settings, describe: Describe) -> Iterator[Prepared]:
    """Start or reach the database, migrate it, check it, and load the demo city in demo mode.

    Every Refusal of `timebank.postgres`, `timebank.schema`, `timebank.database` and `timebank.keys` may come.
    """
    refuse_exposed_demo(settings)
    assets.refuse_unbuilt()
    if (pair := network.pair_of(settings)) is not None:
        certificates.refuse_unfit(pair, system_clock())
    refuse_taken_port(settings)
    make_data(settings.data)
    if (settings.data / "keys.json").exists():
        # What is wrong with it is said before anything is started.
        Keys.load(settings.data / "keys.json")
    server: Server | None = None
    with contextlib.ExitStack() as stack:
        if settings.database_url is None:
            server = stack.enter_context(embedded(settings, describe))
            settings = replace(settings, database_url=server.service_url, migration_url=server.owner_url)
        yield Prepared(settings, is_empty=asyncio.run(prepare(settings, describe, embedded=server is not None)))


@contextlib.contextmanager
def embedded(settings: Settings, describe: Describe) -> Iterator[Server]:
    """The embedded PostgreSQL for the time of the block.

    When it keeps dying, the block is ended as by SIGTERM, and Refusal `postgresql_given_up` says so: whoever supervises
    the service sees that it failed, and starts it anew.
    """
    given_up = threading.Event()

    def give_up() -> None:
        given_up.set()
        os.kill(os.getpid(), signal.SIGTERM)

    postgres = EmbeddedPostgres(settings.data, tcp_port=settings.postgres_port, on_failure=give_up)
    try:
        yield postgres.start(describe)
    finally:
        postgres.stop()
        if given_up.is_set():
            raise Refusal("postgresql_given_up", f"PostgreSQL was given up: {postgres.last_words()}")


def stop_by_signal() -> None:
    """In a worker that has just been split off: until it listens for them, the signals to stop end it at once."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)


def refuse_exposed_demo(settings: Settings) -> None:
    """Refusal `demo_exposed`: a demo shows everybody its passwords and moves its clock."""
    if settings.demo and not settings.serves_loopback_only and not settings.demo_exposed:
        raise Refusal(
            "demo_exposed",
            f"A demo shows its passwords to everybody who reaches {settings.host}. Serve it on 127.0.0.1, or say that "
            "you mean it with TIMEBANK_DEMO_EXPOSED=1",
        )


def refuse_taken_port(settings: Settings) -> None:
    """Refusal `port_taken`, before anything is started."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise Refusal(
                "port_taken",
                f"Cannot serve on {settings.host} port {settings.port}: {error.strerror}. Choose with "
                "TIMEBANK_HOST and TIMEBANK_PORT",
                port=settings.port,
            ) from None


async def prepare(settings: Settings, describe: Describe, *, embedded: bool) -> bool:
    """Bring the database to where it may be served from; answers whether the book is empty."""
    assert settings.database_url is not None  # noqa: S101  set by the caller
    await bring_up_to_date(settings, describe, embedded=embedded)
    await refuse_unsafe(settings.database_url)
    engine = create_engine(settings.database_url, application_name="timebank start", pool_size=1)
    try:
        async with reached(engine) as connection:
            keys = await vault.keys_for(connection, settings.book_id, settings.data / "keys.json")
            if settings.demo:
                describe("Loading the demo city")
                clock = DemoClock(settings.data / "clock")
                await demo.load(connection, settings.book_id, keys, clock())
                await connection.commit()
            await members.refuse_strange_keys(connection, settings.book_id, keys)
            return await regions.root(connection, settings.book_id) is None
    finally:
        await engine.dispose()


async def bring_up_to_date(settings: Settings, describe: Describe, *, embedded: bool) -> None:
    """Migrate what is not current; what is in the embedded database is copied first. Refusal `schema_not_current` where
    that is not ours to do, `schema_newer` where a newer version has been here."""
    assert settings.database_url is not None  # noqa: S101  set by the caller
    engine = create_engine(settings.database_url, application_name="timebank start", pool_size=1)
    try:
        async with reached(engine) as connection:
            if settings.migration_url is None:
                await refuse_other_schema(connection)
            if await is_current(connection):
                return
    finally:
        await engine.dispose()
    assert settings.migration_url is not None  # noqa: S101  refused above
    # Alembic, which a start that has nothing to migrate need not wait for.
    from timebank.backups import before_upgrade
    from timebank.schema import migrate

    now = system_clock()
    if embedded and (file := await before_upgrade(settings.migration_url, settings.data, settings.backup_keep, now)):
        describe(f"The database before this version is in {file}")
    await migrate(settings.migration_url, describe=describe)


def serve(settings: Settings, ready: Callable[[], None]) -> None:
    """Serve until SIGTERM or SIGINT, then finish what was taken. `ready` is called once answers come."""
    # Workers are split off with everything imported already, which saves each of them two seconds of start. The threads
    # of this process hold no lock at that moment: the supervisor's waits for PostgreSQL to end, `announce` sleeps.
    multiprocessing.set_start_method("fork" if sys.platform == "linux" else "spawn", force=True)
    os.environ.update(to_environment(settings))
    granian = Granian(
        APP,
        factory=True,
        interface=Interfaces.ASGI,
        address=settings.host,
        port=settings.port,
        workers=settings.workers,
        loop=Loops.uvloop,
        websockets=False,
        backlog=BACKLOG,
        respawn_failed_workers=True,
        workers_kill_timeout=STOP_SECONDS,
        log_level=LogLevels.warning,
        ssl_cert=settings.tls_certificate,
        ssl_key=settings.tls_key,
        # Phones of ten years ago know no newer.
        ssl_protocol_min=SSLProtocols.tls12,
    )
    os.register_at_fork(after_in_child=stop_by_signal)

    def started() -> None:
        # Granian listens from now on.
        if asked_to_stop.is_set():
            signal.raise_signal(signal.SIGTERM)
        else:
            threading.Thread(target=announce, args=(settings, ready), daemon=True).start()

    granian.on_startup(started)
    granian.serve()


def announce(settings: Settings, ready: Callable[[], None]) -> None:
    """Call `ready` when the service answers that it is."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        try:
            if is_ready(settings):
                ready()
                return
        except (http.client.HTTPException, OSError):
            pass
        time.sleep(0.05)


def is_ready(settings: Settings) -> bool:
    """Whether the service of this machine says so; OSError or HTTPException where it says nothing yet."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104  compared, not bound
    connection = http.client.HTTPConnection(host, settings.port, timeout=2)
    if settings.tls_certificate is not None:
        # This machine is asked under a name that the certificate need not have.
        trusting = ssl.create_default_context()
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection(host, settings.port, timeout=2, context=trusting)
    with contextlib.closing(connection):
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == 200
