"""Pictures of pages: for the docs, small enough to live in the repository."""

import io
import os
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page

FOLDER = Path(__file__).parents[2] / "docs" / "images"
# Flat colours and text: more would not be seen.
COLOURS = 128


def keep_picture(page: Page, name: str) -> None:
    """Save what the page looks like for the docs, when TIMEBANK_PICTURES=1 asks for it."""
    if os.environ.get("TIMEBANK_PICTURES") == "1":
        FOLDER.mkdir(parents=True, exist_ok=True)
        save_small(page.screenshot(), FOLDER / f"{name}.png")


def keep_sheet(sheet: Image.Image, name: str, pixels: tuple[int, int]) -> None:
    """Save a sheet of paper for the docs, no larger than `pixels`, when TIMEBANK_PICTURES=1 asks for it."""
    if os.environ.get("TIMEBANK_PICTURES") == "1":
        FOLDER.mkdir(parents=True, exist_ok=True)
        smaller = sheet.convert("RGB")
        smaller.thumbnail(pixels, Image.Resampling.LANCZOS)
        smaller.quantize(COLOURS, dither=Image.Dither.NONE).save(FOLDER / f"{name}.png", optimize=True)


def save_small(png: bytes, path: Path) -> None:
    """A picture with a palette, a third of the size."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
