"""Paper as a reader has it: pages as pictures, codes read from them, the characters that a PDF really shows."""

import io
import re
import tempfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typst
import zxingcpp
from PIL import Image

from api.paper import press

# Everything that means something to typst, to HTML or to a shell, and longer than any line.
HOSTILE = '#panic("x") $x^2$ @ref \\ \' <b> *b* _i_ `c` // /* #{ } [ ] ~ -- " 骨直 ' + "长" * 240


def pictures(sheet: str, data: Mapping[str, Any], **how: Any) -> list[Image.Image]:
    """Every page of a sheet as a printer would draw it."""
    return [Image.open(io.BytesIO(page)) for page in press.typeset(sheet, data, form="png", **how)]


def pages_of(pdf: bytes) -> list[Image.Image]:
    """Every page of a PDF as a printer would draw it, whoever made it."""
    found: list[Image.Image] = []
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "paper.pdf").write_bytes(pdf)
        while True:
            sheet = f'#set page(width: auto, height: auto, margin: 0pt)\n#image("/paper.pdf", page: {len(found) + 1})'
            try:
                picture = typst.compile(sheet.encode(), root=folder, format="png", ppi=200)
            except typst.TypstError:
                # There is no such page.
                assert found
                return found
            found.append(Image.open(io.BytesIO(picture)))


def codes_on(picture: Image.Image) -> list[str]:
    """What the codes on a page say, from the top to the bottom and from the left to the right."""
    found = zxingcpp.read_barcodes(picture, formats=zxingcpp.BarcodeFormat.QRCode)
    assert all(each.valid for each in found)
    # Rows of codes, by a fifth of a page.
    found.sort(key=lambda each: (each.position.top_left.y * 10 // picture.height, each.position.top_left.x))
    return [each.text for each in found]


def characters(pdf: bytes) -> set[str]:
    """Every character that the pages of a PDF draw by a glyph of its own: what a font does not have is not among them.

    A PDF says beside each font which character each of its glyphs is (ISO 32000-1, 9.10.3).
    """
    found: set[str] = set()
    for stream in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", pdf, re.DOTALL):
        try:
            text = zlib.decompress(stream)
        except zlib.error:
            continue
        if b"begincmap" not in text:
            continue
        for part in re.findall(rb"beginbfchar\s(.*?)endbfchar", text, re.DOTALL):
            for glyph, characters in re.findall(rb"<([0-9A-Fa-f]+)>\s*<([0-9A-Fa-f]+)>", part):
                if int(glyph, 16):
                    found |= set(bytes.fromhex(characters.decode()).decode("utf-16-be"))
    return found
