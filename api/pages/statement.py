"""The balance that explains itself: to its volunteer, on paper, as a table, and in part to a manager."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import urlencode
from uuid import UUID

from litestar import Response, get
from litestar.params import FromPath, FromQuery
from sqlalchemy.ext.asyncio import AsyncConnection

from api import csv_file
from api.csv_file import Cell
from api.language import Language, mark
from api.pages import words
from api.pages.page import AnyRequest, Shown, member, show, speaker
from api.periods import period_of
from api.problems import Problem, problem_of
from api.rest.operation import limit_of
from api.sentences import sentence
from api.state import Bank, bank_of
from timebank import explain, members, periods, statements
from timebank.clock import local_day
from timebank.database import snapshot
from timebank.errors import BankError
from timebank.explain import Line
from timebank.periods import Period
from timebank.statements import Extract

UNITS = ("point", "minute")
# More than anybody reads on paper, and as many as a small machine makes a table of in a moment.
PRINT_LIMIT = 1000
TABLE_LIMIT = 5000
COLUMNS = (
    mark("Date and time"),
    mark("What"),
    mark("Amount"),
    mark("Balance"),
    mark("Fund"),
    mark("Expire on"),
    mark("Service"),
    mark("Service station"),
    mark("Check-in"),
    mark("Check-in by"),
    mark("Check-out"),
    mark("Check-out by"),
    mark("Measured minutes"),
    mark("Credited minutes"),
    mark("Evidence grade"),
    mark("Verified by"),
    mark("Verified at"),
    mark("Points rules"),
    mark("Credited before the correction"),
    mark("Credited after the correction"),
    mark("Redemption"),
    mark("Service record"),
    mark("Ledger number"),
)
EMPTY = len(COLUMNS)


class Choice(NamedTuple):
    """A period that one tap chooses."""

    words: str
    href: str
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """What a page is about: points or minutes, of which days."""

    unit: str
    period: Period

    @classmethod
    def of(cls, unit: str, since: str | None, until: str | None) -> "Asked":
        """As the address says it."""
        return cls(unit if unit in UNITS else "point", period_of(since, until))

    @classmethod
    def or_all(cls, unit: str, since: str | None, until: str | None) -> "tuple[Asked, Problem | None]":
        """The same; where the days are none, all days, and what was wrong."""
        try:
            return cls.of(unit, since, until), None
        except (BankError, Problem) as error:
            return cls.of(unit, None, None), problem_of(error)

    def query(self, **more: Any) -> str:
        """The same as a part of an address."""
        values = {"unit": self.unit, "since": self.period.since, "until": self.period.until, **more}
        return urlencode({name: value for name, value in values.items() if value})

    def other(self, unit: str) -> str:
        """The same days of another unit, as a part of an address."""
        return Asked(unit, self.period).query()

    def choices(self, request: AnyRequest, path: str) -> list[Choice]:
        """The periods that one tap chooses."""
        spoken = speaker(request)
        today = local_day(bank_of(request).clock(), spoken.zone)
        named = {
            mark("Everything"): periods.EVER,
            mark("This month"): periods.month(today),
            mark("Last month"): periods.month_before(today),
            mark("This year"): periods.year(today),
        }
        return [
            Choice(spoken.gettext(name), f"{path}?{Asked(self.unit, period).query()}", period == self.period)
            for name, period in named.items()
        ]


async def verifiers(connection: AsyncConnection, bank: Bank, lines: Iterable[Line]) -> dict[UUID, str]:
    """The names of those who verified."""
    ids = {line.verified_by for line in lines if line.verified_by}
    return await members.names(connection, bank.book_id, bank.keys, ids)


def told(request: AnyRequest, wrong: Problem | None, since: str | None, until: str | None) -> dict[str, Any]:
    """What a page says of days that cannot be, which stand in its form as they were typed."""
    spoken = speaker(request)
    words = sentence(wrong.code, spoken.tag, wrong.data) if wrong else ""
    return {
        "status": wrong.status if wrong else 200,
        "answer": Shown(True, spoken.gettext("There is no such period"), words) if wrong else None,
        "typed": {"since": since or "", "until": until or ""},
    }


@get("/statement")
async def statement(
    request: AnyRequest,
    unit: FromQuery[str] = "point",
    since: FromQuery[str | None] = None,
    until: FromQuery[str | None] = None,
    before: FromQuery[str | None] = None,
) -> Response[Any]:
    """Every line of a balance with what it came from: check-in, check-out, who verified it, under which rules."""
    member_id, bank = member(request).member_id, bank_of(request)
    asked, wrong = Asked.or_all(unit, since, until)
    of_it: dict[str, Any] = {"unit": asked.unit, "period": asked.period}
    async with snapshot(bank.engine) as connection:
        balance = await explain.balance(connection, bank.book_id, member_id, bank.clock())
        page = await explain.lines(connection, bank.book_id, member_id, before=before, limit=limit_of(request), **of_it)
        sums = await statements.sums(connection, bank.book_id, member_id, **of_it)
        names = await verifiers(connection, bank, page.lines)
    return show(
        request,
        "volunteer/statement.html",
        way="/statement",
        **told(request, wrong, since, until),
        asked=asked,
        choices=asked.choices(request, "/statement"),
        balance=balance,
        sums=sums,
        lines=page.lines,
        names=names,
        older=f"/statement?{asked.query(before=page.following)}" if page.following else None,
    )


async def extract_of(request: AnyRequest, asked: Asked, most: int) -> tuple[Extract, dict[UUID, str]]:
    """A reader's own statement of a period, and the names of those who verified and of the reader."""
    member_id, bank = member(request).member_id, bank_of(request)
    async with snapshot(bank.engine) as connection:
        found = await statements.extract(
            connection, bank.book_id, member_id, unit=asked.unit, period=asked.period, most=most
        )
        names = await verifiers(connection, bank, [line for line, _ in found.lines])
        names |= await members.names(connection, bank.book_id, bank.keys, [member_id])
    return found, names


@get("/statement/print")
async def printed(
    request: AnyRequest,
    unit: FromQuery[str] = "point",
    since: FromQuery[str | None] = None,
    until: FromQuery[str | None] = None,
) -> Response[Any]:
    """A statement for paper: from the opening balance to the closing one, every line with what it came from."""
    asked = Asked.of(unit, since, until)
    found, names = await extract_of(request, asked, PRINT_LIMIT)
    return show(
        request,
        "volunteer/statement_print.html",
        asked=asked,
        name=names.get(member(request).member_id, speaker(request).gettext("(erased)")),
        found=found,
        names=names,
        now=bank_of(request).clock(),
        limit=PRINT_LIMIT,
    )


@get("/statement.csv")
async def table(
    request: AnyRequest,
    unit: FromQuery[str] = "point",
    since: FromQuery[str | None] = None,
    until: FromQuery[str | None] = None,
) -> Response[bytes]:
    """A statement for spreadsheets."""
    asked = Asked.of(unit, since, until)
    found, names = await extract_of(request, asked, TABLE_LIMIT)
    days = "".join(f"-{day}" for day in (asked.period.since, asked.period.until) if day)
    return csv_file.download(f"statement-{asked.unit}s{days}.csv", rows_of(found, names, speaker(request)))


def rows_of(found: Extract, names: dict[UUID, str], spoken: Language) -> Iterable[list[Cell]]:
    """The table: its head, what was there, the lines, what is there. Times are the community's."""
    yield [spoken.gettext(column) for column in COLUMNS]
    if found.is_cut:
        yield sum_row(cut_words(spoken, TABLE_LIMIT), None)
    yield sum_row(spoken.gettext("Opening balance"), found.opening)
    for line, balance in found.lines:
        yield row_of(line, balance, names, spoken)
    yield sum_row(spoken.gettext("Closing balance"), found.closing)


def cut_words(spoken: Language, limit: int) -> str:
    """That lines are missing at the beginning."""
    return spoken.say(
        "Only the latest %(limit)s lines are here. Choose a shorter period to see the others.",
        limit=spoken.number(limit),
    )


def sum_row(title: str, balance: int | None) -> list[Cell]:
    """A row that is no line."""
    return [None, title, None, balance, *[None] * (EMPTY - 4)]


def row_of(line: Line, balance: int, names: dict[UUID, str], spoken: Language) -> list[Cell]:
    """One line, in the order of `COLUMNS`."""
    record, correction, redemption = line.record, line.correction, line.redemption
    scans = {punch.kind: punch for punch in line.punches}
    cells: list[Cell] = [
        plain(line.recorded_at, spoken),
        words.of(words.LINES, spoken, line.kind),
        line.amount,
        balance,
        spoken.pick(line.fund_zh, line.fund_en) if line.fund_zh else None,
        line.expires_on.isoformat() if line.expires_on else None,
        spoken.pick(record.kind_zh, record.kind_en) if record else None,
        spoken.pick(record.station_zh, record.station_en) if record else None,
    ]
    for kind in ("in", "out"):
        scan = scans.get(kind)
        cells += [plain(scan.occurred_at, spoken), words.of(words.SOURCES, spoken, scan.source)] if scan else [None] * 2
    return [
        *cells,
        record.measured_minutes if record else None,
        line.credited_minutes,
        record.grade if record else None,
        names.get(line.verified_by, spoken.gettext("(erased)")) if line.verified_by else None,
        plain(line.verified_at, spoken),
        line.policy_number,
        correction.minutes_before if correction else None,
        correction.minutes_after if correction else None,
        spoken.pick(redemption.reward_zh, redemption.reward_en) if redemption else None,
        str(record.id) if record else None,
        str(line.transfer_id),
    ]


def plain(moment: Any, spoken: Language) -> str | None:
    """A moment as every spreadsheet reads it."""
    return spoken.local(moment).strftime("%Y-%m-%d %H:%M") if moment else None


@get("/queue/{record_id:uuid}/statement")
async def of_branch(
    request: AnyRequest,
    record_id: FromPath[UUID],
    unit: FromQuery[str] = "point",
    since: FromQuery[str | None] = None,
    until: FromQuery[str | None] = None,
    before: FromQuery[str | None] = None,
) -> Response[Any]:
    """Where a volunteer's points come from, as far as from the stations of this manager. The look is kept."""
    bank, spoken = bank_of(request), speaker(request)
    asked, wrong = Asked.or_all(unit, since, until)
    path = f"/queue/{record_id}/statement"
    async with bank.engine.begin() as connection:
        found = await statements.of_branch(
            connection,
            bank.book_id,
            record_id,
            actor_id=member(request).member_id,
            now=bank.clock(),
            unit=asked.unit,
            period=asked.period,
            before=before,
            limit=limit_of(request),
        )
        names = await verifiers(connection, bank, found.page.lines)
        names |= await members.names(connection, bank.book_id, bank.keys, [found.record.member_id])
    return show(
        request,
        "station/statement.html",
        way="/queue",
        **told(request, wrong, since, until),
        path=path,
        record_id=record_id,
        name=names.get(found.record.member_id, spoken.gettext("(erased)")),
        asked=asked,
        choices=asked.choices(request, path),
        total_sum=found.total,
        lines=found.page.lines,
        names=names,
        older=f"{path}?{asked.query(before=found.page.following)}" if found.page.following else None,
    )


handlers = [statement, printed, table, of_branch]
