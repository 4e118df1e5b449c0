"""What a machine needs to serve a bank, looked at one by one before somebody else finds out.

A check answers findings: a code that stays the same, its gravity, and the facts. Nothing is changed by looking. The
words, and how to mend each, are the terminal's (`api/doctor_words.py`).
"""

import importlib.metadata
import os
import shutil
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import certificates, copies, issuers, members, schema
from timebank.certificates import Pair
from timebank.database import create_engine, is_current, reached, refuse_unsafe
from timebank.keys import Keys
from timebank.outside import OutsideDown
from timebank.postgres_files import refuse_other_account
from timebank.refusal import Refusal
from timebank.settings import Settings
from timebank.tables import member

State = Literal["ok", "warn", "bad"]

# How far a database's clock may be from the machine's: codes of stations are good for 20 seconds.
CLOCK_WARN, CLOCK_BAD = timedelta(seconds=2), timedelta(seconds=20)
# No machine on which this version runs can honestly show an earlier day: its battery is empty.
FIRST_DAY = datetime(2026, 11, 24, tzinfo=UTC)
DISK_WARN_BYTES, DISK_BAD_BYTES = 5 * 2**30, 2**30
# Hosts that are no address to type.
EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104  compared, not bound
CERTIFICATE_WARN = timedelta(days=21)
USUAL_PORTS = {"https": 443, "http": 80, "smtp": 587, "smtps": 465}
COPY_OLD = {"database": timedelta(days=2), "keys": timedelta(days=365)}
FONT_PACKAGE = "cvttf-notosanscjk-regular"
FONT_DIRECTORIES = tuple(Path(name) for name in ("/usr/share/fonts", "/usr/local/share/fonts", "/Library/Fonts"))
# Families with the characters of Chinese, as their files are called.
FONT_PATTERNS = ("NotoSansCJK*", "NotoSansSC*", "SourceHanSans*", "wqy-*", "DroidSansFallback*")


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found. `code` is stable; `data` holds what its words need."""

    subject: str
    state: State
    code: str
    data: dict[str, Any] = field(default_factory=dict)


def refused(subject: str, refusal: Refusal) -> Finding:
    """What the service itself would end with."""
    return Finding(subject, "bad", refusal.code, {**refusal.data, "sentence": refusal.sentence})


def check_data(data: Path) -> Finding:
    """The directory in which everything lives: there, and this account's to write in."""
    try:
        refuse_other_account(data)
    except Refusal as refusal:
        return refused("data", refusal)
    there = nearest(data)
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        return Finding("data", "bad", "data_not_writable", {"path": str(there)})
    if there != data:
        return Finding("data", "warn", "data_fresh", {"path": str(data)})
    return Finding("data", "ok", "data_ok", {"path": str(data)})


def nearest(path: Path) -> Path:
    """The path, or the nearest directory above it that is there as far as this account may look."""
    # Path.exists() would raise below a directory that is closed to it.
    return next(each for each in (path, *path.parents) if os.path.exists(each))


def check_disk(data: Path, free_bytes: int | None = None) -> Finding:
    """Room where the data directory is; `free_bytes` in place of what the machine says."""
    there = nearest(data)
    free = shutil.disk_usage(there).free if free_bytes is None else free_bytes
    state: State = "bad" if free < DISK_BAD_BYTES else "warn" if free < DISK_WARN_BYTES else "ok"
    return Finding("disk", state, f"disk_{'ok' if state == 'ok' else 'full'}", {"gigabytes": round(free / 2**30, 1)})


def check_machine_clock(now: datetime) -> Finding:
    """The machine's clock against what it cannot be."""
    said = {"now": now.isoformat(timespec="seconds")}
    return Finding("clock", "bad", "clock_past", said) if now < FIRST_DAY else Finding("clock", "ok", "clock_ok", said)


def check_keys(data: Path, now: datetime) -> list[Finding]:
    """The keys file: whole, private, copied since its last change, and not too long ago."""
    path = data / "keys.json"
    if not path.exists() and not (data / "postgres").exists():
        return [Finding("keys", "warn", "keys_fresh", {"path": str(path)})]
    try:
        keys = Keys.load(path)
    except Refusal as refusal:
        return [refused("keys", refusal)]
    except OSError as error:
        return [Finding("keys", "bad", "machine_refuses", {"sentence": f"{path}: {error.strerror}"})]
    newest = max(keys.masters)
    found = [Finding("keys", "ok", "keys_ok", {"number": newest})]
    noted = copies.noted(data, "keys")
    if noted is None:
        found.append(Finding("keys", "warn", "keys_not_copied"))
    elif noted[1].get("newest") != newest:
        found.append(Finding("keys", "warn", "keys_changed_since_copy", {"number": newest}))
    else:
        found.append(age_of("keys", noted[0], now))
    return found


def age_of(kind: Literal["database", "keys"], at: datetime, now: datetime) -> Finding:
    """How old a copy is."""
    state: State = "warn" if now - at > COPY_OLD[kind] else "ok"
    return Finding(
        "copies", state, f"{kind}_copy_{'old' if state == 'warn' else 'ok'}", {"days": max(0, (now - at).days)}
    )


def check_copies(data: Path, now: datetime) -> Finding:
    """The last copy of the database that this directory knows of."""
    noted = copies.noted(data, "database")
    return Finding("copies", "warn", "database_not_copied") if noted is None else age_of("database", noted[0], now)


def check_address(settings: Settings) -> Finding:
    """Whether browsers will let a page use the camera and work offline: only over https, or on this machine itself."""
    said = {"address": settings.address}
    if settings.address.startswith("http:") and not settings.serves_loopback_only:
        return Finding("address", "bad", "address_open", said)
    if settings.serves_loopback_only and settings.public_url is None:
        return Finding("address", "warn", "address_loopback", said)
    return Finding("address", "ok", "address_ok", said)


def check_certificate(settings: Settings, now: datetime) -> list[Finding]:
    """The certificate that is served with: fit, not about to end, and for the address that people type."""
    if settings.tls_certificate is None or settings.tls_key is None:
        return []
    try:
        facts = certificates.refuse_unfit(Pair(settings.tls_certificate, settings.tls_key), now)
    except Refusal as refusal:
        return [refused("certificate", refusal)]
    host = urlsplit(settings.address).hostname or ""
    left = facts.ends_at - now
    said = {"days": left.days, "path": str(settings.tls_certificate), "host": host}
    if not facts.covers(host) and settings.host not in EVERYWHERE:
        return [Finding("certificate", "bad", "certificate_other_name", said)]
    state: State = "warn" if left < CERTIFICATE_WARN else "ok"
    return [Finding("certificate", state, f"certificate_{'ok' if state == 'ok' else 'ends_soon'}", said)]


def check_fonts(directories: Sequence[Path] = FONT_DIRECTORIES, package: str = FONT_PACKAGE) -> Finding:
    """A font with Chinese characters, for posters and certificates."""
    found = next(iter(font_files(directories, package)), None)
    if found is None:
        return Finding("fonts", "bad", "font_missing", {"package": package})
    return Finding("fonts", "ok", "font_ok", {"font": found.name})


def font_files(directories: Sequence[Path], package: str) -> Iterable[Path]:
    """The files of fonts with Chinese characters: the machine's own, then those of the package."""
    for directory in directories:
        for pattern in FONT_PATTERNS:
            yield from directory.rglob(pattern)
    try:
        files = importlib.metadata.distribution(package).files or []
    except importlib.metadata.PackageNotFoundError:
        return
    for file in files:
        if file.suffix in (".otf", ".ttf", ".ttc") and (path := Path(str(file.locate()))).is_file():
            yield path


def check_messages(settings: Settings) -> list[Finding]:
    """Whether codes reach phones at all: which adapters are set, and whether their far side takes connections."""
    if settings.demo:
        return [Finding("messages", "warn", "messages_demo")]
    found = [] if settings.sms_url else [Finding("messages", "warn", "messages_printed")]
    for kind, url in (("sms", settings.sms_url), ("mail", settings.mail_url)):
        if url is None:
            continue
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or USUAL_PORTS.get(parts.scheme, 443)
        state: State = "ok" if is_reached(host, port) else "bad"
        code = f"{kind}_{'reached' if state == 'ok' else 'unreachable'}"
        found.append(Finding("messages", state, code, {"host": f"{host}:{port}"}))
    return found


def check_sign_in(settings: Settings) -> list[Finding]:
    """Whether those outside by whom people may sign in answer, and are who they are said to be."""
    found = []
    if settings.oidc_issuer:
        said = {"issuer": settings.oidc_issuer}
        try:
            document = issuers.described(settings.oidc_issuer)
        except OutsideDown:
            found.append(Finding("sign_in", "bad", "oidc_unreachable", said))
        else:
            fits = issuers.is_fit(document, settings.oidc_issuer)
            found.append(Finding("sign_in", "ok" if fits else "bad", "oidc_ok" if fits else "oidc_unfit", said))
    if settings.wechat_app_id:
        parts = urlsplit(settings.wechat_api_url)
        host, port = parts.hostname or "", parts.port or USUAL_PORTS[parts.scheme]
        reached = is_reached(host, port)
        code = f"wechat_{'reached' if reached else 'unreachable'}"
        found.append(Finding("sign_in", "ok" if reached else "bad", code, {"host": f"{host}:{port}"}))
    return found


def check_register(settings: Settings) -> list[Finding]:
    """Whether the register of names and documents takes connections."""
    if settings.identity_url is None:
        return []
    parts = urlsplit(settings.identity_url)
    host, port = parts.hostname or "", parts.port or USUAL_PORTS[parts.scheme]
    reached = is_reached(host, port)
    code = f"register_{'reached' if reached else 'unreachable'}"
    return [Finding("register", "ok" if reached else "bad", code, {"host": f"{host}:{port}"})]


def is_reached(host: str, port: int) -> bool:
    """Whether something takes connections there. Nothing is said to it."""
    try:
        with socket.create_connection((host, port), timeout=5):
            return True
    except OSError:
        return False


async def check_database(settings: Settings, service_url: str, now: datetime) -> list[Finding]:
    """The database as the service would use it: reached, new enough, durable, the role, the schema, the clock, the keys
    that its rows were written with."""
    try:
        await refuse_unsafe(service_url)
    except Refusal as refusal:
        return [refused("database", refusal)]
    engine = create_engine(service_url, application_name="timebank doctor", pool_size=1)
    try:
        async with reached(engine) as connection:
            found = [Finding("database", "ok", "database_ok", await facts_of(connection))]
            found.append(check_database_clock(await connection.scalar(text("SELECT clock_timestamp()")), now))
            if not await is_current(connection):
                return [*found, await check_other_schema(connection)]
            found.append(Finding("schema", "ok", "schema_ok"))
            return [*found, *await check_rows(connection, settings)]
    except Refusal as refusal:
        return [refused("database", refusal)]
    finally:
        await engine.dispose()


async def facts_of(connection: AsyncConnection) -> dict[str, Any]:
    """Version and size."""
    row = (
        await connection.execute(
            text(
                "SELECT current_setting('server_version') AS version, current_user::text AS role, "
                "pg_database_size(current_database()) AS size"
            )
        )
    ).one()
    return {"version": row.version.split()[0], "role": row.role, "megabytes": round(row.size / 2**20)}


async def check_other_schema(connection: AsyncConnection) -> Finding:
    """In which way a schema is not this version's."""
    try:
        schema.refuse_newer(await schema.versions_of(connection))
    except Refusal as refusal:
        return refused("schema", refusal)
    return Finding("schema", "bad", "schema_not_current")


def check_database_clock(said: datetime, now: datetime) -> Finding:
    """The database's clock against the machine's."""
    seconds = abs((said - now).total_seconds())
    state: State = "bad" if seconds > CLOCK_BAD.total_seconds() else "ok"
    if state == "ok" and seconds > CLOCK_WARN.total_seconds():
        state = "warn"
    return Finding("clock", state, f"clocks_{'agree' if state == 'ok' else 'differ'}", {"seconds": round(seconds, 1)})


async def check_rows(connection: AsyncConnection, settings: Settings) -> list[Finding]:
    """Whether the keys file is the one that the members' rows were written with."""
    try:
        keys = Keys.load(settings.data / "keys.json")
        await members.refuse_strange_keys(connection, settings.book_id, keys)
    except Refusal as refusal:
        # A file that is missing or closed was found before; but not that a database of one's own holds people already.
        said = ("keys_do_not_fit", "key_unknown", *(() if (settings.data / "postgres").exists() else ("keys_missing",)))
        anybody = select(member.c.id).where(member.c.book_id == settings.book_id, member.c.data_key.is_not(None))
        tells = refusal.code in said and await connection.scalar(anybody.limit(1)) is not None
        return [refused("keys", refusal)] if tells else []
    except OSError:
        return []
    return [Finding("keys", "ok", "keys_fit")]


def check_machine(settings: Settings, now: datetime) -> list[Finding]:
    """Everything that needs no database. Of a data directory that is not this account's, nothing but that is said."""
    data = check_data(settings.data)
    if data.state == "bad":
        return [data]
    return [
        data,
        check_disk(settings.data),
        check_machine_clock(now),
        *check_keys(settings.data, now),
        check_address(settings),
        *check_certificate(settings, now),
        check_fonts(),
        *check_messages(settings),
        *check_sign_in(settings),
        *check_register(settings),
        check_copies(settings.data, now),
    ]
