"""A bank on a local network: its certificates, the page by which phones come to trust them, settings from a file."""

import os
import re
import ssl
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography import x509

from api import network
from api.arrival import is_served
from api.cli import main
from tests.api.conftest import Build
from tests.api.people import Town
from tests.api.test_routes import code_of
from timebank import certificates, doctor, settings_file
from timebank.certificates import Pair
from timebank.refusal import Refusal
from timebank.settings import Settings

NOW = datetime(2026, 12, 1, tzinfo=UTC)
NAMES = ["192.168.1.5", "bank.local", "localhost", "127.0.0.1", "::1"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A directory with an authority and a certificate."""
    assert certificates.ensure(tmp_path, NAMES, NOW)
    return tmp_path


def believed(data: Path, host: str, *, also: bytes = b"") -> bool:
    """Whether a client that trusts the authority, and nobody else, takes the certificate for `host`: by a whole
    handshake in memory, with the machine's own TLS library."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own = certificates.own_of(data)
    server.load_cert_chain(own.certificate, own.key)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.load_verify_locations(certificates.authority_of(data).certificate)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(to_client, to_server, server_hostname=host)
    theirs = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(6):
        for side in (ours, theirs):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLCertVerificationError:
                return False
    return ours.version() is not None


def test_whoever_trusts_the_authority_trusts_this_machine_and_nothing_else(data: Path) -> None:
    # Dates are judged by the clock of now.
    certificates.ensure(data, NAMES, datetime.now(UTC), anew=True)
    for name in NAMES:
        assert believed(data, name), name
    assert not believed(data, "192.168.1.6")
    # With the key of the authority in hand, and nobody to refuse it: still no site of the internet.
    for name in ("bank.example", "8.8.8.8"):
        certificates.sign(data, [name], datetime.now(UTC))
        assert not believed(data, name), name
    for pair in (certificates.own_of(data), certificates.authority_of(data)):
        assert pair.key.stat().st_mode & 0o777 == 0o600
    assert certificates.own_of(data).key.parent.stat().st_mode & 0o777 == 0o700


def test_a_certificate_lasts_until_it_has_to_change(data: Path) -> None:
    authority = certificates.authority_of(data).certificate.read_bytes()
    first = certificates.read(certificates.own_of(data).certificate)
    assert first.names == frozenset(NAMES)
    assert timedelta(days=390) < first.ends_at - NOW < timedelta(days=398)
    assert not certificates.ensure(data, NAMES, NOW + timedelta(days=200))
    assert certificates.ensure(data, NAMES, NOW + timedelta(days=300))
    assert certificates.ensure(data, [*NAMES, "10.0.0.2"], NOW + timedelta(days=300))
    assert certificates.ensure(data, [*NAMES, "10.0.0.2"], NOW + timedelta(days=300), anew=True)
    assert certificates.read(certificates.own_of(data).certificate).covers("10.0.0.2")
    # Nobody has to walk from phone to phone again.
    assert certificates.authority_of(data).certificate.read_bytes() == authority
    assert re.fullmatch(r"([0-9A-F]{2}:){31}[0-9A-F]{2}", first.fingerprint)
    assert certificates.read(certificates.authority_of(data).certificate).names == frozenset()


def close(path: Path) -> None:
    path.chmod(0o644)


UNFIT: list[tuple[Callable[[Pair], object], str]] = [
    (lambda pair: pair.certificate.write_text("none"), "certificate_unreadable"),
    (lambda pair: pair.certificate.unlink(), "certificate_unreadable"),
    (lambda pair: pair.key.write_text("none"), "certificate_unreadable"),
    (lambda pair: pair.key.unlink(), "certificate_unreadable"),
    (lambda pair: pair.key.chmod(0o644), "certificate_key_open"),
    (lambda pair: pair.key.write_bytes(pair.key.with_name("authority.key").read_bytes()), "certificate_key_other"),
]


@pytest.mark.parametrize(("damage", "code"), UNFIT)
def test_what_cannot_be_served_with_is_refused(data: Path, damage: Callable[[Pair], object], code: str) -> None:
    pair = certificates.own_of(data)
    settings = Settings(data=data, tls_certificate=pair.certificate, tls_key=pair.key, host="127.0.0.1")
    (found,) = doctor.check_certificate(settings, NOW)
    assert (found.state, found.code) == ("ok", "certificate_ok")
    damage(pair)
    with pytest.raises(Refusal) as refused:
        certificates.refuse_unfit(pair, NOW)
    assert refused.value.code == code
    (found,) = doctor.check_certificate(settings, NOW)
    assert (found.state, found.code) == ("bad", code)


def test_the_doctor_looks_at_the_certificate(data: Path) -> None:
    pair = certificates.own_of(data)
    settings = Settings(data=data, tls_certificate=pair.certificate, tls_key=pair.key)

    def look(settings: Settings, **later: float) -> tuple[str, str]:
        (found,) = doctor.check_certificate(settings, NOW + timedelta(**later))
        return found.state, found.code

    assert look(settings, days=390) == ("warn", "certificate_ends_soon")
    assert look(settings, days=400) == ("bad", "certificate_ended")
    assert look(replace(settings, public_url="https://bank.example")) == ("bad", "certificate_other_name")
    assert doctor.check_certificate(Settings(), NOW) == []


def test_a_broken_authority_is_said_to_be(data: Path) -> None:
    certificates.authority_of(data).key.write_text("none")
    with pytest.raises(Refusal, match="certificate_unreadable"):
        certificates.ensure(data, ["10.0.0.9"], NOW)


# `--lan`.


def test_on_a_local_network_everything_follows_from_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificates, "names_of_machine", lambda: NAMES)
    # Who only looks makes nothing.
    assert network.seen_on_local_network(Settings(data=tmp_path)).tls_certificate is None
    assert list(tmp_path.iterdir()) == []
    served = network.on_local_network(Settings(data=tmp_path), NOW)
    assert network.seen_on_local_network(Settings(data=tmp_path)) == served
    assert (served.host, served.address) == (network.EVERYWHERE, "https://192.168.1.5:8000")
    assert network.has_own_certificate(served)
    assert network.other_addresses(served) == []
    named = network.on_local_network(Settings(data=tmp_path, public_url="https://time.lan"), NOW)
    assert named.address == "https://time.lan"
    assert network.other_addresses(named) == ["https://192.168.1.5:8000"]
    assert certificates.read(certificates.own_of(tmp_path).certificate).names == {*NAMES, "time.lan"}
    with pytest.raises(Refusal, match="certificate_name_public"):
        network.on_local_network(Settings(data=tmp_path, public_url="https://bank.example"), NOW)
    # One that was given is served with as it is.
    own = certificates.own_of(tmp_path)
    given = Settings(data=tmp_path / "other", tls_certificate=own.certificate, tls_key=own.key, host="192.168.1.5")
    served = network.on_local_network(given, NOW)
    assert (served.host, served.tls_key) == ("192.168.1.5", own.key)
    assert not (tmp_path / "other").exists()
    monkeypatch.setattr(certificates, "names_of_machine", lambda: ["localhost", "127.0.0.1"])
    with pytest.raises(Refusal, match="network_missing"):
        network.on_local_network(given, NOW)


def test_this_machine_is_known_by_its_private_addresses() -> None:
    names = certificates.names_of_machine()
    assert names[-3:] == ["localhost", "127.0.0.1", "::1"]
    assert all(map(certificates.is_local, names))
    assert not any(map(certificates.is_local, ("bank.example", "8.8.8.8", "2001:db8::1", "local", "evil-localhost")))


async def test_a_phone_comes_to_trust_it(build: Build, data: Path) -> None:
    own = certificates.own_of(data)
    async with build(data=data, tls_certificate=own.certificate, tls_key=own.key) as town:
        person = town.stranger()
        page = await person.get("/trust", headers={"Accept-Language": "en"})
        fingerprint = certificates.read(certificates.authority_of(data).certificate).fingerprint
        assert re.findall(r"<span>([0-9A-F]{2})</span>", page.text) == fingerprint.split(":")
        file = await person.get("/trust/authority.crt")
        assert file.headers["content-type"] == "application/x-x509-ca-cert"
        constraints = x509.load_der_x509_certificate(file.content).extensions
        assert constraints.get_extension_for_class(x509.NameConstraints).critical


async def test_where_a_public_authority_vouches_there_is_nothing_to_trust(town: Town) -> None:
    for path in ("/trust", "/trust/authority.crt"):
        answer = await town.stranger().get(path)
        assert code_of(answer) == "not_found"


def test_a_bank_found_by_its_address_answers_by_every_address() -> None:
    by_address, by_name = Settings(public_url="https://192.168.1.5:8000"), Settings(public_url="https://bank.example")
    assert [is_served(host, by_address) for host in ("192.168.1.5", "10.0.0.2", "localhost")] == [True] * 3
    assert not any(is_served(host, by_address) for host in ("evil.example", "bank.local", ""))
    assert not is_served("192.168.1.5", by_name)


# The commands.


def run(data: Path, *arguments: str, **more: str) -> Result:
    return CliRunner().invoke(main, list(arguments), env={"TIMEBANK_DATA": str(data), "COLUMNS": "200", **more})


def test_the_certificate_is_shown_and_renewed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificates, "names_of_machine", lambda: NAMES)
    assert "certificate_unreadable" in run(tmp_path, "certificate").output
    first = run(tmp_path, "certificate", "--renew")
    assert first.exit_code == 0, first.output
    again = run(tmp_path, "certificate")
    assert again.output == first.output
    assert "192.168.1.5" in again.output
    renewed = run(tmp_path, "certificate", "--renew")
    pairs = [re.findall(r"SHA-256 (\S+)", result.output) for result in (again, renewed)]
    assert pairs[0][0] != pairs[1][0]
    assert pairs[0][1] == pairs[1][1]


def test_settings_come_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "settings"
    file.write_text(
        f"# the bank\n\nTIMEBANK_DATA = '{tmp_path}/bank'\nTIMEBANK_PORT=8443\nTIMEBANK_BOOK=\"7\"\n",
        encoding="utf-8-sig",
    )
    assert settings_file.read(file) == {
        "TIMEBANK_DATA": f"{tmp_path}/bank",
        "TIMEBANK_PORT": "8443",
        "TIMEBANK_BOOK": "7",
    }
    for name in ("TIMEBANK_PORT", "TIMEBANK_DATA", "TIMEBANK_BOOK"):
        # Put back what the command leaves in this process.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("TIMEBANK_PORT", "443")
    result = CliRunner().invoke(
        main, ["--settings", str(file), "unit", "--account", "bank", "--lan", "--file", str(file)]
    )
    assert result.exit_code == 0, result.output
    assert f"TIMEBANK_DATA={tmp_path}/bank" in result.output
    # What the environment says itself goes before the file.
    assert "CAP_NET_BIND_SERVICE" in result.output
    assert f"--settings {file} run --lan" in result.output


@pytest.mark.parametrize("content", [b"TIMEBANK_PROT=1", b"PATH=/", b"hunter2", b"\xff\xfe"])
def test_a_file_with_what_is_no_setting_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "settings").write_bytes(b"# first\n" + content)
    result = run(tmp_path, "--settings", str(tmp_path / "settings"), "unit")
    assert result.exit_code == 1
    assert "settings_file_wrong" in result.output
    assert "hunter2" not in result.output


def test_the_unit_is_one_that_systemd_takes(tmp_path: Path) -> None:
    assert "Make an account" in run(tmp_path, "unit", "--account", "root").output
    result = run(tmp_path, "unit", "--account", "daemon", TIMEBANK_DATA=str(tmp_path / "100% bank"))
    assert result.exit_code == 0, result.output
    unit = tmp_path / "timebank.service"
    unit.write_text(result.output)
    if not os.path.exists("/usr/bin/systemd-analyze"):
        pytest.skip("there is no systemd here to ask")
    asked = subprocess.run(
        ["systemd-analyze", "verify", "--recursive-errors=no", str(unit)], capture_output=True, text=True, check=False
    )
    assert "timebank.service" not in asked.stderr, asked.stderr
