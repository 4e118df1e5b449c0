"""People with their browsers: what they look through, how they sign in, how a code is read from its picture."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import zxingcpp
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect, sync_playwright

from api.language import COOKIE
from tests.browser.accessibility import WATCH_SHIFTS
from timebank.demo import SIGN_INS

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# A camera that shows a clip, and is allowed.
CAMERA = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
PHONE = {"width": 360, "height": 740}
DESK = {"width": 1280, "height": 800}
# Two browsers, two banks and a camera's decoder share few processors: patience is no measure of speed.
WAIT_MILLISECONDS = 45_000
expect.set_options(timeout=WAIT_MILLISECONDS)


@contextmanager
def launched(chromium: Path) -> Iterator[Browser]:
    """A headless Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(chromium), headless=True, args=FLAGS)
        yield browser
        browser.close()


class Watched:
    """A browser context of one person that remembers everything the browser complained of."""

    def __init__(self, context: BrowserContext, address: str) -> None:
        self.context = context
        self.address = address
        self.complaints: list[str] = []

    @classmethod
    def of(cls, browser: Browser, address: str, language: str, viewport: Any = None, **more: Any) -> "Watched":
        """Somebody who has never been here, and has chosen a language with the switch in the head.

        The switch, because the demo's people prefer Chinese, whatever their browser asks for.
        """
        # What a worker answers, a test could not see or change.
        chosen = {"service_workers": "block", **more}
        context = browser.new_context(locale=language, viewport=viewport or PHONE, **chosen)
        context.add_cookies([{"name": COOKIE, "value": language, "url": address}])
        context.set_default_timeout(WAIT_MILLISECONDS)
        context.add_init_script(WATCH_SHIFTS)
        return cls(context, address)

    def page(self, path: str = "") -> Page:
        """A new tab, empty or at one of the bank's pages."""
        page = self.context.new_page()
        page.on("console", lambda message: self.complain(page, message.type, message.text))
        page.on("pageerror", lambda error: self.complain(page, "error", str(error)))
        if path:
            page.goto(self.address + path)
        return page

    def complain(self, page: Page, kind: str, words: str) -> None:
        """Remember an error or a warning. That a refused page has a refusing status is no complaint."""
        if words == "Service Worker registration blocked by Playwright":
            return
        if kind in ("error", "warning") and "the server responded with a status of 4" not in words:
            self.complaints.append(f"{page.url}: {words}")

    def sign_in(self, role: str) -> Page:
        """A tab in which one of the demo's people has signed in with one tap."""
        page = self.page("/sign-in")
        page.click(f"form:has(input[value='{phone_of(role)}']) button")
        page.wait_for_url(f"{self.address}/")
        return page


Open = Callable[..., Watched]


def phone_of(role: str) -> str:
    """The number under which the demo's person with this role signs in."""
    return next(person.phone for person in SIGN_INS if person.role == role)


def read_picture(locator: Locator) -> str:
    """What the QR code says that stands in this part of the page, read from its picture as a camera would."""
    (found,) = zxingcpp.read_barcodes(Image.open(io.BytesIO(locator.screenshot())))
    return str(found.text)
