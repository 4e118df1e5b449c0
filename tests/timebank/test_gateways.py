"""Messages leave signed and encrypted, are tried again when that may help, and never twice as two."""

import asyncio
import datetime
import hmac
import ipaddress
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from timebank.gateways import PAUSES_SECONDS, Both, HttpSender, MailSender, NotSent, chosen, signature
from timebank.settings import Settings
from timebank.sms import LocalSender

KEY, PHONE, CODE = "gateway key", "+8613900000001", "123456"
NOW = 1_772_413_200


@asynccontextmanager
async def served(
    talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[int]:
    """A server on a port of the loopback address."""

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(one, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@dataclass
class Gateway:
    """An SMS gateway that checks signatures, and does what it is told to do with each try in turn."""

    will: list[int | str]
    key: str = KEY
    tries: list[dict[str, str]] = field(default_factory=list)
    taken: dict[str, dict[str, str]] = field(default_factory=dict)

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
        body = await reader.readexactly(int(headers["content-length"]))
        self.tries.append(headers)
        what = self.will.pop(0) if self.will else 200
        if what == "hang":
            await reader.read()
            return
        if what == "drop":
            return
        right = signature(self.key, headers["x-timebank-timestamp"], body)
        if not hmac.compare_digest(right, headers["x-timebank-signature"]):
            what = 401
        if what == 200 or what == "lose":
            self.taken[headers["idempotency-key"]] = json.loads(body)
        if what != "lose":
            writer.write(f"HTTP/1.1 {what} x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
            await writer.drain()


async def sent(gateway: Gateway, port: int | None = None, **more: object) -> list[float]:
    """Send one code; answers the pauses between tries."""
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    async with served(gateway.talk) as open_port:
        sender = HttpSender(
            f"http://127.0.0.1:{port or open_port}/sms", KEY, answer_seconds=0.5, pause=pause, clock=lambda: NOW, **more
        )
        try:
            await sender.send(PHONE, CODE, "zh-CN")
        finally:
            gateway.tries.append({"pauses": str(pauses)})
    return pauses


async def test_a_message_is_signed_and_taken_once() -> None:
    gateway = Gateway([])
    assert await sent(gateway) == []
    ((id, message),) = gateway.taken.items()
    assert message == {
        "id": id,
        "phone": PHONE,
        "code": CODE,
        "locale": "zh-CN",
        "text": "【时间银行】验证码 123456，5 分钟内有效。请勿告诉他人。",
    }
    assert gateway.tries[0]["x-timebank-timestamp"] == str(NOW)


@pytest.mark.parametrize("faults", [[500], ["drop", 503], ["hang"], ["lose"], [429, "hang", "drop"]])
async def test_what_may_pass_is_tried_again_as_the_same_message(faults: list[int | str]) -> None:
    gateway = Gateway([*faults])
    assert await sent(gateway) == list(PAUSES_SECONDS[: len(faults)])
    assert len(gateway.taken) == 1
    assert len({headers["idempotency-key"] for headers in gateway.tries[:-1]}) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 302])
async def test_what_does_not_pass_is_not_tried_again(status: int) -> None:
    gateway = Gateway([status])
    with pytest.raises(NotSent, match=f"status {status}"):
        await sent(gateway)
    assert len(gateway.tries) == 2
    assert gateway.taken == {}


async def test_a_gateway_with_another_key_refuses() -> None:
    with pytest.raises(NotSent, match="status 401"):
        await sent(Gateway([], key="another key"))


async def test_a_gateway_that_stays_away_is_given_up() -> None:
    gateway = Gateway([500] * 9)
    with pytest.raises(NotSent, match="status 500") as caught:
        await sent(gateway)
    assert gateway.tries[-1]["pauses"] == str(list(PAUSES_SECONDS))
    assert not {PHONE, CODE} & set(str(caught.value).split())
    async with served(gateway.talk) as port:
        pass
    # Nobody listens there any more.
    with pytest.raises(NotSent, match="ConnectError"):
        await sent(gateway, port)


# Mail.


@dataclass
class MailServer:
    """A server that speaks as much SMTP as one message needs; `will` answers to each RCPT in turn."""

    trust: ssl.SSLContext
    starttls: bool = True
    password: str | None = None
    will: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One conversation."""
        encrypted = writer.get_extra_info("sslcontext") is not None
        writer.write(b"220 test\r\n")
        while line := (await reader.readline()).decode().strip():
            self.heard.append(f"{'tls' if encrypted else 'open'} {line}")
            word = line.split()[0].upper()
            if word == "EHLO":
                offers = ["STARTTLS"] if self.starttls and not encrypted else []
                offers += ["AUTH PLAIN"] if self.password else []
                lines = ["test", *offers]
                said = [f"250{' ' if each == lines[-1] else '-'}{each}" for each in lines]
                writer.write(("\r\n".join(said) + "\r\n").encode())
            elif word == "STARTTLS":
                writer.write(b"220 go\r\n")
                await writer.drain()
                await writer.start_tls(self.trust)
                encrypted = True
            elif word == "AUTH":
                writer.write(b"235 ok\r\n" if self.password and line.endswith(self.password) else b"535 no\r\n")
            elif word == "RCPT":
                writer.write(f"{self.will.pop(0) if self.will else '250 ok'}\r\n".encode())
            elif word == "DATA":
                writer.write(b"354 go\r\n")
                self.messages.append((await reader.readuntil(b"\r\n.\r\n")).decode())
                writer.write(b"250 ok\r\n")
            elif word == "QUIT":
                writer.write(b"221 bye\r\n")
                return
            else:
                writer.write(b"250 ok\r\n")
            await writer.drain()


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's TLS, and that of somebody who trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    day = datetime.timedelta(days=1)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    (folder / "certificate").write_bytes(pem)
    plain = serialization.NoEncryption()
    (folder / "key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "certificate", folder / "key")
    return server, ssl.create_default_context(cadata=pem.decode())


async def mailed(
    server: MailServer, trust: ssl.SSLContext, user: str = "", mail: str | None = "lin@bank.example"
) -> int:
    """Send one code by mail; answers how many pauses there were."""
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    async with served(server.talk) as port:
        url = f"smtp://{user}127.0.0.1:{port}"
        sender = MailSender(url, "bank@bank.example", trust=trust, answer_seconds=5, pause=pause)
        await sender.send(PHONE, CODE, "en", mail)
    return len(pauses)


async def test_mail_is_encrypted_before_anything_is_said(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    server = MailServer(contexts[0], password="AGJhbmsAcEA1cw==")
    assert await mailed(server, contexts[1], "bank:p%405s@") == 0
    (message,) = server.messages
    assert "To: lin@bank.example" in message
    assert f"your code is {CODE}" in message
    assert [line for line in server.heard if line.startswith("open")][1:] == ["open STARTTLS"]


async def test_mail_is_tried_again_when_that_may_help(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    server = MailServer(contexts[0], will=["451 later", "421 busy"])
    assert await mailed(server, contexts[1]) == 2
    assert len(server.messages) == 1
    with pytest.raises(NotSent, match="status 550"):
        await mailed(MailServer(contexts[0], will=["550 nobody"]), contexts[1])
    with pytest.raises(NotSent, match="status 535"):
        await mailed(MailServer(contexts[0], password="other"), contexts[1], "bank:wrong@")


async def test_mail_to_a_stranger_of_a_server_does_not_go(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    server = MailServer(contexts[0])
    with pytest.raises(NotSent, match="SSL"):
        await mailed(server, ssl.create_default_context())
    assert server.messages == []
    with pytest.raises(NotSent, match="no mail"):
        await mailed(server, contexts[1], mail=None)


async def test_a_server_without_encryption_is_used_on_this_machine_alone(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = MailServer(contexts[0], starttls=False)
    assert await mailed(server, contexts[1]) == 0
    monkeypatch.setattr("timebank.gateways.is_loopback", lambda _: False)
    with pytest.raises(NotSent, match="no encryption"):
        await mailed(server, contexts[1])
    assert len(server.messages) == 1


async def test_a_mail_server_that_is_away_is_given_up(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    async with served(MailServer(contexts[0]).talk) as port:
        pass

    async def pause(_: float) -> None: ...

    sender = MailSender(f"smtps://127.0.0.1:{port}", "bank@bank.example", pause=pause)
    with pytest.raises(NotSent, match="Refused"):
        await sender.send(PHONE, CODE, "en", "lin@bank.example")


async def test_the_settings_choose_who_sends() -> None:
    plain = Settings(data=Path("x"))
    by_sms = replace(plain, sms_url="https://sms.example/send", sms_key=KEY)
    assert isinstance(chosen(plain), LocalSender)
    assert isinstance(chosen(by_sms), HttpSender)
    assert isinstance(chosen(replace(by_sms, demo=True)), LocalSender)
    both = chosen(replace(plain, mail_url="smtp://mail.example", mail_from="bank@bank.example"))
    assert isinstance(both, Both)
    said: list[str] = []
    both = Both(
        LocalSender(lambda text: said.append(f"sms {text}")), LocalSender(lambda text: said.append(f"mail {text}"))
    )
    await both.send(PHONE, CODE, "en", None)
    await both.send(PHONE, CODE, "en", "lin@bank.example")
    assert [each.split()[0] for each in said] == ["sms", "mail"]
    assert KEY not in repr(by_sms)
