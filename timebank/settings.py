"""Every setting, read from the environment once, at the start."""

import ipaddress
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from datetime import time
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from timebank.refusal import Refusal

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
# Enough to tell an address from what is none; whether it is one, only a message to it shows.
MAIL_ADDRESS = re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
LogLevel = Literal["debug", "info", "warning", "error"]


def read_text(value: str) -> str:
    """Anything but nothing."""
    if not value.strip():
        raise ValueError("must not be empty")
    return value.strip()


def read_directory(value: str) -> Path:
    """A path; a leading ~ is the home directory."""
    return Path(read_text(value)).expanduser().absolute()


def read_file(value: str) -> Path:
    """A path; a leading ~ is the home directory."""
    return read_directory(value)


def read_database_url(value: str) -> str:
    """A PostgreSQL URL; both common spellings of the scheme."""
    if urlsplit(value).scheme not in ("postgresql", "postgresql+asyncpg", "postgres"):
        raise ValueError("must begin with postgresql://")
    return value


def read_port(value: str) -> int:
    """0 lets the machine choose; useful for tests."""
    if not value.isdecimal() or int(value) > 65535:
        raise ValueError("must be a number from 0 to 65535")
    return int(value)


def read_count(value: str) -> int:
    """At least one."""
    if not value.isdecimal() or not 1 <= int(value) <= 1024:
        raise ValueError("must be a number from 1 to 1024")
    return int(value)


def read_book(value: str) -> int:
    """A book's number; columns of the database hold no larger one."""
    if not value.isdecimal() or not 1 <= int(value) <= 2**31 - 1:
        raise ValueError("must be a number from 1 to 2147483647")
    return int(value)


def read_switch(value: str) -> bool:
    """1 or 0, and the words for them."""
    known = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    if value.strip().lower() not in known:
        raise ValueError("must be 1 or 0")
    return known[value.strip().lower()]


def read_public_url(value: str) -> str:
    """Where people's browsers find the bank: scheme and host, without a path."""
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("must look like https://bank.example")
    if parts.path not in ("", "/"):
        raise ValueError("must not have a path")
    return f"{parts.scheme}://{parts.netloc}"


def read_hosts(value: str) -> tuple[str, ...]:
    """Host names without port or path, with commas between."""
    names = tuple(part.strip().lower() for part in value.split(",") if part.strip())
    if any(urlsplit(f"//{name}").hostname != name for name in names):
        raise ValueError("must look like old.example, older.example")
    return names


def read_gateway(value: str) -> str:
    """Where messages to phones are sent."""
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.fragment:
        raise ValueError("must look like https://sms.example/send")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError("must be https, but on this machine")
    return value


def read_issuer(value: str) -> str:
    """Who signs what people are: an address that is compared to the letter."""
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("must look like https://id.example")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError("must be https, but on this machine")
    return value


def read_mail_server(value: str) -> str:
    """Where mail is handed in, with who hands it in."""
    parts = urlsplit(value)
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname or parts.path not in ("", "/") or parts.query:
        raise ValueError("must look like smtp://user:password@mail.example:587")
    if parts.port == 0:
        raise ValueError("must have a port from 1 to 65535")
    return value


def read_mail_address(value: str) -> str:
    """Something that mail can come from."""
    if not MAIL_ADDRESS.fullmatch(value.strip()):
        raise ValueError("must be a mail address")
    return value.strip()


def read_log_level(value: str) -> LogLevel:
    """One of four."""
    for level in get_args(LogLevel):
        if value.strip().lower() == level:
            return level  # type: ignore[no-any-return]
    raise ValueError(f"must be one of {', '.join(get_args(LogLevel))}")


def read_networks(value: str) -> tuple[Network, ...]:
    """Addresses or networks, with commas between."""
    return tuple(ipaddress.ip_network(part.strip()) for part in value.split(",") if part.strip())


def read_time_of_day(value: str) -> time | None:
    """A time of day, or never."""
    plain = value.strip().lower()
    if plain == "off":
        return None
    try:
        return time.fromisoformat(plain).replace(tzinfo=None)
    except ValueError:
        raise ValueError("must look like 03:00, or be off") from None


def read_zone(value: str) -> ZoneInfo:
    """A name of the IANA time zone database."""
    try:
        return ZoneInfo(value)
    except (KeyError, OSError, ValueError):
        raise ValueError("must be a time zone's name, such as Asia/Shanghai") from None


def setting(
    variable: str, read: Callable[[str], Any], default: str | None, description: str, *, secret: bool = False
) -> Any:
    """A field that `variable` fills; `default` is read the same way. None: not set. A secret is never shown."""
    facts = {"variable": variable, "read": read, "default": default, "description": description}
    if default is None:
        return field(default=None, metadata=facts, repr=not secret)
    return field(default_factory=lambda: read(default), metadata=facts)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the operator decided. Attributes are read from the variables named beside them."""

    data: Path = setting(
        "TIMEBANK_DATA",
        read_directory,
        ".timebank",
        "Directory in which everything lives that is not in a database elsewhere: the embedded PostgreSQL, the keys. "
        "Relative to where the command is run.",
    )
    database_url: str | None = setting(
        "TIMEBANK_DATABASE_URL",
        read_database_url,
        None,
        "A PostgreSQL 15 or newer to serve from, as the role that serves. Without it the embedded one is started.",
    )
    migration_url: str | None = setting(
        "TIMEBANK_MIGRATION_URL",
        read_database_url,
        None,
        "The same database as the role that owns the tables; used for migrations only, never for serving.",
    )
    postgres_port: int | None = setting(
        "TIMEBANK_POSTGRES_PORT",
        read_port,
        None,
        "The embedded PostgreSQL also listens on this TCP port of 127.0.0.1. Without it, on a unix socket only.",
    )
    host: str = setting("TIMEBANK_HOST", read_text, "127.0.0.1", "Address to serve on.")
    port: int = setting("TIMEBANK_PORT", read_port, "8000", "TCP port to serve on.")
    public_url: str | None = setting(
        "TIMEBANK_PUBLIC_URL",
        read_public_url,
        None,
        "Where people's browsers find the bank, for links and QR codes and for the check of a write's origin. "
        "Without it, the address served on.",
    )
    older_hosts: tuple[str, ...] = setting(
        "TIMEBANK_OLDER_HOSTS",
        read_hosts,
        "",
        "Host names that printed codes of this bank may still carry, with commas between: those it had before.",
    )
    tls_certificate: Path | None = setting(
        "TIMEBANK_TLS_CERTIFICATE",
        read_file,
        None,
        "File with the certificate to serve https with, and those between it and its authority, in PEM. Without it "
        "plain http is served, for a proxy; `timebank run --lan` makes one of its own.",
    )
    tls_key: Path | None = setting(
        "TIMEBANK_TLS_KEY", read_file, None, "File with the key of that certificate, in PEM, without a passphrase."
    )
    book_id: int = setting(
        "TIMEBANK_BOOK",
        read_book,
        "1",
        "Number of the book that is served: one city's, in a database that may hold several.",
    )
    workers: int = setting("TIMEBANK_WORKERS", read_count, "1", "Processes that serve.")
    log_level: LogLevel = setting("TIMEBANK_LOG_LEVEL", read_log_level, "info", "debug, info, warning or error.")
    trusted_proxies: tuple[Network, ...] = setting(
        "TIMEBANK_TRUSTED_PROXIES",
        read_networks,
        "",
        "Addresses or networks, with commas between, whose X-Forwarded-For and X-Forwarded-Proto are believed. "
        "Everybody behind a proxy that is not listed shares that proxy's limits.",
    )
    time_zone: ZoneInfo = setting(
        "TIMEBANK_TIME_ZONE",
        read_zone,
        "Asia/Shanghai",
        "The community's time zone, for what people read and for where a day begins. The database keeps UTC.",
    )
    sms_url: str | None = setting(
        "TIMEBANK_SMS_URL",
        read_gateway,
        None,
        "Where messages to phones go, signed, as JSON by POST. Without it they are printed where the service runs.",
    )
    sms_key: str | None = setting(
        "TIMEBANK_SMS_KEY", read_text, None, "The key that signs them, as the gateway knows it.", secret=True
    )
    mail_url: str | None = setting(
        "TIMEBANK_MAIL_URL",
        read_mail_server,
        None,
        "The mail server, smtp://user:password@host:587 or smtps://…:465, for codes to members who gave an address.",
        secret=True,
    )
    mail_from: str | None = setting("TIMEBANK_MAIL_FROM", read_mail_address, None, "The address that mail comes from.")
    phone_months: int = setting(
        "TIMEBANK_PHONE_MONTHS",
        read_count,
        "12",
        "For how many months of 30 days a scan remembers which phone it came from, and that phone's clock.",
    )
    backup_at: time | None = setting(
        "TIMEBANK_BACKUP_AT",
        read_time_of_day,
        "03:00",
        "When the bank copies its database each night, where the community lives; off for never. Needs the role that "
        "owns the tables, which the embedded PostgreSQL has.",
    )
    backup_keep: int = setting(
        "TIMEBANK_BACKUP_KEEP",
        read_count,
        "14",
        "How many of these copies are kept, in the directory `backups` of the data directory.",
    )
    oidc_issuer: str | None = setting(
        "TIMEBANK_OIDC_ISSUER",
        read_issuer,
        None,
        "An issuer of OpenID Connect by which people may sign in, to the letter as it calls itself.",
    )
    oidc_client_id: str | None = setting("TIMEBANK_OIDC_CLIENT_ID", read_text, None, "What the issuer calls this bank.")
    oidc_client_secret: str | None = setting(
        "TIMEBANK_OIDC_CLIENT_SECRET", read_text, None, "What the issuer knows this bank by.", secret=True
    )
    oidc_name_zh: str = setting(
        "TIMEBANK_OIDC_NAME_ZH", read_text, "统一身份认证", "What the button to sign in there is called in Chinese."
    )
    oidc_name_en: str = setting("TIMEBANK_OIDC_NAME_EN", read_text, "the city's account", "The same in English.")
    wechat_app_id: str | None = setting(
        "TIMEBANK_WECHAT_APP_ID", read_text, None, "The AppID of a WeChat official account by which people may sign in."
    )
    wechat_app_secret: str | None = setting(
        "TIMEBANK_WECHAT_APP_SECRET", read_text, None, "Its AppSecret.", secret=True
    )
    wechat_page_url: str = setting(
        "TIMEBANK_WECHAT_PAGE_URL",
        read_gateway,
        "https://open.weixin.qq.com/connect/oauth2/authorize",
        "Where WeChat asks people.",
    )
    wechat_api_url: str = setting(
        "TIMEBANK_WECHAT_API_URL", read_gateway, "https://api.weixin.qq.com", "Where WeChat answers the bank."
    )
    identity_url: str | None = setting(
        "TIMEBANK_IDENTITY_URL",
        read_gateway,
        None,
        "A register that is asked, signed, as JSON by POST, whether a name and a document's number go together. "
        "Without it a manager's eyes are enough.",
    )
    identity_key: str | None = setting(
        "TIMEBANK_IDENTITY_KEY", read_text, None, "The key that signs what it is asked.", secret=True
    )
    require_passkey: bool = setting(
        "TIMEBANK_REQUIRE_PASSKEY",
        read_switch,
        "0",
        "1 to open what managers, clerks, administrators and auditors work with to sessions alone that a passkey "
        "began. Needs an address with a name. Without it they are asked to add a passkey.",
    )
    webhooks_private: bool = setting(
        "TIMEBANK_WEBHOOKS_PRIVATE",
        read_switch,
        "0",
        "1 to let webhooks go to private networks and to this machine, over https. Without it only to the internet.",
    )
    demo: bool = setting(
        "TIMEBANK_DEMO",
        read_switch,
        "0",
        "1 for a bank to try out: the sign-ins are shown, sent codes are shown, the clock can be moved. "
        "`timebank run --demo` sets it. Never for real people.",
    )

    demo_exposed: bool = setting(
        "TIMEBANK_DEMO_EXPOSED",
        read_switch,
        "0",
        "1 to let a demo be served where other machines reach it, passwords shown and all.",
    )

    @property
    def serves_loopback_only(self) -> bool:
        """Whether nobody but this machine can reach the service."""
        return is_loopback(self.host)

    @property
    def address(self) -> str:
        """What to type into a browser."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.public_url or f"http{'s' if self.tls_certificate else ''}://{host}:{self.port}"


@lru_cache(maxsize=1024)
def is_loopback(host: str) -> bool:
    """Whether `host` is an address that only this machine reaches."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


# Which setting means nothing without which other one.
NEEDED = {
    "migration_url": "database_url",
    "sms_url": "sms_key",
    "mail_url": "mail_from",
    "oidc_issuer": "oidc_client_id",
    "oidc_client_id": "oidc_client_secret",
    "wechat_app_id": "wechat_app_secret",
    "identity_url": "identity_key",
}


def from_environment(environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings in `environment`; an empty variable counts as not set. Raises Refusal naming a wrong one."""
    values: dict[str, Any] = {}
    for each in fields(Settings):
        variable = each.metadata["variable"]
        if not (value := environment.get(variable, "")):
            continue
        try:
            values[each.name] = each.metadata["read"](value)
        except ValueError as error:
            # The value itself may be a password; it is not repeated.
            raise Refusal("bad_setting", f"{variable}: {error}", variable=variable) from None
    settings = Settings(**values)
    if (settings.tls_certificate is None) != (settings.tls_key is None):
        alone = "TIMEBANK_TLS_CERTIFICATE" if settings.tls_certificate else "TIMEBANK_TLS_KEY"
        raise Refusal("bad_setting", f"{alone}: a certificate needs its key, and a key its certificate", variable=alone)
    for name, needed in NEEDED.items():
        if getattr(settings, name) and not getattr(settings, needed):
            mine, other = (Settings.__dataclass_fields__[each].metadata["variable"] for each in (name, needed))
            raise Refusal("bad_setting", f"{mine}: needs {other} beside it", variable=mine)
    return settings


def to_environment(settings: Settings) -> dict[str, str]:
    """The variables that make `from_environment` answer `settings` again, for child processes."""
    written: dict[str, str] = {}
    for each in fields(Settings):
        value = getattr(settings, each.name)
        if value == default_of(each):
            continue
        if value is None:
            # Never, where something is usual.
            value = "off"
        if isinstance(value, tuple):
            value = ",".join(map(str, value))
        written[each.metadata["variable"]] = str(int(value) if isinstance(value, bool) else value)
    return written


def default_of(each: "Field[Any]") -> Any:
    """The value of a setting that nobody set."""
    return each.default if each.default_factory is MISSING else each.default_factory()
