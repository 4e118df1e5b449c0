"""A bank with its demo city for all browser tests, one browser, and people who use it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.browser.bank import Service, started
from tests.browser.people import Open, Watched, launched
from tests.directories import short_directory

# So long, each of them, that another worker may take the next.
BY_THEMSELVES = ("test_every_page",)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let one worker run a whole file, which shares what it has opened, but for what is long by itself."""
    for item in items:
        if item.path.parent.name in ("browser", "fuzz") and item.get_closest_marker("xdist_group") is None:
            alone = item.name.startswith(BY_THEMSELVES) or item.path.stem == "test_openapi"
            item.add_marker(pytest.mark.xdist_group(item.name if alone else item.path.stem))


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
