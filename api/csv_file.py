"""Tables for spreadsheets: CSV (RFC 4180) in UTF-8, with the mark by which Excel knows it."""

import csv
import io
from collections.abc import Iterable, Sequence

from litestar import Response

MARK = "\ufeff"
# What a spreadsheet takes for the beginning of a formula; in Chinese ones the wide signs too.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")

Cell = str | int | None


def neutral(cell: Cell) -> Cell:
    """The cell such that no spreadsheet computes what somebody wrote into a name. Numbers stay numbers."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell


def written(rows: Iterable[Sequence[Cell]]) -> str:
    """The text of a file with these rows."""
    out = io.StringIO()
    writer = csv.writer(out)
    for row in rows:
        writer.writerow([neutral(cell) for cell in row])
    return MARK + out.getvalue()


def download(name: str, rows: Iterable[Sequence[Cell]]) -> Response[bytes]:
    """A file that the browser keeps under `name`, which is plain ASCII."""
    return Response(
        written(rows).encode(),
        media_type="text/csv",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )
