"""大字: the switch in the head, and every page with the largest text on the narrowest phone."""

import pytest
from playwright.sync_api import Page, expect

from api.text_size import COOKIE
from tests.browser.accessibility import faults, poor_contrast
from tests.browser.bank import Service
from tests.browser.people import DESK, PHONE, Open
from tests.browser.places import PAGES, visit

# Root sizes in pixels, where the browser has 16: 1.0, 1.3 and 1.6 of what the page usually has.
ROOTS = {"usual": 17.0, "large": 22.1, "largest": 27.2}

# What is cut off at the side, or has lines that stand too close; what only decorates is not read.
SQUEEZED = """() => {
  const found = [];
  const wide = document.documentElement.clientWidth;
  for (const element of document.querySelectorAll('body *')) {
    const own = [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim());
    if (!own || element.matches('option, title, script, noscript, .hidden-visually, :has(.hidden-visually)')) continue;
    if (!element.checkVisibility()) continue;
    const range = document.createRange();
    range.selectNodeContents(element);
    const { left, right, width } = range.getBoundingClientRect();
    const style = getComputedStyle(element);
    if (width > 1 && (right > wide + 1 || left < -1)) found.push('cut: ' + element.outerHTML.slice(0, 160));
    if (style.overflowX === 'hidden' && element.clientWidth > 1 && element.scrollWidth > element.clientWidth + 1)
      found.push('hidden: ' + element.outerHTML.slice(0, 160));
    if (parseFloat(style.lineHeight) < 1.499 * parseFloat(style.fontSize))
      found.push('lines: ' + element.outerHTML.slice(0, 160));
  }
  return found;
}"""


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


@pytest.mark.parametrize(
    ("role", "language"), [*((role, "zh-CN") for role in PAGES), ("volunteer", "en"), ("manager", "en")], ids=str
)
def test_every_page_with_the_largest_text(service: Service, opened: Open, role: str | None, language: str) -> None:
    person = opened(language, PHONE)
    person.context.add_cookies([{"name": COOKIE, "value": "largest", "url": service.address}])
    page = person.sign_in(role) if role else person.page()
    for path in visit(page, service.address, role):
        if path == "/kiosk":
            # A tablet that is read across a table has sizes of its own.
            continue
        assert root_size(page) == ROOTS["largest"], path
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{path} scrolls sideways by {wide}"
        assert faults(page) == [], path
        assert page.evaluate(SQUEEZED) == [], path
        assert poor_contrast(page) == [], path


def test_larger_text_on_a_desk(service: Service, opened: Open) -> None:
    person = opened("en", DESK)
    person.context.add_cookies([{"name": COOKIE, "value": "largest", "url": service.address}])
    page = person.sign_in("admin")
    for path in ("/", "/admin", "/admin/members", "/admin/policy", "/admin/trail"):
        page.goto(service.address + path)
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{path} scrolls sideways by {wide}"
