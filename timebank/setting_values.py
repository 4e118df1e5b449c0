"""What the text of a setting means: each reader takes what an operator wrote; a ValueError says how it must look."""

import ipaddress
import re
from datetime import time
from functools import lru_cache
from pathlib import Path
from typing import Literal, get_args
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

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


@lru_cache(maxsize=1024)
def is_loopback(host: str) -> bool:
    """Whether `host` is an address that only this machine reaches."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
