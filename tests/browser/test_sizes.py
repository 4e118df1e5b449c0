"""大字: the switch in the head, and the largest text on a desk; test_pages.py has it on a phone, on every page."""

import pytest
from playwright.sync_api import Page, expect

from api.text_size import COOKIE
from tests.browser.accessibility import sideways
from tests.browser.bank import Service
from tests.browser.people import DESK, PHONE, Open

# Root sizes in pixels, where the browser has 16: 1.0, 1.3 and 1.6 of what the page usually has.
ROOTS = {"usual": 17.0, "large": 22.1, "largest": 27.2}


def root_size(page: Page) -> float:
    """The size of the root's text in pixels."""
    return round(float(page.evaluate("parseFloat(getComputedStyle(document.documentElement).fontSize)")), 1)


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
def test_the_switch_makes_text_larger_and_usual_again(service: Service, opened: Open, scripts: bool) -> None:
    person = opened("zh-CN", PHONE, java_script_enabled=scripts)
    page = person.page("/sign-in?by=code")
    for size, words in (("large", "特大字"), ("largest", "标准字"), ("usual", "大字")):
        page.click("form[action='/text-size'] button")
        expect(page.locator("html")).to_have_attribute("data-size", size)
        expect(page.locator("form[action='/text-size'] button")).to_have_text(words)
        assert page.url.endswith("/sign-in?by=code")
        if scripts:
            assert root_size(page) == ROOTS[size]


def test_larger_text_on_a_desk(service: Service, opened: Open) -> None:
    person = opened("en", DESK)
    person.context.add_cookies([{"name": COOKIE, "value": "largest", "url": service.address}])
    page = person.sign_in("admin")
    for path in ("/", "/admin", "/admin/members", "/admin/policy", "/admin/trail"):
        page.goto(service.address + path)
        assert sideways(page) <= 0, path
