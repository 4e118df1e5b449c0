"""Lists as spreadsheets: every list of the bank for programs, whole, as CSV or XLSX, by the route that it has anyway.

The pages are asked of the list's own route, one after the other, so who sees what, and by which filters, is decided in
one place. The file is made on the disk first and sent when it is whole: half a list looks like a whole one.
"""

import asyncio
import contextlib
import csv
import io
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import IO, Any, Protocol, get_args, get_origin
from urllib.parse import parse_qsl, urlencode
from zoneinfo import ZoneInfo

import msgspec
import xlsxwriter
from litestar import Request, Response
from litestar.response import Stream

from api.auth import member_of
from api.column_words import title
from api.csv_file import MARK, neutral
from api.language import Language, language
from api.problems import Problem, locale_of
from api.state import Bank, bank_of
from timebank import limits, trail
from timebank.errors import Busy
from timebank.limits import Limit

AnyRequest = Request[Any, Any, Any]
PageOf = Callable[[AnyRequest], Awaitable[Response[Any]]]
Path = tuple[str, ...]
Cell = str | int | date | None

# How many items are read at once, and how many a file has at most; a spreadsheet's sheet ends at 1,048,576.
PAGE_ROWS = 500
ROWS_LIMIT = 200_000
# How many files one process makes at once, and how many one member asks for.
AT_ONCE = 4
OFTEN = Limit("download", 120, timedelta(minutes=10))
REFUSALS = ("list_too_long", "try_later")
# Where these are in a list, it holds what is known of other people.
PERSONAL = {"member_id", "member_name", "name", "phone", "personal"}
# Where the size of a page stands in a request of our own.
PAGE_SIZE = "download_page_rows"
CHUNK_BYTES = 64 * 1024
# No cell of a sheet holds more.
CELL_LIMIT = 32_767


class Table(Protocol):
    """A file that rows are written into, one page after the other."""

    def write(self, rows: Iterable[Sequence[Cell]]) -> None:
        """Add rows."""

    def close(self) -> None:
        """Finish the file; nothing can be added any more."""


class CsvTable:
    """Rows as RFC 4180 has them, in UTF-8, with the mark by which Excel knows it. No cell is computed."""

    def __init__(self, file: IO[bytes]) -> None:
        self.text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
        self.text.write(MARK)
        self.writer = csv.writer(self.text)

    def write(self, rows: Iterable[Sequence[Cell]]) -> None:
        """Add rows."""
        self.writer.writerows([neutral(plain(cell)) for cell in row] for row in rows)

    def close(self) -> None:
        """Let go of the file, which stays open."""
        self.text.detach()


class XlsxTable:
    """One sheet, row by row, of which only the last is held in memory. Texts are texts, and never formulas."""

    def __init__(self, file: IO[bytes]) -> None:
        self.book = xlsxwriter.Workbook(file, {"constant_memory": True})
        self.sheet = self.book.add_worksheet()
        self.sheet.freeze_panes(1, 0)
        self.head = self.book.add_format({"bold": True})
        self.of_moment = self.book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        self.of_day = self.book.add_format({"num_format": "yyyy-mm-dd"})
        self.row = 0

    def write(self, rows: Iterable[Sequence[Cell]]) -> None:
        """Add rows; the very first is the head."""
        for row in rows:
            for column, cell in enumerate(row):
                self.put(column, cell)
            if self.row == 0:
                self.sheet.set_column(0, max(len(row) - 1, 0), 18)
            self.row += 1

    def put(self, column: int, cell: Cell) -> None:
        """One cell of the present row, by what it is."""
        if isinstance(cell, bool):
            self.sheet.write_boolean(self.row, column, cell)
        elif isinstance(cell, int):
            self.sheet.write_number(self.row, column, cell)
        elif isinstance(cell, date):
            form = self.of_moment if isinstance(cell, datetime) else self.of_day
            self.sheet.write_datetime(self.row, column, cell, form)
        elif cell is not None:
            self.sheet.write_string(self.row, column, cell[:CELL_LIMIT], self.head if self.row == 0 else None)

    def close(self) -> None:
        """Write the file from its parts."""
        self.book.close()


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file."""

    name: str
    media_type: str
    table: Callable[[IO[bytes]], Table]


FORMATS = {
    form.name: form
    for form in (
        Format("csv", "text/csv", CsvTable),
        Format("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", XlsxTable),
    )
}


def plain(cell: Cell) -> str | int | None:
    """A cell in a file that knows texts alone."""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, datetime):
        return cell.strftime("%Y-%m-%d %H:%M:%S")
    return cell.isoformat() if isinstance(cell, date) else cell


def list_field(shape: type) -> tuple[str, type]:
    """The field of an answer that is its list, and what is in it."""
    (found,) = [field for field in msgspec.structs.fields(shape) if get_origin(field.type) is list]
    return found.name, get_args(found.type)[0]


def columns(shape: type, path: Path = ()) -> list[Path]:
    """The columns of a list of `shape`: its fields, and those of a thing within it."""
    found: list[Path] = []
    for field in msgspec.structs.fields(shape):
        inner = [kind for kind in (field.type, *get_args(field.type)) if is_shape(kind)]
        if inner and get_origin(field.type) is not list:
            found += columns(inner[0], (*path, field.name))
        else:
            found.append((*path, field.name))
    return found


def is_shape(kind: Any) -> bool:
    """Whether a type has fields of its own."""
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def is_personal(shape: type) -> bool:
    """Whether an answer tells of other people than its reader."""
    _, item = list_field(shape)
    named = {field.name for each in (shape, item) for field in msgspec.structs.fields(each)}
    return bool(named & PERSONAL)


def cell_of(item: Any, path: Path, zone: ZoneInfo) -> Cell:
    """What a column holds of one item: times on the community's clock, several words side by side, else as in JSON."""
    value = item
    for name in path:
        value = None if value is None else getattr(value, name)
    if isinstance(value, datetime):
        return value.astimezone(zone).replace(tzinfo=None, microsecond=0)
    if value is None or isinstance(value, str | int | date):
        return value
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return ", ".join(value)
    if isinstance(value, list | dict):
        return msgspec.json.encode(value).decode()
    return str(value)


def page_size(request: AnyRequest) -> int | None:
    """How many items a page has that is read for a file; None for what people and programs ask."""
    found: int | None = request.scope["state"].get(PAGE_SIZE)
    return found


def asking(request: AnyRequest, cursor: str | None) -> AnyRequest:
    """The request for one page of what `request` wants whole."""
    query = parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True)
    left_out = {"format", "limit"} | ({"cursor"} if cursor else set())
    asked = [pair for pair in query if pair[0] not in left_out] + ([("cursor", cursor)] if cursor else [])
    # What the framework keeps of a request, its parsed query among it, is the other one's.
    state = {name: value for name, value in request.scope["state"].items() if not name.startswith("_ls_")}
    scope: Any = {
        **request.scope,
        "query_string": urlencode(asked).encode(),
        "state": {**state, PAGE_SIZE: PAGE_ROWS},
    }
    return Request(scope)


async def whole_list(request: AnyRequest, path: str, shape: type, form: Format, page: PageOf) -> Response[Any]:
    """The whole list as a file. `path` is the list's own, `shape` what `page` answers in JSON.

    Raises `list_too_long`, `try_later`, `busy`, and whatever the list itself refuses.
    """
    bank = bank_of(request)
    if bank.downloads_under_way >= AT_ONCE:
        raise Busy()
    bank.downloads_under_way += 1
    try:
        with contextlib.ExitStack() as stack:
            # No other process sees the file: it has no name.
            file = stack.enter_context(tempfile.TemporaryFile())
            await count(request, bank)
            rows = await fill(request, file, shape, form, page)
            await note(request, bank, path, shape, form, rows)
            size = file.seek(0, io.SEEK_END)
            file.seek(0)
            # It is closed when it is sent.
            stack.pop_all()
    finally:
        bank.downloads_under_way -= 1
    name = f"{path.strip('/').split('/')[-1]}-{bank.clock().astimezone(bank.settings.time_zone):%Y-%m-%d}.{form.name}"
    return Stream(
        chunks(file),
        media_type=form.media_type,
        headers={"Content-Disposition": f'attachment; filename="{name}"', "Content-Length": str(size)},
    )


async def count(request: AnyRequest, bank: Bank) -> None:
    """Count one file of this member's; `try_later` when there were many."""
    async with bank.engine.begin() as connection:
        await limits.count(connection, bank.book_id, OFTEN, member_of(request).member_id.bytes, bank.clock())


async def fill(request: AnyRequest, file: IO[bytes], shape: type, form: Format, page: PageOf) -> int:
    """Write the list into a file, page by page; answers how many items there were."""
    name, item = list_field(shape)
    spoken = speaker(request)
    paths = columns(item)
    table = form.table(file)
    await asyncio.to_thread(table.write, [[title(spoken, path) for path in paths]])
    rows, cursor = 0, None
    while True:
        answer: Any = msgspec.json.decode((await page(asking(request, cursor))).content, type=shape)
        items = getattr(answer, name)
        rows += len(items)
        if rows > ROWS_LIMIT:
            raise Problem("list_too_long", {"limit": ROWS_LIMIT})
        await asyncio.to_thread(table.write, [[cell_of(each, path, spoken.zone) for path in paths] for each in items])
        cursor = answer.following
        if cursor is None:
            await asyncio.to_thread(table.close)
            return rows


def speaker(request: AnyRequest) -> Language:
    """The reader's language, in the community's time zone."""
    return language(locale_of(request), bank_of(request).settings.time_zone.key)


async def note(request: AnyRequest, bank: Bank, path: str, shape: type, form: Format, rows: int) -> None:
    """Keep who takes away what is known of other people, before it leaves."""
    if not is_personal(shape):
        return
    reader = member_of(request).member_id
    async with bank.engine.begin() as connection:
        await trail.write(
            connection,
            bank.book_id,
            actor_id=reader,
            action="list.download",
            subject_kind="member",
            subject_id=reader,
            after={"list": path.partition(":")[0], "format": form.name, "rows": rows},
            now=bank.clock(),
        )


async def chunks(file: IO[bytes]) -> AsyncIterator[bytes]:
    """The file's content, which is gone afterwards."""
    try:
        while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
            yield chunk
    finally:
        file.close()
