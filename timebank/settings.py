"""Every setting, read from the environment once, at the start."""

import os
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from datetime import time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from timebank.refusal import Refusal
from timebank.setting_values import (
    LogLevel,
    Network,
    is_loopback,
    read_book,
    read_count,
    read_database_url,
    read_directory,
    read_file,
    read_gateway,
    read_hosts,
    read_issuer,
    read_log_level,
    read_mail_address,
    read_mail_server,
    read_networks,
    read_port,
    read_public_url,
    read_switch,
    read_text,
    read_time_of_day,
    read_zone,
)


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
