"""The pages that each role opens, for the tests that look at all of them."""

from collections.abc import Iterator

from playwright.sync_api import Page

PAGES: dict[str | None, list[str]] = {
    None: ["/", "/sign-in", "/sign-in?by=code", "/R/0", "/V/0", "/design", "/kiosk", "/nowhere"],
    "volunteer": [
        "/",
        "/card",
        "/privacy",
        "/scan",
        "/scan?code=https://elsewhere.example/K/1",
        "/check-in/digits",
        "/records",
        "/certificates",
        "/statement",
        "/statement?unit=minute",
        "/rewards",
        "/codes",
        "/counter",
        "/queue",
    ],
    "manager": [
        "/",
        "/passkeys",
        "/stations",
        "/stations/1",
        "/stations/1/person",
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
        "/admin/regions",
        "/admin/kinds",
        "/admin/funds",
        "/admin/rewards",
        "/admin/rewards/new",
        "/admin/policy",
        "/admin/trail",
        "/queue",
    ],
    "auditor": ["/", "/admin", "/admin/trail"],
}
# And, from a list, the first thing in it.
INSIDE = {
    "/rewards": ".offer h2 a",
    "/codes": "main .rows a",
    "/queue": "main a[href^='/queue/']",
    "/admin/stations": "tbody a",
    "/admin/members": "tbody a",
    "/admin/regions": ".branch a",
    "/admin/funds": "tbody a",
    "/admin/rewards": "tbody a",
}


def visit(page: Page, address: str, role: str | None) -> Iterator[str]:
    """Open one page of the role after the other; answers the path of each while it is open."""
    for path in PAGES[role]:
        page.goto(address + path)
        yield path
        inside = INSIDE.get(path)
        if inside and page.locator(inside).count():
            page.locator(inside).first.click()
            page.wait_for_url(lambda address, path=path: path in address and not address.endswith(path))
            yield page.url
