"""Settings: each from its variable; a wrong one is refused by name, without its value; children are told the same."""

import ipaddress
from dataclasses import fields
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timebank.refusal import Refusal
from timebank.setting_values import is_loopback
from timebank.settings import Settings, from_environment, to_environment

DATABASE = "postgresql://bank:secret@db.example/bank"


def refusal(**environment: str) -> Refusal:
    """How these variables are refused."""
    with pytest.raises(Refusal) as refused:
        from_environment(environment)
    assert refused.value.code == "bad_setting"
    return refused.value


def test_nothing_has_to_be_set() -> None:
    settings = from_environment({})
    assert settings == Settings()
    assert settings.data == Path(".timebank").absolute()
    assert (settings.host, settings.port, settings.book_id, settings.workers) == ("127.0.0.1", 8000, 1, 1)
    assert (settings.database_url, settings.migration_url, settings.postgres_port) == (None, None, None)
    assert settings.time_zone == ZoneInfo("Asia/Shanghai")
    assert settings.log_level == "info"
    assert settings.trusted_proxies == ()
    assert not settings.demo


def test_an_empty_variable_is_one_that_is_not_set() -> None:
    assert from_environment({each.metadata["variable"]: "" for each in fields(Settings)}) == Settings()


@pytest.mark.parametrize(
    ("variable", "text", "name", "value"),
    [
        ("TIMEBANK_DATA", "~/bank", "data", Path("~/bank").expanduser()),
        ("TIMEBANK_DATA", " here ", "data", Path("here").absolute()),
        ("TIMEBANK_DATABASE_URL", "postgres://db/bank", "database_url", "postgres://db/bank"),
        ("TIMEBANK_DATABASE_URL", "postgresql+asyncpg://db/bank", "database_url", "postgresql+asyncpg://db/bank"),
        ("TIMEBANK_POSTGRES_PORT", "0", "postgres_port", 0),
        ("TIMEBANK_HOST", " ::1 ", "host", "::1"),
        ("TIMEBANK_PORT", "65535", "port", 65535),
        ("TIMEBANK_PUBLIC_URL", "https://bank.example/", "public_url", "https://bank.example"),
        ("TIMEBANK_PUBLIC_URL", "http://[2001:db8::1]:8080", "public_url", "http://[2001:db8::1]:8080"),
        ("TIMEBANK_OLDER_HOSTS", "Old.example, older.example,", "older_hosts", ("old.example", "older.example")),
        ("TIMEBANK_BOOK", "2147483647", "book_id", 2**31 - 1),
        ("TIMEBANK_WORKERS", "1024", "workers", 1024),
        ("TIMEBANK_LOG_LEVEL", " Debug ", "log_level", "debug"),
        (
            "TIMEBANK_TRUSTED_PROXIES",
            "10.0.0.0/8, 2001:db8::1,",
            "trusted_proxies",
            (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("2001:db8::1/128")),
        ),
        ("TIMEBANK_TIME_ZONE", "America/New_York", "time_zone", ZoneInfo("America/New_York")),
        ("TIMEBANK_DEMO", " Yes ", "demo", True),
        ("TIMEBANK_DEMO", "0", "demo", False),
    ],
)
def test_a_setting_is_read(variable: str, text: str, name: str, value: Any) -> None:
    assert getattr(from_environment({variable: text}), name) == value


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("TIMEBANK_DATA", "  "),
        ("TIMEBANK_DATABASE_URL", "mysql://root:hunter2@db/bank"),
        ("TIMEBANK_MIGRATION_URL", "hunter2"),
        ("TIMEBANK_POSTGRES_PORT", "65536"),
        ("TIMEBANK_PORT", "-1"),
        ("TIMEBANK_PORT", "8000.0"),
        ("TIMEBANK_PORT", "http"),
        ("TIMEBANK_HOST", " "),
        ("TIMEBANK_PUBLIC_URL", "bank.example"),
        ("TIMEBANK_PUBLIC_URL", "ftp://bank.example"),
        ("TIMEBANK_PUBLIC_URL", "https://"),
        ("TIMEBANK_PUBLIC_URL", "https://bank.example/timebank"),
        ("TIMEBANK_PUBLIC_URL", "https://bank.example/?a=1"),
        ("TIMEBANK_PUBLIC_URL", "https://bank.example/#a"),
        ("TIMEBANK_BOOK", "0"),
        ("TIMEBANK_BOOK", "2147483648"),
        ("TIMEBANK_WORKERS", "0"),
        ("TIMEBANK_WORKERS", "1025"),
        ("TIMEBANK_LOG_LEVEL", "loud"),
        ("TIMEBANK_TRUSTED_PROXIES", "proxy.example"),
        ("TIMEBANK_TRUSTED_PROXIES", "10.0.0.1/8"),
        ("TIMEBANK_TIME_ZONE", "Nanchang"),
        ("TIMEBANK_TIME_ZONE", "Asia"),
        ("TIMEBANK_TIME_ZONE", "../etc/passwd"),
        ("TIMEBANK_DEMO", "perhaps"),
    ],
)
def test_a_wrong_setting_is_named(variable: str, text: str) -> None:
    refused = refusal(**{variable: text})
    assert refused.data == {"variable": variable}
    assert refused.sentence.startswith(f"{variable}: ")
    assert str(refused).endswith("(bad_setting)")


def test_a_password_is_not_repeated() -> None:
    assert "hunter2" not in str(refusal(TIMEBANK_DATABASE_URL="mysql://root:hunter2@db/bank"))


def test_the_owners_database_needs_the_services_beside_it() -> None:
    assert refusal(TIMEBANK_MIGRATION_URL=DATABASE).data == {"variable": "TIMEBANK_MIGRATION_URL"}
    both = from_environment({"TIMEBANK_MIGRATION_URL": DATABASE, "TIMEBANK_DATABASE_URL": DATABASE})
    assert both.migration_url == both.database_url == DATABASE


numbers = st.integers(1, 1024)
chosen = st.builds(
    Settings,
    data=st.sampled_from([Path("/var/lib/timebank"), Settings().data]),
    database_url=st.sampled_from([None, DATABASE]),
    postgres_port=st.none() | st.integers(0, 65535),
    host=st.sampled_from(["127.0.0.1", "::1", "0.0.0.0"]),  # noqa: S104 - nothing is bound
    port=st.integers(0, 65535),
    public_url=st.sampled_from([None, "https://bank.example"]),
    book_id=st.integers(1, 2**31 - 1),
    workers=numbers,
    log_level=st.sampled_from(["debug", "info", "warning", "error"]),
    trusted_proxies=st.lists(st.ip_addresses().map(ipaddress.ip_network), max_size=3).map(tuple),
    time_zone=st.sampled_from([ZoneInfo("Asia/Shanghai"), ZoneInfo("UTC")]),
    demo=st.booleans(),
)


@given(chosen)
def test_a_child_process_is_told_the_same(settings: Settings) -> None:
    written = to_environment(settings)
    assert from_environment(written) == settings
    # What nobody chose is not said.
    assert all(value for value in written.values())
    assert "TIMEBANK_MIGRATION_URL" not in written


def test_the_default_needs_no_words() -> None:
    assert to_environment(Settings()) == {}


@pytest.mark.parametrize(
    ("host", "only_here"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),  # noqa: S104 - nothing is bound
        ("192.0.2.1", False),
        ("bank.example", False),
    ],
)
def test_who_is_served_from_this_machine_alone(host: str, only_here: bool) -> None:
    assert is_loopback(host) is only_here
    assert Settings(host=host).serves_loopback_only is only_here


def test_the_address_to_type() -> None:
    assert Settings().address == "http://127.0.0.1:8000"
    assert Settings(host="::1", port=80).address == "http://[::1]:80"
    assert Settings(public_url="https://bank.example").address == "https://bank.example"
