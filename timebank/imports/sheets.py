"""The rows of a spreadsheet, whatever program wrote it: XLSX, XLS, ODS, and text with a separator in UTF-8 or GBK.

Nothing of the file is computed or run. What is in memory at one time is the sheet as the reader packs it, never its
rows as Python keeps them.
"""

import codecs
import csv
import io
import re
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, NamedTuple

from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, SheetVisibleEnum

from timebank.errors import BankError
from timebank.imports.cells import Cell

# What a file may unpack to; a hundred thousand rows of twenty columns are a tenth of it.
LARGEST_BYTES = 512 * 2**20
WIDEST = 200
ZIP, OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"
SEPARATORS = ",\t;|"
# Typed in Chinese; they stand in sentences, too, so they part cells only where nothing else does.
WIDE_SEPARATORS = "，；"
# What programs write so that a spreadsheet does not take a number for one: ="0123", '0123.
SHIELDED = re.compile(r"""="(.*)"|'(\d.*)""", re.DOTALL)
# Web pages, and XML of 2003, that are called .xls.
MARKED_UP = ("<!doctype", "<html", "<table", "<head", "<meta", "<?xml", "<style")


class SheetUnreadable(BankError):
    """The file is no spreadsheet that can be read. data: `reason`."""

    code = "sheet_unreadable"


class SheetRow(NamedTuple):
    """One row: its number as spreadsheet programs show it, and its cells."""

    number: int
    cells: Sequence[Cell]


def names(path: Path) -> list[str]:
    """The sheets of a workbook that are shown; none for text. `SheetUnreadable` for what is neither."""
    if not is_workbook(path):
        return []
    with opened(path) as workbook:
        return [each.name for each in workbook.sheets_metadata if each.visible == SheetVisibleEnum.Visible]


def rows(path: Path, sheet: str | None = None) -> Iterator[SheetRow]:
    """The rows that say anything, in order; of the first sheet unless another is named. `SheetUnreadable`."""
    for row in workbook_rows(path, sheet) if is_workbook(path) else text_rows(path):
        if any(cell not in (None, "") for cell in row.cells):
            yield row


def height(path: Path, sheet: str | None = None) -> int:
    """How many rows the file has, about: for whoever watches. `SheetUnreadable`."""
    if not is_workbook(path):
        with path.open("rb") as file:
            return sum(piece.count(b"\n") for piece in iter(lambda: file.read(2**20), b""))
    with opened(path) as workbook:
        return workbook.get_sheet_by_name(sheet or names(path)[0]).total_height


def is_workbook(path: Path) -> bool:
    """Whether the file is one of a spreadsheet program, judged by what it begins with."""
    with path.open("rb") as file:
        start = file.read(8)
    if start.startswith(ZIP):
        try:
            with zipfile.ZipFile(path) as packed:
                if sum(each.file_size for each in packed.infolist()) > LARGEST_BYTES:
                    raise SheetUnreadable(reason="too_large")
        except zipfile.BadZipFile:
            raise SheetUnreadable(reason="damaged") from None
        return True
    return start.startswith(OLE)


def opened(path: Path) -> CalamineWorkbook:
    """The workbook."""
    try:
        return CalamineWorkbook.from_path(path)
    except (CalamineError, OSError):
        raise SheetUnreadable(reason="damaged") from None


def workbook_rows(path: Path, sheet: str | None) -> Iterator[SheetRow]:
    """The rows of a sheet. A cell that is merged over several rows says the same in each of them."""
    known = names(path)
    if not known or (sheet is not None and sheet not in known):
        raise SheetUnreadable(reason="sheet")
    with opened(path) as workbook:
        try:
            page = workbook.get_sheet_by_name(sheet or known[0])
        except CalamineError:
            raise SheetUnreadable(reason="damaged") from None
        if page.start is None:
            return
        top, left = page.start
        merged = Merged(page, left)
        for offset, cells in enumerate(page.iter_rows()):
            yield SheetRow(top + offset + 1, merged.filled(top + offset, cells[:WIDEST]))


class Merged:
    """What merged cells say in the rows below the one that holds it."""

    def __init__(self, sheet: CalamineSheet, left: int) -> None:
        # (first row, last row, column) by first row; of a range over several columns the first one speaks.
        self.starting: dict[int, list[tuple[int, int]]] = {}
        for (first, column), (last, _) in sheet.merged_cell_ranges or ():
            if last > first:
                self.starting.setdefault(first, []).append((column - left, last))
        self.open: dict[int, tuple[int, Cell]] = {}

    def filled(self, number: int, cells: Sequence[Cell]) -> Sequence[Cell]:
        """The cells of row `number`, counted from 0, with what is merged into them."""
        starting = self.starting.get(number, ())
        if not starting and not self.open:
            return cells
        full = list(cells)
        self.open = {column: held for column, held in self.open.items() if held[0] >= number}
        for column, (_, cell) in self.open.items():
            if column < len(full) and full[column] in (None, ""):
                full[column] = cell
        for column, last in starting:
            if column < len(full):
                self.open[column] = (last, full[column])
        return full


def text_rows(path: Path) -> Iterator[SheetRow]:
    """The rows of a text file. Quotes as RFC 4180 has them."""
    if path.stat().st_size > LARGEST_BYTES:
        raise SheetUnreadable(reason="too_large")
    encoding = encoding_of(path)
    with path.open(encoding=encoding, newline="") as lines:
        start = lines.read(8192)
        if start.lstrip().lower().startswith(MARKED_UP):
            raise SheetUnreadable(reason="web_page")
        separator = separator_of(start)
        lines.seek(0)
        reader = csv.reader(without_nul(lines), delimiter=separator)
        try:
            for number, cells in enumerate(reader, 1):
                yield SheetRow(number, [bare(cell) for cell in cells[:WIDEST]])
        except csv.Error:
            raise SheetUnreadable(reason="damaged") from None


def bare(cell: str) -> str:
    """A cell without what shields a number from spreadsheets."""
    found = SHIELDED.fullmatch(cell) if cell[:1] in ("=", "'") else None
    return cell if found is None else found[1] or found[2] or ""


def without_nul(lines: IO[str]) -> Iterator[str]:
    """The lines, if they are text."""
    for line in lines:
        if "\0" in line:
            raise SheetUnreadable(reason="no_text")
        yield line


def encoding_of(path: Path) -> str:
    """UTF-16 or UTF-8 by their marks, else UTF-8 or GB 18030, whichever fits the whole file."""
    with path.open("rb") as file:
        start = file.read(4)
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            with path.open("rb") as file:
                decoder = codecs.getincrementaldecoder(encoding)()
                while piece := file.read(io.DEFAULT_BUFFER_SIZE * 16):
                    decoder.decode(piece)
                decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            continue
        return encoding
    raise SheetUnreadable(reason="encoding")


def separator_of(start: str) -> str:
    """The separator that the first lines have most of."""
    first = "\n".join(start.splitlines()[:10])
    found = max(SEPARATORS, key=first.count)
    return found if found in first else max(WIDE_SEPARATORS, key=first.count)
