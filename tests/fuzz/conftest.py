"""A demo city that serves, and people in it who send whatever a generator thinks of."""

import json
import os
import urllib.request
from dataclasses import dataclass

import hypothesis
import pytest

from tests.browser.conftest import Service, service
from timebank.demo import SIGN_INS

__all__ = ["service"]

# The short form runs in `make test` and is the same every time; `make torture` looks further, and elsewhere each time.
hypothesis.settings.register_profile(
    "short",
    max_examples=3,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)
hypothesis.settings.register_profile(
    "torture", max_examples=100, deadline=None, database=None, suppress_health_check=list(hypothesis.HealthCheck)
)
PROFILE = "torture" if os.environ.get("TIMEBANK_TORTURE") == "1" else "short"
SECONDS = 20


@dataclass(frozen=True)
class Sender:
    """One of the demo's people, signed in: the headers that every request of theirs carries."""

    address: str
    headers: dict[str, str]


@pytest.fixture(scope="session")
def senders(service: Service) -> dict[str, Sender]:
    """By role; signed in before anybody is sent away for having tried too often."""
    return {person.role: sign_in(service.address, person.phone, person.password) for person in SIGN_INS}


def sign_in(address: str, phone: str, password: str) -> Sender:
    """Sign in as a program does."""
    body = json.dumps({"phone": phone, "password": password}).encode()
    headers = {"Origin": address, "Content-Type": "application/json"}
    request = urllib.request.Request(f"{address}/api/v1/sessions", body, headers)  # noqa: S310  our own address
    with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310
        cookie = answer.headers["Set-Cookie"].partition(";")[0]
        csrf = json.load(answer)["csrf"]
    return Sender(address, {"Origin": address, "Cookie": cookie, "X-CSRF-Token": csrf})
