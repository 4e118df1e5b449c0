"""`timebank run --lan`: served to everybody on the local network, over https."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from urllib.parse import urlsplit

from timebank import certificates
from timebank.certificates import Pair
from timebank.postgres_files import make_data
from timebank.refusal import Refusal
from timebank.settings import Settings

EVERYWHERE = ".".join("0000")
# Where a phone comes to trust the bank's own authority.
TRUST_PATH = "/trust"


def on_local_network(settings: Settings, now: datetime) -> Settings:
    """The settings by which everybody on the network is served: https, on every address unless one is set, found at the
    address towards the gateway unless another is set.

    The certificate that is set is used; without one, the bank's own is made or renewed. Refusal `network_missing`,
    `certificate_name_public`, and those of `timebank.certificates`.
    """
    address = reachable(certificates.names_of_machine())
    if settings.tls_certificate is None:
        settings = with_own_certificate(settings, now)
    return addressed(settings, address)


def seen_on_local_network(settings: Settings) -> Settings:
    """The same settings to look at: no certificate is made. Refusal `network_missing`."""
    address = reachable(certificates.names_of_machine())
    own = certificates.own_of(settings.data)
    if settings.tls_certificate is None and own.certificate.is_file():
        settings = replace(settings, tls_certificate=own.certificate, tls_key=own.key)
    return addressed(settings, address)


def addressed(settings: Settings, address: str) -> Settings:
    """The settings with an address that others reach, where none is set."""
    if settings.serves_loopback_only:
        settings = replace(settings, host="::" if ":" in address else EVERYWHERE)
    if settings.public_url is None:
        settings = replace(settings, public_url=url_of(address, settings.port))
    return settings


def with_own_certificate(settings: Settings, now: datetime, *, anew: bool = False) -> Settings:
    """The settings with the bank's own certificate, made where it is missing or ends soon, or `anew`."""
    names = certificates.names_of_machine()
    if settings.public_url and (host := urlsplit(settings.public_url).hostname):
        names = [host, *(name for name in names if name != host)]
    refuse_public(names)
    make_data(settings.data)
    certificates.ensure(settings.data, names, now, anew=anew)
    pair = certificates.own_of(settings.data)
    return replace(settings, tls_certificate=pair.certificate, tls_key=pair.key)


def reachable(names: Iterable[str]) -> str:
    """The first address by which others reach this machine. Refusal `network_missing`."""
    for name in names:
        address = certificates.parsed(name)
        if address is not None and not address.is_loopback:
            return name
    raise Refusal("network_missing", "This machine has no address on a local network: connect it, then start again")


def refuse_public(names: Iterable[str]) -> None:
    """Refusal `certificate_name_public` for a name that our own authority does not sign."""
    for name in names:
        if not certificates.is_local(name):
            raise Refusal(
                "certificate_name_public",
                f"{name} is no name of a local network, and only a public authority gives a certificate for it: set "
                "TIMEBANK_TLS_CERTIFICATE and TIMEBANK_TLS_KEY",
                name=name,
            )


def pair_of(settings: Settings) -> Pair | None:
    """The certificate that is served with, and its key."""
    if settings.tls_certificate is None or settings.tls_key is None:
        return None
    return Pair(settings.tls_certificate, settings.tls_key)


def has_own_certificate(settings: Settings) -> bool:
    """Whether the bank is served with a certificate that only its own authority vouches for."""
    return settings.tls_certificate == certificates.own_of(settings.data).certificate


def other_addresses(settings: Settings) -> list[str]:
    """By what else than the public address this machine is reached."""
    assert settings.tls_certificate is not None  # noqa: S101  asked of a bank that has one
    hosts = sorted(certificates.read(settings.tls_certificate).names)
    found = [name for name in hosts if (address := certificates.parsed(name)) and not address.is_loopback]
    return [url for name in found if (url := url_of(name, settings.port)) != settings.address]


def url_of(host: str, port: int) -> str:
    """The address to type."""
    return f"https://{f'[{host}]' if ':' in host else host}:{port}"
