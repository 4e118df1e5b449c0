"""A bank with its demo city for all browser tests, one browser, and people who use it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.browser.bank import Service, started
from tests.browser.people import Open, Watched, launched
from tests.directories import short_directory


@pytest.fixture(scope="session")
def service() -> Iterator[Service]:
    """A running bank."""
    with short_directory() as directory, started(directory / "data") as service:
        yield service


@pytest.fixture(scope="session")
def browser(chromium: Path) -> Iterator[Browser]:
    """One headless Chromium."""
    with launched(chromium) as browser:
        yield browser


@pytest.fixture
def opened(browser: Browser, service: Service) -> Iterator[Open]:
    """Opens browsers of people, each with nothing remembered; afterwards none of them may have complained."""
    people: list[Watched] = []

    def open_one(language: str = "en", viewport: Any = None, *, address: str = "", **more: Any) -> Watched:
        people.append(Watched.of(browser, address or service.address, language, viewport, **more))
        return people[-1]

    yield open_one
    complaints = [words for person in people for words in person.complaints]
    for person in people:
        person.context.close()
    assert complaints == []
