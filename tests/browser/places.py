"""The pages that each role opens, for the tests that look at all of them."""

from collections.abc import Iterator

from playwright.sync_api import Page

PAGES: dict[str | None, list[str]] = {
    None: ["/", "/sign-in", "/sign-in?by=code", "/R/0", "/nowhere"],
    "volunteer": ["/", "/records", "/statement", "/statement?unit=minute", "/rewards", "/codes", "/counter", "/queue"],
    "manager": ["/", "/stations", "/stations/1/screen", "/queue"],
    "clerk": ["/", "/counter", "/counter?code=00000000", "/counter?code=nonsense"],
    "admin": ["/", "/admin", "/admin/stations/new", "/queue"],
    "auditor": ["/"],
}
# And, from a list, the first thing in it.
INSIDE = {"/rewards": ".offer h2 a", "/codes": "main .rows a", "/queue": "main a[href^='/queue/']"}


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
