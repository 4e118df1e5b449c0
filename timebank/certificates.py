"""Certificates for a bank on a local network, where no public authority gives any.

The bank makes an authority of its own, once, and with it certificates for this machine's names and addresses. A phone
that trusts the authority trusts the bank. What the authority signs is bound, by a name constraint (RFC 5280, 4.2.1.10),
to private addresses and local names: whoever stole its key could not pretend to be any other site of the internet.
"""

import contextlib
import ipaddress
import os
import secrets
import socket
import stat
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from timebank.refusal import Refusal

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

AUTHORITY_LIFE = timedelta(days=3650)
# Phones refuse certificates that are good for longer than 825 days, some those of more than 398.
LIFE = timedelta(days=397)
# Made anew at the first start after this much is left.
RENEW_BEFORE = timedelta(days=120)
# Clocks of phones that go after ours.
BACKDATED = timedelta(days=1)
PRIVATE = tuple(
    ipaddress.ip_network(network)
    for network in (
        "127.0.0.0/8",
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "169.254.0.0/16",
        "100.64.0.0/10",
        "::1/128",
        "fc00::/7",
        "fe80::/10",
    )
)
# Endings that name no site of the internet.
LOCAL_ENDINGS = ("local", "lan", "home.arpa", "internal")
SIOCGIFADDR = 0x8915
USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, as files."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Facts:
    """What a certificate says."""

    names: frozenset[str]
    """Host names, lower case, and addresses."""
    ends_at: datetime
    fingerprint: str
    """SHA-256, in pairs of hexadecimal digits."""

    def covers(self, host: str) -> bool:
        """Whether browsers take it for `host`."""
        wanted = host.lower().strip("[]")
        return wanted in self.names or f"*.{wanted.partition('.')[2]}" in self.names


def authority_of(data: Path) -> Pair:
    """Where the authority of this data directory is."""
    return Pair(data / "tls" / "authority.crt", data / "tls" / "authority.key")


def own_of(data: Path) -> Pair:
    """Where the certificate that the authority made for this machine is."""
    return Pair(data / "tls" / "server.crt", data / "tls" / "server.key")


def ensure(data: Path, names: Sequence[str], now: datetime, *, anew: bool = False) -> bool:
    """Have a certificate for `names` in the data directory; answers whether one was made.

    One is made where there is none, where it ends soon, where a name is missing, and when asked for `anew`.
    The authority is made once and lasts. Refusal `certificate_unreadable` when it is there and broken.
    """
    pair, wanted = own_of(data), frozenset(names)
    if not anew and pair.certificate.exists() and pair.key.exists():
        facts = read(pair.certificate)
        if facts.names == wanted and facts.ends_at - now > RENEW_BEFORE:
            return False
    pair.certificate.parent.mkdir(mode=0o700, exist_ok=True)
    if not authority_of(data).certificate.exists():
        make_authority(data, now)
    sign(data, sorted(wanted), now)
    return True


def make_authority(data: Path, now: datetime) -> None:
    """A new authority, bound to private addresses and local names."""
    key = ec.generate_private_key(ec.SECP256R1())
    # Two authorities of one name would be taken for each other.
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Timebank {secrets.token_hex(3)}")])
    local = [x509.DNSName(ending) for ending in ("localhost", *LOCAL_ENDINGS)]
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage(key_cert_sign=True, crl_sign=True), critical=True)
        .add_extension(
            x509.NameConstraints([*local, *(x509.IPAddress(network) for network in PRIVATE)], None), critical=True
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    write(authority_of(data), builder.sign(key, hashes.SHA256()), key)


def sign(data: Path, names: Sequence[str], now: datetime) -> None:
    """A new certificate for `names`, with a new key."""
    authority = authority_of(data)
    issuer = load(authority.certificate)
    try:
        issuing_key = serialization.load_pem_private_key(authority.key.read_bytes(), None)
    except (OSError, ValueError, TypeError):
        raise unreadable(authority.key) from None
    if not isinstance(issuing_key, ec.EllipticCurvePrivateKey):
        raise unreadable(authority.key)
    key = ec.generate_private_key(ec.SECP256R1())
    subjects = [x509.IPAddress(found) if (found := parsed(name)) else x509.DNSName(name) for name in names]
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])]))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(min(now + LIFE, issuer.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(subjects), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuing_key.public_key()),
            critical=False,
        )
    )
    write(own_of(data), builder.sign(issuing_key, hashes.SHA256()), key)


def usage(**allowed: bool) -> x509.KeyUsage:
    """What a key may be used for; nothing but what is named."""
    return x509.KeyUsage(**dict.fromkeys(USAGES, False) | allowed)


def write(pair: Pair, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    """Put both in place: the key first, readable by this account alone."""
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    for path, content, mode in (
        (pair.key, secret, 0o600),
        (pair.certificate, certificate.public_bytes(serialization.Encoding.PEM), 0o644),
    ):
        beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)


def load(path: Path) -> x509.Certificate:
    """The first certificate of a file. Refusal `certificate_unreadable`."""
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())[0]
    except (OSError, ValueError):
        raise unreadable(path) from None


def unreadable(path: Path) -> Refusal:
    """What is said of a file that is no certificate or key."""
    return Refusal(
        "certificate_unreadable", f"{path} is not there, or holds no certificate or key in PEM", path=str(path)
    )


def read(path: Path) -> Facts:
    """What the certificate in a file says. Refusal `certificate_unreadable`."""
    found = load(path)
    names: set[str] = set()
    with contextlib.suppress(x509.ExtensionNotFound):
        subjects = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names |= {name.lower() for name in subjects.get_values_for_type(x509.DNSName)}
        names |= {str(address) for address in subjects.get_values_for_type(x509.IPAddress)}
    digest = found.fingerprint(hashes.SHA256()).hex().upper()
    pairs = ":".join(digest[place : place + 2] for place in range(0, len(digest), 2))
    return Facts(frozenset(names), found.not_valid_after_utc, pairs)


def as_phones_read(path: Path) -> bytes:
    """The certificate of a file in DER. Refusal `certificate_unreadable`."""
    return load(path).public_bytes(serialization.Encoding.DER)


def refuse_unfit(pair: Pair, now: datetime) -> Facts:
    """What the certificate says, if it can be served with.

    Refusal `certificate_unreadable`, `certificate_key_other` (the key belongs to another one), `certificate_key_open`
    (everybody on this machine may read the key), `certificate_ended`.
    """
    certificate, facts = load(pair.certificate), read(pair.certificate)
    try:
        key = serialization.load_pem_private_key(pair.key.read_bytes(), None)
        mode = pair.key.stat().st_mode
    except (OSError, ValueError, TypeError):
        raise unreadable(pair.key) from None
    if key.public_key() != certificate.public_key():
        raise Refusal("certificate_key_other", f"{pair.key} is not the key of {pair.certificate}", path=str(pair.key))
    if stat.S_IMODE(mode) & 0o007:
        raise Refusal(
            "certificate_key_open",
            f"Every account of this machine may read {pair.key}. Run: chmod o= {pair.key}",
            path=str(pair.key),
        )
    if facts.ends_at <= now:
        day = facts.ends_at.date().isoformat()
        raise Refusal(
            "certificate_ended",
            f"The certificate {pair.certificate} ended on {day}. Renew it",
            path=str(pair.certificate),
            day=day,
        )
    return facts


def names_of_machine() -> list[str]:
    """By what phones on the same network reach this machine: its private addresses, the one towards the gateway first,
    then its names."""
    found = dict.fromkeys(map(str, filter(is_private, machine_addresses())))
    # Every phone speaks the old kind of address.
    return [*sorted(found, key=lambda address: ":" in address), *machine_names(), "localhost", "127.0.0.1", "::1"]


def machine_names() -> list[str]:
    """The machine's host name, as neighbours on the network find it."""
    name = socket.gethostname().lower().partition(".")[0]
    return [f"{name}.local"] if name and name != "localhost" and name.isascii() else []


def machine_addresses() -> Iterable[Address]:
    """Addresses of this machine that are not its loopback's. Nothing is sent."""
    for family, somewhere in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((somewhere, 9))
            yield ipaddress.ip_address(probe.getsockname()[0].partition("%")[0])
    yield from interface_addresses()


def interface_addresses() -> Iterable[Address]:
    """The IPv4 address of each interface, as Linux tells it; elsewhere none."""
    try:
        import fcntl

        interfaces = socket.if_nameindex()
    except (ImportError, OSError):
        return
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in interfaces:
            with contextlib.suppress(OSError):
                answer = fcntl.ioctl(probe, SIOCGIFADDR, struct.pack("256s", name.encode()[:15]))
                yield ipaddress.ip_address(answer[20:24])


def is_private(address: Address) -> bool:
    """Whether an address is one of a local network, and not this machine's to itself."""
    return not address.is_loopback and any(
        address.version == network.version and address in network for network in PRIVATE
    )


def is_local(name: str) -> bool:
    """Whether the authority may sign a certificate for this name or address."""
    address = parsed(name)
    if address is not None:
        return address.is_loopback or is_private(address)
    return name == "localhost" or name.endswith(tuple(f".{ending}" for ending in LOCAL_ENDINGS))


def parsed(name: str) -> Address | None:
    """An address, or None for a host name."""
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None
