"""Every page in every state as a picture, in both languages, on a phone, on a desk and in 大字, to be looked at.

`python -m tests.browser.screenshots DIRECTORY [LANGUAGE]` opens a demo bank for each language, or for the one that is
named, and lives through a few days in it.
"""

import re
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser

from api.guards import ACCESS
from tests.browser import corners, scenes
from tests.browser.bank import Service, started
from tests.browser.people import DESK, Watched, launched
from tests.browser.photographer import PASSWORD, SIZES, Photographer
from tests.browser.places import PAGES, page_routes, shows, visit
from tests.browser.scenes import NEW_CLERK, NEWCOMER
from tests.tools import find_chromium

LANGUAGES = ("zh-CN", "en")
# A bank with an authority of its own has it.
NOT_IN_A_DEMO = ("/trust",)


def tour(camera: Photographer) -> None:
    """Every page that a role has, once more and whole, as the tests visit them."""
    for role in PAGES:
        person = camera.person()
        page = person.sign_in(role) if role else person.page()
        for path in visit(page, camera.service, role):
            shown = urlsplit(path).path.strip("/") or "home"
            camera.take(page, f"tour-{role or 'stranger'}-{re.sub(r'[^a-z]+', '-', shown)[:40].strip('-')}")


def unseen(seen: set[str]) -> list[str]:
    """The pages of the table of guards that no picture shows."""
    return [route for route in page_routes(ACCESS) if route not in NOT_IN_A_DEMO and not shows(route, seen)]


def all_pictures(browser: Browser, service: Service, language: str, folder: Path) -> Photographer:
    """Live through the days, and take everything on the way."""
    camera = Photographer(browser, service, language, folder)
    for phone, name in ((NEWCOMER, "锦小柳"), (NEW_CLERK, "锦小杨")):
        service.run("user", "add", "--name", name, "--phone", phone, "--region", "360102002005", "--password", PASSWORD)
    service.run("grant", "clerk", "--phone", NEW_CLERK, "--region", "360102008002")
    screen = Watched.of(browser, service.address, language, DESK).sign_in("manager")
    screen.goto(f"{service.address}/stations/1/screen")
    scenes.stranger(camera, scenes.scan(screen))
    scenes.newcomer(camera)
    phone = camera.person().sign_in("volunteer")
    scenes.volunteer(camera, phone, screen)
    code, digits = scenes.redeems(camera, phone)
    scenes.manager(camera, screen)
    scenes.kiosk(camera)
    scenes.clerk(camera, code, digits)
    scenes.admin(camera)
    scenes.paper(camera, phone, screen)
    scenes.joins(camera, screen)
    corners.documents(camera, screen, (NEWCOMER, NEW_CLERK))
    tour(camera)
    scenes.aside(camera, phone, screen)
    scenes.later(camera, phone)
    corners.told(camera, screen)
    return camera


def in_language(language: str, folder: Path) -> set[str]:
    """All pictures of a bank of its own; answers the paths that they show."""
    with (
        launched(find_chromium()) as browser,
        tempfile.TemporaryDirectory(prefix="timebank-pictures-") as data,
        started(Path(data) / "bank") as service,
    ):
        camera = all_pictures(browser, service, language, folder)
    print(f"{language}: {camera.count} pages, {len(SIZES) + 1} pictures each, in {folder}", flush=True)
    return camera.seen


def main() -> None:
    """Write the pictures into the directory that is named, both languages side by side, or one of them."""
    match sys.argv[1:]:
        case [directory]:
            languages = LANGUAGES
        case [directory, language] if language in LANGUAGES:
            languages = (language,)
        case _:
            sys.exit(f"usage: python -m tests.browser.screenshots DIRECTORY [{' | '.join(LANGUAGES)}]")
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(len(languages)) as each:
        seen = set().union(*each.map(in_language, languages, repeat(folder)))
    if missing := unseen(seen):
        sys.exit(f"no picture shows {', '.join(missing)}")


if __name__ == "__main__":
    main()
