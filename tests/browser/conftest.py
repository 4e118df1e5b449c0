"""A bank as anybody starts it, with its demo city, and a real browser to use it with."""

import io
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import zxingcpp
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Locator, Page, sync_playwright

from api.language import COOKIE
from timebank.demo import SIGN_INS
from timebank.keys import Keys

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PHONE = {"width": 360, "height": 740}
DESK = {"width": 1280, "height": 800}
START_SECONDS = 120
PICTURES = Path(__file__).parents[2] / "docs" / "images"


@dataclass
class Service:
    """A running bank."""

    address: str
    data: Path
    environment: dict[str, str]

    @property
    def keys(self) -> Keys:
        """The keys that it made at its first start."""
        return Keys.load(self.data / "keys.json")

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """One `timebank` command beside it."""
        return subprocess.run(
            [sys.executable, "-m", "api.cli", *words],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


def free_port() -> int:
    """A port of the loopback address that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """`timebank run --demo` on a data directory of its own."""
    data, port = tmp_path_factory.mktemp("bank"), free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TIMEBANK_")}
    environment |= {"TIMEBANK_DATA": str(data), "TIMEBANK_PORT": str(port), "TIMEBANK_DEMO": "1"}
    log = (data.parent / "bank.log").open("w+")
    process = subprocess.Popen(
        [sys.executable, "-m", "api.cli", "run", "--demo"], env=environment, stdout=log, stderr=subprocess.STDOUT
    )
    try:
        address = f"http://127.0.0.1:{port}"
        wait_until_ready(process, address, log)
        yield Service(address, data, environment)
    finally:
        process.terminate()
        process.wait(60)
        log.close()


def wait_until_ready(process: subprocess.Popen[Any], address: str, log: Any) -> None:
    """Wait for the bank to say that it is ready; its log when it ends instead."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/health/ready", timeout=2):  # noqa: S310
                return
        except OSError:
            time.sleep(0.2)
    log.seek(0)
    raise AssertionError(log.read()[-4000:])


@pytest.fixture(scope="session")
def browser(chromium: Any) -> Iterator[Browser]:
    """One headless Chromium for all tests."""
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

    def page(self) -> Page:
        """A new tab."""
        page = self.context.new_page()
        page.on("console", lambda message: self.complain(page, message.type, message.text))
        page.on("pageerror", lambda error: self.complain(page, "error", str(error)))
        return page

    def complain(self, page: Page, kind: str, words: str) -> None:
        """Remember an error or a warning. That a refused page has a refusing status is no complaint."""
        if kind in ("error", "warning") and "the server responded with a status of 4" not in words:
            self.complaints.append(f"{page.url}: {words}")

    def sign_in(self, role: str) -> Page:
        """A tab in which one of the demo's people has signed in with one tap."""
        page = self.page()
        page.goto(f"{self.address}/sign-in")
        page.click(f"form:has(input[value='{phone_of(role)}']) button")
        page.wait_for_url(f"{self.address}/")
        return page


def phone_of(role: str) -> str:
    """The number under which the demo's person with this role signs in."""
    return next(person.phone for person in SIGN_INS if person.role == role)


Open = Callable[..., Watched]


@pytest.fixture
def opened(browser: Browser, service: Service) -> Iterator[Open]:
    """Opens browsers of people, each with nothing remembered; afterwards none of them may have complained."""
    people: list[Watched] = []

    def open_one(language: str = "en", viewport: dict[str, int] | None = None, **more: Any) -> Watched:
        context = browser.new_context(locale=language, viewport=viewport or PHONE, **more)
        # Chosen as with the switch in the head: the demo's people prefer Chinese, whatever their browser asks for.
        context.add_cookies([{"name": COOKIE, "value": language, "url": service.address}])
        context.set_default_timeout(15_000)
        people.append(Watched(context, service.address))
        return people[-1]

    yield open_one
    complaints = [words for person in people for words in person.complaints]
    for person in people:
        person.context.close()
    assert complaints == []


def read_picture(locator: Locator) -> str:
    """What the QR code says that stands in this part of the page, read from its picture as a camera would."""
    (found,) = zxingcpp.read_barcodes(Image.open(io.BytesIO(locator.screenshot())))
    return str(found.text)


def keep_picture(page: Page, name: str) -> None:
    """Save what the page looks like for the docs, when TIMEBANK_PICTURES=1 asks for it."""
    if os.environ.get("TIMEBANK_PICTURES") == "1":
        PICTURES.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=PICTURES / f"{name}.png")
