"""Every page that can be opened is one that the browser's tests look at, or says why it is not."""

from api.guards import ACCESS
from tests.browser.places import ELSEWHERE, page_routes, shown_routes, shows


def test_every_page_is_looked_at() -> None:
    routes, shown = page_routes(ACCESS), shown_routes()
    assert [route for route in routes if not shows(route, shown) and route not in ELSEWHERE] == []
    # Who has found a way to open one takes its excuse away.
    assert [route for route in ELSEWHERE if route not in routes or route in shown] == []
