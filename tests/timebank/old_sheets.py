"""Spreadsheets as programs other than Excel of today write them: the binary XLS of 1997, and ODS.

Nothing here writes such files well; what is written is what the formats ask for, and no more.
"""

import struct
import zipfile
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

EPOCH = date(1899, 12, 30)
SECTOR_BYTES = 512
# Below this a stream would lie in sectors of another size.
SMALLEST_STREAM_BYTES = 4096
FREE, END, FAT = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD
Rows = Sequence[Sequence[Any]]


def write_xls(path: Path, sheet: str, rows: Rows, merged: Sequence[tuple[int, int, int, int]] = ()) -> Path:
    """A workbook of BIFF8 records ([MS-XLS]) in a compound file ([MS-CFB]). `merged`: first and last row, first and
    last column."""
    texts = list(dict.fromkeys(cell for row in rows for cell in row if isinstance(cell, str)))
    body = begin(0x0010) + record(0x0200, struct.pack("<IIHHH", 0, len(rows), 0, max(map(len, rows)), 0))
    for number, row in enumerate(rows):
        for column, cell in enumerate(row):
            if isinstance(cell, str):
                body += record(0x00FD, struct.pack("<HHHI", number, column, 0, texts.index(cell)))
            elif isinstance(cell, date):
                body += record(0x0203, struct.pack("<HHHd", number, column, 1, (cell - EPOCH).days))
            elif cell is not None:
                body += record(0x0203, struct.pack("<HHHd", number, column, 0, cell))
    body += record(0x00E5, struct.pack("<H", len(merged)) + b"".join(struct.pack("<HHHH", *each) for each in merged))
    body += record(0x000A)
    # How a cell is formatted: 0 as it stands, 14 as a day.
    head = begin(0x0005) + record(0x0042, struct.pack("<H", 1200))
    head += b"".join(record(0x00E0, struct.pack("<HH", 0, form) + bytes(16)) for form in (0, 14))
    shared = struct.pack("<II", len(texts), len(texts)) + b"".join(
        struct.pack("<HB", len(each), 1) + wide(each) for each in texts
    )
    head += record(0x00FC, shared)
    named = struct.pack("<BBBB", 0, 0, len(sheet), 1) + wide(sheet)
    # Where the sheet begins: after this record, which is 8 bytes and a name, and the end of the head.
    start = len(head) + 4 + 4 + len(named) + 4
    head += record(0x0085, struct.pack("<I", start) + named) + record(0x000A)
    path.write_bytes(compound("Workbook", head + body))
    return path


def begin(kind: int) -> bytes:
    """The record that begins the workbook, or a sheet."""
    return record(0x0809, struct.pack("<HHHHII", 0x0600, kind, 0x0DBB, 0x07CC, 0, 6))


def record(kind: int, body: bytes = b"") -> bytes:
    """One record."""
    return struct.pack("<HH", kind, len(body)) + body


def wide(text: str) -> bytes:
    """A text, two bytes for each character."""
    return text.encode("utf-16-le")


def compound(name: str, stream: bytes) -> bytes:
    """A compound file with one stream: the table of sectors, the directory, and the stream behind them."""
    stream = stream.ljust(SMALLEST_STREAM_BYTES, b"\0")
    sectors = -(-len(stream) // SECTOR_BYTES)
    chain = [FAT, END, *range(3, sectors + 2), END]
    table = struct.pack("<128I", *chain, *[FREE] * (128 - len(chain)))
    header = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(16) + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6) + bytes(6)
    header += struct.pack("<IIIIIIIII", 0, 1, 1, 0, SMALLEST_STREAM_BYTES, END, 0, END, 0)
    header += struct.pack("<109I", 0, *[FREE] * 108)
    directory = entry("Root Entry", 5, child=1, start=END, size=0) + entry(
        name, 2, child=FREE, start=2, size=len(stream)
    )
    return header + table + directory.ljust(SECTOR_BYTES, b"\0") + stream.ljust(sectors * SECTOR_BYTES, b"\0")


def entry(name: str, kind: int, *, child: int, start: int, size: int) -> bytes:
    """One entry of the directory."""
    text = wide(name)
    head = text.ljust(64, b"\0") + struct.pack("<HBBIII", len(text) + 2, kind, 1, FREE, FREE, child)
    return head + bytes(16 + 4 + 16) + struct.pack("<IQ", start, size)


def write_ods(path: Path, sheet: str, rows: Rows) -> Path:
    """A spreadsheet of OpenDocument."""
    lines = "".join(f"<table:table-row>{''.join(map(ods_cell, row))}</table:table-row>" for row in rows)
    names = {
        "office": "urn:oasis:names:tc:opendocument:xmlns:office:1.0",
        "table": "urn:oasis:names:tc:opendocument:xmlns:table:1.0",
        "text": "urn:oasis:names:tc:opendocument:xmlns:text:1.0",
    }
    spaces = " ".join(f'xmlns:{short}="{name}"' for short, name in names.items())
    content = (
        f'<?xml version="1.0" encoding="UTF-8"?><office:document-content {spaces} office:version="1.3"><office:body>'
        f'<office:spreadsheet><table:table table:name="{escape(sheet)}">{lines}</table:table></office:spreadsheet>'
        "</office:body></office:document-content>"
    )
    kind = "application/vnd.oasis.opendocument.spreadsheet"
    manifest = (
        '<?xml version="1.0" encoding="UTF-8"?><manifest:manifest manifest:version="1.3" '
        'xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0">'
        f'<manifest:file-entry manifest:full-path="/" manifest:media-type="{kind}"/>'
        '<manifest:file-entry manifest:full-path="content.xml" manifest:media-type="text/xml"/></manifest:manifest>'
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr(zipfile.ZipInfo("mimetype"), kind)
        packed.writestr("META-INF/manifest.xml", manifest)
        packed.writestr("content.xml", content)
    return path


def ods_cell(cell: Any) -> str:
    """One cell."""
    if cell is None:
        return "<table:table-cell/>"
    if isinstance(cell, date):
        kind = f'office:value-type="date" office:date-value="{cell.isoformat()}"'
    elif isinstance(cell, str):
        kind = 'office:value-type="string"'
    else:
        kind = f'office:value-type="float" office:value="{cell}"'
    return f"<table:table-cell {kind}><text:p>{escape(str(cell))}</text:p></table:table-cell>"
