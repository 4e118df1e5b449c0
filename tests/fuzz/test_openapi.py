"""Whatever fits the description, and whatever almost does: the bank answers as it says, and never fails."""

import re
from typing import Any

import hypothesis
import schemathesis
from schemathesis.checks import (
    content_type_conformance,
    not_a_server_error,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api import openapi
from api.app import create_app
from api.sentences import SENTENCES
from tests.fuzz.conftest import PROFILE, SECONDS, Sender
from timebank.demo import SIGN_INS

DOCUMENT = openapi.document(create_app())
described = schemathesis.openapi.from_dict(DOCUMENT)
# What an answer is held to. That nobody gets in without a session is tested in tests/api, for every route.
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
# Who sends: everybody, or in the short form whoever may the least and whoever may the most. That everybody in between
# is kept to what is theirs is tested in tests/api/test_matrix.py.
ROLES = ("volunteer", "admin") if PROFILE == "short" else tuple(person.role for person in SIGN_INS)
# These end the sender's own session, or let nobody in any more: tried by themselves.
OF_SESSIONS = ("/api/v1/session", "/api/v1/sessions", "/api/v1/phone-codes", "/api/v1/phone-codes/sessions")


def ask(case: Any, sender: Sender) -> Any:
    """Send a case as one of the demo's people; the answer, which is never a failure of ours."""
    headers = {**(case.headers or {}), **sender.headers}
    answer = case.call(base_url=sender.address, headers=headers, timeout=SECONDS)
    assert answer.status_code < 500, (answer.status_code, answer.text, case.as_curl_command())
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == ["application/problem+json"], answer.headers
        problem = answer.json()
        assert problem["code"] in SENTENCES
        assert problem["status"] == answer.status_code
    return answer


def proof_of(path: str, method: str) -> Any:
    """The test of one operation."""

    @described.include(path=path, method=method.upper()).parametrize()
    @hypothesis.settings(hypothesis.settings.get_profile(PROFILE))
    def test(case: Any, senders: dict[str, Sender]) -> None:
        for role in ROLES:
            case.validate_response(ask(case, senders[role]), checks=CHECKS)

    return test


# Each operation's test has a name of its own: of several with one, only one would be handed to a worker.
TESTS = {
    "test_" + re.sub(r"[^a-z0-9]+", "_", f"{method}{path}").strip("_"): proof_of(path, method)
    for path, operations in DOCUMENT["paths"].items()
    for method in operations
    if path not in OF_SESSIONS
}
globals().update(TESTS)


def test_every_operation_is_tried() -> None:
    operations = [(path, method) for path, each in DOCUMENT["paths"].items() for method in each]
    assert len(TESTS) == len([path for path, _ in operations if path not in OF_SESSIONS])
