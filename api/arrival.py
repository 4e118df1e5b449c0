"""Where a request comes from and by which way: worked out once, before anything else looks at it."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from litestar.types import Scope

from timebank.setting_values import Network, is_loopback
from timebank.settings import Settings

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request's way to us."""

    address: str
    """The visitor's network address; a proxy's where the proxy is not trusted."""
    secure: bool
    """Whether it came over https."""
    loopback: bool
    """Whether it came from this machine to this machine: both the peer and the host name say so."""
    origin: str
    """The scheme and host that a browser names when this page writes to this bank."""
    host: str
    """The host that was asked for, without its port, lower case."""

    @property
    def private(self) -> bool:
        """Whether nobody on the way can read along: only then are there sessions."""
        return self.secure or self.loopback


def arrival(scope: Scope, headers: dict[bytes, bytes], settings: Settings) -> Arrival:
    """How a request came. `headers` are the scope's, by lower-case name; of several, the last."""
    client = scope["client"]
    peer = client[0] if client else ""
    scheme, address = scope["scheme"], peer
    if is_trusted(peer, settings.trusted_proxies):
        scheme = last(headers.get(b"x-forwarded-proto")) or scheme
        address = forwarded_for(headers.get(b"x-forwarded-for", b""), settings.trusted_proxies) or peer
    netloc = headers.get(b"host", b"").decode("latin-1").lower()
    host = host_name(netloc)
    return Arrival(
        address=address,
        secure=scheme == "https",
        loopback=is_loopback(host) and is_loopback(peer) and address == peer,
        origin=f"{'https' if scheme == 'https' else 'http'}://{netloc}",
        host=host,
    )


def host_name(netloc: str) -> str:
    """The host of `host:port`; "" when it is none."""
    try:
        return urlsplit(f"//{netloc}").hostname or ""
    except ValueError:
        return ""


def is_served(host: str, settings: Settings) -> bool:
    """Whether this bank answers to a host name.

    A page of another site can let its own name point here, and its browser would take us for that site. So only
    our public name counts, names of this machine, and bare addresses, which no site can borrow.
    """
    if is_loopback(host):
        return True
    if settings.public_url is not None:
        known = urlsplit(settings.public_url).hostname or ""
        # A machine on a local network may be reached by several addresses.
        return host == known or (parsed(known) is not None and parsed(host) is not None)
    return host == settings.host.lower() or parsed(host) is not None


def is_trusted(address: str, proxies: Sequence[Network]) -> bool:
    """Whether what this peer forwards is believed."""
    if not proxies:
        return False
    found = parsed(address)
    return found is not None and any(found.version == proxy.version and found in proxy for proxy in proxies)


def forwarded_for(header: bytes, proxies: Sequence[Network]) -> str:
    """The nearest address in X-Forwarded-For that is no proxy of ours: what is before it, anybody can write."""
    for part in reversed(header.decode("latin-1").split(",")):
        if not is_trusted(part.strip(), proxies):
            return part.strip()
    return ""


def last(header: bytes | None) -> str:
    """The last value of a list, which the nearest proxy wrote."""
    return (header or b"").decode("latin-1").split(",")[-1].strip().lower()


def parsed(address: str) -> Address | None:
    """An IP address, or None."""
    try:
        return ipaddress.ip_address(address)
    except ValueError:
        return None
