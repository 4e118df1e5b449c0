"""Spreadsheets made here, as messy as people make them."""

import csv
import io
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import xlsxwriter


def workbook(path: Path, rows: list[list[Any]], merged: list[tuple[int, int, int, int, Any]] = ()) -> Path:  # type: ignore[assignment]
    """An XLSX file; dates as Excel keeps them."""
    book = xlsxwriter.Workbook(path)
    sheet = book.add_worksheet("志愿者")
    days, spans = book.add_format({"num_format": "yyyy-mm-dd"}), book.add_format({"num_format": "[h]:mm"})
    for row, values in enumerate(rows):
        for column, value in enumerate(values):
            if isinstance(value, date):
                sheet.write_datetime(row, column, value, days)
            elif isinstance(value, timedelta):
                sheet.write_datetime(row, column, value, spans)
            elif value is not None:
                sheet.write(row, column, value)
    for first_row, first, last_row, last, value in merged:
        sheet.merge_range(first_row, first, last_row, last, value)
    hidden = book.add_worksheet("说明")
    hidden.write(0, 0, "请勿修改")
    book.close()
    return path


def text_file(path: Path, rows: list[list[Any]], encoding: str = "utf-8", separator: str = ",") -> Path:
    """A text file."""
    out = io.StringIO()
    csv.writer(out, delimiter=separator).writerows(rows)
    path.write_bytes(out.getvalue().encode(encoding))
    return path
