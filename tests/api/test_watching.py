"""For whoever watches over the service: health, figures, log lines, and what an unexpected failure looks like."""

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from litestar import get
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from api import guards, logs, refusing
from api.app import create_app
from api.guards.access import ANYBODY
from api.problems import problem_of
from tests.api.conftest import Build
from tests.api.people import Town, problem
from tests.factories import PASSWORD


async def test_a_bank_that_serves_is_live_and_ready(town: Town) -> None:
    person = town.stranger()
    assert (await person.get("/health/live")).json() == {"status": "live"}
    assert (await person.get("/health/ready")).json() == {"status": "ready"}


async def test_a_bank_that_takes_no_commands_is_not_ready(town: Town) -> None:
    await town.bank.commits.stop()
    assert problem(await town.stranger().get("/health/ready")) == (503, "busy")
    await town.bank.commits.start()


async def test_a_bank_without_its_database_is_live_and_not_ready(build: Build) -> None:
    from timebank.database import create_engine

    async with build() as town:
        engine = town.bank.engine
        town.bank.engine = create_engine("postgresql://timebank@127.0.0.1:1/nothing")
        town.bank.recognition.engine = town.bank.engine
        person = town.stranger()
        assert (await person.get("/health/live")).status_code == 200
        assert problem(await person.get("/health/ready")) == (503, "busy")
        person.client.cookies.set("timebank", "x")
        assert problem(await person.get("/api/v1/me")) == (503, "busy")
        page = await person.get("/")
        assert page.status_code == 503
        assert 'data-code="busy"' in page.text
        town.bank.engine = engine


async def test_figures_are_for_this_machine_alone(build: Build) -> None:
    async with build(public_url="https://bank.example") as town:
        outside = town.stranger("https://bank.example", "192.0.2.1")
        assert problem(await outside.get("/metrics")) == (404, "not_found")
        assert (await town.stranger().get("/metrics")).status_code == 200


async def test_figures_count_answers_commands_and_failed_sign_ins(town: Town) -> None:
    # Others are counted by the app that all tests share.
    town.app = create_app(town.bank)
    member_id = await town.join()
    person = await town.member(member_id)
    for _ in range(2):
        await town.stranger().send(
            "/api/v1/sessions", {"phone": town.city.phones[member_id], "password": "not the password"}
        )
    await person.send("/api/v1/check-ins", {"id": person.new_id(), "code": town.code()})
    await person.get("/api/v1/nothing-here")
    await person.client.request("BREW", "/api/v1/me")
    shown = (await person.get("/metrics")).text
    assert 'timebank_requests_total{method="POST",route="/api/v1/sessions",status="401"} 2.0' in shown
    assert 'timebank_requests_total{method="GET",route="none",status="404"} 1.0' in shown
    assert 'timebank_requests_total{method="other",' in shown
    assert 'timebank_sign_in_failures_total{reason="refused"} 2.0' in shown
    assert 'timebank_commands_total{verb="check_in"} 1.0' in shown
    assert 'timebank_batches_total{verb="check_in"} 1.0' in shown
    assert 'timebank_queued{verb="check_in"} 0.0' in shown
    assert 'timebank_request_seconds_count{route="/api/v1/check-ins"} 1.0' in shown


class Log:
    """What is logged, read back."""

    def __init__(self) -> None:
        self.file = io.BytesIO()

    def listen(self) -> None:
        """From now on; opening a town configures the log too."""
        structlog.configure(logger_factory=structlog.BytesLoggerFactory(self.file))

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Every line so far."""
        return [json.loads(line) for line in self.file.getvalue().splitlines()]

    @property
    def text(self) -> str:
        """All of it."""
        return self.file.getvalue().decode()


@pytest.fixture
def log() -> Iterator[Log]:
    """A log to read."""
    before = structlog.get_config()
    logs.configure("info")
    yield Log()
    structlog.configure(**before)


async def test_a_line_names_the_route_and_nothing_of_the_person(build: Build, log: Log) -> None:
    async with build(public_url="https://bank.example") as town:
        log.listen()
        member_id = await town.join("林一")
        person = town.stranger("https://bank.example", "198.51.100.77")
        await person.sign_in(town.city, member_id)
        await person.get("/check-in?ticket=secret-ticket")
        answer = await person.get(f"/K/{town.code()}")
        for secret in (
            "secret-ticket",
            town.code(),
            "林一",
            town.city.phones[member_id],
            str(member_id),
            "198.51.100.77",
            PASSWORD,
        ):
            assert secret not in log.text
        assert log.lines[-1]["request_id"] == answer.headers["x-request-id"]
        assert log.lines[-1] | {"timestamp": "", "milliseconds": 0, "request_id": ""} == {
            "event": "request",
            "level": "info",
            "method": "GET",
            "route": "/K/{code}",
            "status": 303,
            "milliseconds": 0,
            "request_id": "",
            "timestamp": "",
        }


async def test_a_failure_of_ours_is_a_problem_with_a_number_to_look_for(
    town: Town, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    town.app = create_app(town.bank)
    log.listen()

    @get(["/broken", "/api/v1/broken"])
    async def broken() -> None:
        try:
            raise KeyError("林一")
        except KeyError as error:
            raise RuntimeError("+8613900000001") from error

    monkeypatch.setitem(guards.ACCESS, "GET /broken", ANYBODY)
    monkeypatch.setitem(guards.ACCESS, "GET /api/v1/broken", ANYBODY)
    town.app.register(broken)
    answer = await town.stranger().get("/api/v1/broken")
    assert problem(answer) == (500, "unexpected")
    assert "139" not in answer.text
    failed = next(line for line in log.lines if line["event"] == "failed")
    assert failed["request_id"] == answer.headers["x-request-id"]
    assert failed["error"] == ["RuntimeError", "KeyError"]
    assert failed["frames"][-1].endswith(" broken")
    assert "林一" not in log.text
    assert "139" not in json.dumps([line["error"] for line in log.lines if "error" in line])
    page = await town.stranger().get("/broken")
    assert page.status_code == 500
    assert 'data-code="unexpected"' in page.text
    assert page.headers["x-request-id"] in page.text


async def test_an_answer_that_breaks_off_is_noted(town: Town, log: Log) -> None:
    log.listen()
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)
        if message["type"] == "http.response.body":
            raise ConnectionResetError("gone")

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/health/live",
        "raw_path": b"/health/live",
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "client": None,
        "headers": [(b"host", b"127.0.0.1")],
    }
    with pytest.raises(Exception, match="response started"):
        await town.app(scope, receive, send)
    assert [line["event"] for line in log.lines if line["event"] != "request"] == ["answer_broken"]


async def test_there_are_no_sockets(town: Town) -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    scope = {"type": "websocket", "path": "/", "headers": [], "query_string": b""}
    await town.app(scope, receive, send)
    assert [message["type"] for message in sent] == ["websocket.close"]


async def test_errors_of_the_database_become_codes(town: Town) -> None:
    async def code_of(statement: str) -> str:
        async with town.bank.engine.connect() as connection:
            with pytest.raises(DBAPIError) as raised:
                await connection.execute(text(statement))
        return problem_of(raised.value).code

    assert await code_of("DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = 'unique_violation'; END $$") == "conflict"
    assert await code_of("SELECT 1 / 0") == "unexpected"
    assert problem_of(PoolTimeout()).code == "busy"
    assert problem_of(ConnectionRefusedError()).code == "busy"
    assert problem_of(ValueError()).code == "unexpected"


def test_a_line_of_a_level_below_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    class Out:
        buffer = io.BytesIO()

    before = structlog.get_config()
    monkeypatch.setattr("sys.stdout", Out)
    logs.configure("warning")
    logger = structlog.get_logger("test")
    logger.info("quiet")
    try:
        raise LookupError("+8613900000001")
    except LookupError:
        logger.warning("loud", exc_info=True)
    structlog.configure(**before)
    (line,) = Out.buffer.getvalue().splitlines()
    said = json.loads(line)
    assert (said["event"], said["level"], said["error"]) == ("loud", "warning", ["LookupError"])
    assert b"139" not in line


def test_the_handler_of_everything_is_the_one_handler() -> None:
    assert set(refusing.handlers.values()) == {refusing.answer}
