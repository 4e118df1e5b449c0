"""The pages that each role opens, for the tests that look at all of them."""

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from typing import NamedTuple

from playwright.sync_api import Page

from tests.browser.bank import Service
from timebank import codes
from timebank.clock import DemoClock

# The demo hangs a poster at every station; at this one no test hangs another.
POSTED_STATION = 3
EARLIER = timedelta(hours=2)


class Led(NamedTuple):
    """An address that leads on to another page. In braces: a code of the bank, as it is at that moment."""

    path: str
    to: str


PAGES: dict[str | None, list[str | Led]] = {
    None: [
        "/",
        "/sign-in",
        "/sign-in?by=code",
        Led("/R/0", "/scanned"),
        "/V/0",
        "/design",
        "/kiosk",
        "/nowhere",
        "/offline?language={language}",
        "/activate",
        Led("/S/{poster}", "/scanned"),
        "/join?scanned=1",
        "/honour",
        "/what-is-kept",
    ],
    "volunteer": [
        "/",
        "/card",
        "/privacy",
        "/accounts",
        "/helpers",
        "/scan",
        "/scan?code=https://elsewhere.example/K/1",
        Led("/K/{station}", "/check-in"),
        Led("/K/{late}", "/check-in/late"),
        Led("/S/{poster}", "/check-in/digits"),
        "/check-in/digits",
        "/check-in/door",
        "/records",
        "/certificates",
        "/statement",
        "/statement?unit=minute&since=2020-01-01",
        "/statement?since=2020-01-02&until=2020-01-01",
        "/statement/print",
        "/rewards",
        "/codes",
        "/counter",
        "/queue",
    ],
    "manager": [
        "/",
        "/tokens",
        "/passkeys",
        "/calendar",
        "/stations",
        "/stations/1",
        "/stations/1/person",
        "/stations/1/identity",
        "/stations/1/paper",
        "/stations/1/report",
        "/stations/1/screen",
        "/stations/1/kiosk",
        "/queue",
    ],
    "clerk": ["/", "/counter", "/counter?code=00000000", "/counter?code=nonsense"],
    "admin": [
        "/",
        "/more",
        "/admin",
        "/admin/stations",
        "/admin/stations/new",
        "/admin/members",
        "/admin/members/new",
        "/admin/roles",
        "/admin/erasures",
        "/admin/identities",
        "/admin/regions",
        "/admin/kinds",
        "/admin/funds",
        "/admin/rewards",
        "/admin/rewards/new",
        "/admin/policy",
        "/admin/policy/new",
        "/admin/imports",
        "/admin/trail",
        "/admin/webhooks",
        "/queue",
    ],
    "auditor": ["/", "/admin", "/admin/trail"],
}
# And, from a list, the first thing in it, and what stands behind that: what is pressed, and the page that it opens.
INSIDE: dict[str, list[tuple[str, str]]] = {
    "/records": [("main .rows h3 a", "/records/{record_id}")],
    "/rewards": [(".offer h2 a", "/rewards/{reward_id}")],
    "/codes": [("main .rows a", "/codes/{redemption_id}")],
    "/queue": [
        ("main a[href^='/queue/']:not([href*='/scans/'])", "/queue/{record_id}"),
        ("main a[href$='/statement']", "/queue/{record_id}/statement"),
    ],
    "/admin/stations": [("tbody a", "/admin/stations/{station_id}")],
    "/admin/members": [
        ("tbody a", "/admin/members/{member_id}"),
        ("main a[href$='/merge']", "/admin/members/{member_id}/merge"),
    ],
    "/admin/regions": [(".branch a", "/admin/stations/{station_id}")],
    "/admin/funds": [("tbody a", "/admin/funds/{fund_id}")],
    "/admin/rewards": [("tbody a", "/admin/rewards/{reward_id}")],
}
# What nobody opens to look at it; addresses that lead on; and files, which have a dot in their name.
NO_PAGES = ("/api/", "/calendar/", "/health/", "/metrics", "/static/")
LEAD_ON = (
    "/K/{code}",
    "/S/{code}",
    "/C/{code}",
    "/R/{code_text}",
    "/rewards/{reward_id}/picture/{digest}",
    "/sign-in/outside/{provider}/back",
)
# Pages that no address opens in a fresh demo, and where they are looked at instead.
ELSEWHERE = {
    "/check-in/{id}": "test_ways_in.py: what a check-in is answered",
    "/queue/scans/{punch_id}": "test_ways_in.py: a check-out of nobody who is in",
    "/admin/imports/{import_id}": "test_admin.py: what a spreadsheet that was handed in is about to do",
    "/trust": "nowhere: only a bank with an authority of its own has it, and a demo has none",
}


def page_routes(routes: Iterable[str]) -> list[str]:
    """The paths of those routes of the guards' table that are pages."""
    paths = [route.removeprefix("GET ") for route in routes if route.startswith("GET ")]
    return [path for path in paths if not path.startswith(NO_PAGES) and path not in LEAD_ON and "." not in path]


def shown_routes() -> set[str]:
    """The paths that are opened here: of pages, and routes of what is in a list."""
    shown = {place if isinstance(place, str) else place.to for places in PAGES.values() for place in places}
    return {path.partition("?")[0] for path in shown} | {route for steps in INSIDE.values() for _, route in steps}


def shows(route: str, paths: Iterable[str]) -> bool:
    """Whether one of the paths is of this route."""
    pattern = re.compile(re.sub(r"\{\w+\}", "[^/]+", route))
    return any(pattern.fullmatch(path) for path in paths)


def written(service: Service, path: str, language: str | None = None) -> str:
    """A path with what stands in braces written out: the bank's codes as they are now, the language of the reader."""
    keys, now = service.keys, DemoClock(service.data / "clock")()
    slot = codes.slot_at(now)
    made: dict[str, Callable[[], str]] = {
        "language": lambda: language or "",
        "poster": lambda: codes.poster_code(keys.poster, POSTED_STATION, 1),
        "station": lambda: codes.station_code(keys.station, 1, 1, slot),
        "late": lambda: codes.station_code(keys.station, 1, 1, codes.slot_at(now - EARLIER)),
    }
    for name, code in made.items():
        if f"{{{name}}}" in path:
            path = path.replace(f"{{{name}}}", code())
    return path


def visit(page: Page, service: Service, role: str | None) -> Iterator[str]:
    """Open one page of the role after the other; answers the path of each while it is open."""
    for place in PAGES[role]:
        path = place if isinstance(place, str) else place.path
        page.goto(service.address + written(service, path, page.locator("html").get_attribute("lang")))
        yield path
        for inside, _ in INSIDE.get(path, []):
            if not page.locator(inside).count():
                break
            before = page.url
            page.locator(inside).first.click()
            page.wait_for_url(lambda address, before=before: address != before)
            yield page.url
