"""For whoever watches over the service: does it live, is it ready, how busy is it."""

from collections.abc import Callable, Iterator
from typing import Any

from litestar import Request, Response, get
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from api.problems import Problem
from api.state import Bank, bank_of
from timebank.commit import VERBS
from timebank.database import is_current

# Where people sign in, and what a failed try is answered with.
SIGN_INS = frozenset(
    {
        "POST /sign-in",
        "POST /sign-in/code",
        "POST /sign-in/code/check",
        "POST /api/v1/sessions",
        "POST /api/v1/phone-codes",
        "POST /api/v1/phone-codes/sessions",
    }
)
SIGN_IN_FAILURES = {401: "refused", 429: "too_many"}
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Figures:
    """What `/metrics` shows of one process."""

    def __init__(self, bank: Callable[[], Bank]) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "timebank_requests", "Answers by route and status.", ["method", "route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "timebank_request_seconds", "Time to an answer.", ["route"], buckets=SECONDS, registry=self.registry
        )
        self.failures = Counter(
            "timebank_sign_in_failures", "Tries to sign in that failed.", ["reason"], registry=self.registry
        )
        for reason in SIGN_IN_FAILURES.values():
            self.failures.labels(reason)
        self.registry.register(Commands(bank))
        # Labels are looked up once: the lookup costs more than the counting.
        self.known: dict[tuple[str, str, int], tuple[Any, Any]] = {}

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answer. `route` is one of a fixed number of templates, never a path."""
        key = (method, route, status)
        if key not in self.known:
            method = method if method in ("GET", "POST", "DELETE", "OPTIONS", "HEAD") else "other"
            self.known[key] = (self.requests.labels(method, route, status), self.seconds.labels(route))
        count, time = self.known[key]
        count.inc()
        time.observe(seconds)
        if status in SIGN_IN_FAILURES and f"{method} {route}" in SIGN_INS:
            self.failures.labels(SIGN_IN_FAILURES[status]).inc()


class Commands(Collector):
    """How the committers are doing, read from them when somebody asks."""

    def __init__(self, bank: Callable[[], Bank]) -> None:
        self.bank = bank

    def describe(self) -> list[Any]:
        """Nothing: what is collected is known only once the bank is open."""
        return []

    def collect(self) -> Iterator[Any]:
        """Batches, commands and what is queued, by verb."""
        batches = CounterMetricFamily("timebank_batches", "Batches committed.", labels=["verb"])
        commands = CounterMetricFamily("timebank_commands", "Commands answered in batches.", labels=["verb"])
        queued = GaugeMetricFamily("timebank_queued", "Commands that wait for the next batch.", labels=["verb"])
        for verb in VERBS:
            committer = getattr(self.bank().commits, verb)
            batches.add_metric([verb], committer.batches)
            commands.add_metric([verb], committer.commands)
            queued.add_metric([verb], len(committer.queue))
        yield from (batches, commands, queued)


@get("/health/live")
async def live() -> Response[dict[str, str]]:
    """The process answers."""
    return Response({"status": "live"})


@get("/health/ready")
async def ready(request: Request[Any, Any, Any]) -> Response[dict[str, str]]:
    """The database answers, its schema is the one that this version needs, and commands are taken. Else 503."""
    bank = bank_of(request)
    async with bank.engine.connect() as connection:
        current = await is_current(connection)
    if not current or not bank.commits.running:
        raise Problem("busy")
    return Response({"status": "ready"})


@get("/metrics")
async def metrics(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Counters in the format of Prometheus."""
    figures: Figures = request.app.state.figures
    return Response(generate_latest(figures.registry), headers={"content-type": CONTENT_TYPE_LATEST})


handlers = [live, ready, metrics]
