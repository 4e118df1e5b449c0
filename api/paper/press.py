"""The press: one sheet and its data become a PDF, off the event loop, one after the other, and never too many at once.

Typesetting takes some hundredths of a second of one core, and a compiler works on one thing at a time. So a process
has one press with one thread; who comes when the queue is full is told to come again.
"""

import asyncio
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.metadata import files
from pathlib import Path
from typing import Any, Literal

import typst
from litestar import Response

from timebank.errors import Busy

# What sheets may read: themselves, and the pictures of ours.
ROOT = Path(__file__).parents[1]
SHEETS = Path(__file__).with_name("sheets")
# Chinese faces that systems come with, the first that is there; the one that is installed with the bank is last.
FAMILIES = (
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "Source Han Sans SC",
    "Source Han Sans CN",
    "Microsoft YaHei",
    "PingFang SC",
    "WenQuanYi Micro Hei",
)
PACKAGED_FAMILY = "Noto Sans CJK TC"
PACKAGE = "cvttf-notosanscjk-regular"
# How many may wait for the press of one process: some seconds' work.
QUEUE_LIMIT = 40

thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="press")
waiting = 0


@cache
def packaged_fonts() -> list[str]:
    """The folder of the font that is installed with the bank."""
    found = [Path(str(file.locate())).resolve() for file in files(PACKAGE) or () if file.suffix in (".otf", ".ttf")]
    return sorted({str(path.parent) for path in found if path.is_file() and path.parent.name.startswith("cvttf")})


@cache
def compiler(*, system_fonts: bool = True) -> tuple[typst.Compiler, list[str]]:
    """The compiler of this process, and the families that sheets are set in. Only the press's own thread may use it."""
    fonts = typst.Fonts(
        include_system_fonts=system_fonts, include_embedded_fonts=False, font_paths=list(packaged_fonts())
    )
    there = set(fonts.families())
    chosen = next((family for family in FAMILIES if family in there), None)
    return typst.Compiler(root=ROOT, font_paths=fonts), [*([chosen] if chosen else []), PACKAGED_FAMILY]


def typeset(
    sheet: str, data: Mapping[str, Any], *, form: Literal["pdf", "png"] = "pdf", system_fonts: bool = True
) -> list[bytes]:
    """One sheet with its data, at once: the PDF, or a picture of each page."""
    typesetter, families = compiler(system_fonts=system_fonts)
    made = typesetter.compile(
        SHEETS / f"{sheet}.typ",
        format=form,
        ppi=200,
        sys_inputs={"data": json.dumps({**data, "families": families})},
    )
    if made is None:
        raise ValueError("the press gave nothing")
    return made if isinstance(made, list) else [made]


async def pdf(sheet: str, data: Mapping[str, Any]) -> bytes:
    """The PDF of a sheet. Raises `busy` when too many wait already."""
    global waiting
    if waiting >= QUEUE_LIMIT:
        raise Busy()
    waiting += 1
    try:
        (made,) = await asyncio.get_running_loop().run_in_executor(thread, lambda: typeset(sheet, data))
        return made
    finally:
        waiting -= 1


async def printed(sheet: str, data: Mapping[str, Any], name: str) -> Response[bytes]:
    """The PDF as an answer that browsers show; kept, it is called `name`, which is plain ASCII."""
    return Response(
        await pdf(sheet, data),
        media_type="application/pdf",
        headers={"Content-Disposition": f'inline; filename="{name}.pdf"', "Cache-Control": "no-store"},
    )
