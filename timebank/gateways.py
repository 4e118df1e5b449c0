"""Senders of messages that reach people: an SMS gateway over HTTP, and mail over SMTP.

What goes to the gateway, and how it is signed, is in docs/reference/gateways.md. A code is good for five minutes, so
nobody tries longer than a minute; the last error is raised, and the person asks for another code.
"""

import asyncio
import hashlib
import hmac
import smtplib
import ssl
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx
import msgspec

from timebank.ids import uuid7
from timebank.setting_values import is_loopback
from timebank.settings import Settings
from timebank.sms import LocalSender, Sender

# One try: to reach the gateway, and for its whole answer.
CONNECT_SECONDS, ANSWER_SECONDS = 3.0, 8.0
# After each try that failed for a reason that passes; as many tries and one.
PAUSES_SECONDS = (0.5, 2.0, 6.0)
# What the far side says that may be different in a moment.
PASSING_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})

WORDS = {
    "zh-CN": "【时间银行】验证码 {code}，5 分钟内有效。请勿告诉他人。",
    "en": "Time Bank: your code is {code}. It is good for five minutes. Tell nobody.",
}
SUBJECTS = {"zh-CN": "时间银行验证码", "en": "Your Time Bank code"}

Pause = Callable[[float], Awaitable[Any]]


class NotSent(Exception):
    """A message was not taken. Holds no number, address or code."""


def words(code: str, locale: str) -> str:
    """The message."""
    return WORDS[locale].format(code=code)


def signature(key: str, timestamp: str, body: bytes) -> str:
    """What the gateway checks: HMAC-SHA-256 over the timestamp, a full stop and the body, in hexadecimal."""
    return hmac.new(key.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


class HttpSender:
    """An SMS gateway that takes JSON by POST. One message has one id, however often it is tried."""

    def __init__(
        self,
        url: str,
        key: str,
        *,
        answer_seconds: float = ANSWER_SECONDS,
        pause: Pause = asyncio.sleep,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.url, self.key = url, key
        self.timeout = httpx.Timeout(answer_seconds, connect=min(CONNECT_SECONDS, answer_seconds))
        self.pause, self.clock = pause, clock

    async def send(self, phone: str, code: str, locale: str, mail: str | None = None) -> None:
        """Send it; see `Sender`. Raises `NotSent`."""
        id = str(uuid7(datetime.fromtimestamp(self.clock(), UTC)))
        body = msgspec.json.encode(
            {"id": id, "phone": phone, "text": words(code, locale), "code": code, "locale": locale}
        )
        async with httpx.AsyncClient(timeout=self.timeout, follow_redirects=False) as client:
            for wait_seconds in (*PAUSES_SECONDS, None):
                said = await self.tried(client, id, body)
                if said is None:
                    return
                if wait_seconds is None or not said[1]:
                    raise NotSent(said[0])
                await self.pause(wait_seconds)

    async def tried(self, client: httpx.AsyncClient, id: str, body: bytes) -> tuple[str, bool] | None:
        """One try: None where it was taken, else why not and whether that may pass."""
        timestamp = str(int(self.clock()))
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": id,
            "X-Timebank-Timestamp": timestamp,
            "X-Timebank-Signature": signature(self.key, timestamp, body),
        }
        try:
            answer = await client.post(self.url, content=body, headers=headers)
        except httpx.TransportError as error:
            return type(error).__name__, True
        if answer.is_success:
            return None
        return f"status {answer.status_code}", answer.status_code in PASSING_STATUSES


class MailSender:
    """Mail over SMTP: encrypted from the first word (`smtps`), or from STARTTLS on (`smtp`), which is insisted on
    unless the server is this machine."""

    def __init__(
        self,
        url: str,
        sent_from: str,
        *,
        trust: ssl.SSLContext | None = None,
        answer_seconds: float = ANSWER_SECONDS,
        pause: Pause = asyncio.sleep,
    ) -> None:
        parts = urlsplit(url)
        self.encrypted = parts.scheme == "smtps"
        self.host = parts.hostname or ""
        self.port = parts.port or (465 if self.encrypted else 587)
        self.user, self.password = unquote(parts.username or ""), unquote(parts.password or "")
        self.sent_from = sent_from
        self.trust = trust or ssl.create_default_context()
        self.answer_seconds, self.pause = answer_seconds, pause

    async def send(self, phone: str, code: str, locale: str, mail: str | None = None) -> None:
        """Send it to the person's mail address; see `Sender`. Raises `NotSent`, also where there is none."""
        if mail is None:
            raise NotSent("no mail address")
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = self.sent_from, mail, SUBJECTS[locale]
        message["Date"], message["Message-ID"] = formatdate(), make_msgid(domain=self.sent_from.rpartition("@")[2])
        message.set_content(words(code, locale) + "\n")
        for wait_seconds in (*PAUSES_SECONDS, None):
            said = await asyncio.to_thread(self.tried, message)
            if said is None:
                return
            if wait_seconds is None or not said[1]:
                raise NotSent(said[0])
            await self.pause(wait_seconds)

    def tried(self, message: EmailMessage) -> tuple[str, bool] | None:
        """One try, which blocks: None where it was taken, else why not and whether that may pass."""
        try:
            with self.connected() as server:
                if self.user:
                    server.login(self.user, self.password)
                server.send_message(message)
        except smtplib.SMTPResponseException as error:
            # 4yz passes, 5yz does not (RFC 5321, 4.2.1).
            return f"status {error.smtp_code}", 400 <= error.smtp_code < 500
        except smtplib.SMTPRecipientsRefused as error:
            codes = [code for code, _ in error.recipients.values()]
            return f"status {codes[0]}", all(400 <= code < 500 for code in codes)
        except ssl.SSLError as error:
            return type(error).__name__, False
        except smtplib.SMTPNotSupportedError:
            return "no encryption", False
        except (smtplib.SMTPException, OSError) as error:
            return type(error).__name__, True
        return None

    def connected(self) -> smtplib.SMTP:
        """A server that nobody on the way can listen to."""
        if self.encrypted:
            return smtplib.SMTP_SSL(self.host, self.port, timeout=self.answer_seconds, context=self.trust)
        server = smtplib.SMTP(self.host, self.port, timeout=self.answer_seconds)
        try:
            server.ehlo()
            if server.has_extn("starttls") or not is_loopback(self.host):
                server.starttls(context=self.trust)
                server.ehlo()
        except BaseException:
            server.close()
            raise
        return server


class Both:
    """Mail to whoever gave an address, a text message to everybody else."""

    def __init__(self, by_phone: Sender, by_mail: Sender) -> None:
        self.by_phone, self.by_mail = by_phone, by_mail

    async def send(self, phone: str, code: str, locale: str, mail: str | None = None) -> None:
        """Send it the way there is; see `Sender`."""
        await (self.by_mail if mail else self.by_phone).send(phone, code, locale, mail)


def chosen(settings: Settings) -> Sender:
    """The sender that the settings describe; the one that prints where they describe none, and in a demo."""
    if settings.demo:
        return LocalSender(demo=True)
    by_phone: Sender = HttpSender(settings.sms_url, settings.sms_key or "") if settings.sms_url else LocalSender()
    if settings.mail_url is None:
        return by_phone
    return Both(by_phone, MailSender(settings.mail_url, settings.mail_from or ""))
