"""Nobody is kept out: keys alone, a slow line, an old eye. And the checks of this find what they are for."""

import gzip

import pytest
from playwright.sync_api import Page, expect

from tests.browser.accessibility import faults, walk_by_keyboard
from tests.browser.bank import Service
from tests.browser.people import DESK, PHONE, Open, phone_of

FIRST_PAGE_BYTES = 60 * 1024


def tab_to(page: Page, selector: str) -> None:
    """Press Tab until the element has the focus."""
    for _ in range(60):
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"no way to {selector} by keyboard on {page.url}")


def test_a_volunteer_redeems_and_a_clerk_hands_over_by_keys_alone(service: Service, opened: Open) -> None:
    page = opened("en", DESK).page("/sign-in")
    tab_to(page, f"form:has(input[value='{phone_of('volunteer')}']) button")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{service.address}/")
    tab_to(page, ".ways a[href='/rewards']")
    page.keyboard.press("Enter")
    page.wait_for_url("**/rewards")
    # The first Tab reaches the way past the head, which leads to the content.
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    tab_to(page, ".offer h2 a")
    page.keyboard.press("Enter")
    page.wait_for_url("**/rewards/*")
    tab_to(page, "form[action^='/rewards/'] button")
    page.keyboard.press("Space")
    digits = page.locator("[data-digits]").inner_text().replace(" ", "")

    counter = opened("en", DESK).sign_in("clerk")
    counter.goto(f"{service.address}/counter")
    expect(counter.locator("#code")).to_be_focused()
    counter.keyboard.type(digits)
    counter.keyboard.press("Enter")
    expect(counter.locator("[data-counter=found]")).to_be_visible()
    counter.keyboard.press("Enter")
    expect(counter.locator("[data-counter=done]")).to_be_visible()
    # And straight on with the next one.
    expect(counter.locator("#code")).to_be_focused()
    counter.keyboard.type(digits)
    counter.keyboard.press("Enter")
    expect(counter.locator("[data-counter=stop]")).to_be_visible()


def test_the_next_code_never_hands_over_what_the_last_one_found(service: Service, opened: Open) -> None:
    phone = opened("en", PHONE).sign_in("volunteer")
    codes = []
    for _ in range(2):
        phone.goto(f"{service.address}/rewards")
        phone.locator(".offer h2 a").first.click()
        phone.click("form[action^='/rewards/'] button")
        codes.append((phone.locator("[data-digits]").inner_text(), phone.url.partition("?")[0]))
    (first, page_of_first), (second, page_of_second) = codes
    counter = opened("en", DESK).sign_in("clerk")
    counter.goto(f"{service.address}/counter")
    counter.keyboard.type(first)
    counter.keyboard.press("Enter")
    expect(counter.locator("[data-counter=found]")).to_contain_text(first)
    # The scanner goes off again before anybody has decided.
    counter.keyboard.type(second)
    counter.keyboard.press("Enter")
    expect(counter.locator("[data-counter=found]")).to_contain_text(second)
    for address in (page_of_first, page_of_second):
        phone.goto(address)
        expect(phone.locator(".ticket")).to_have_attribute("data-state", "held")
        phone.locator("summary").click()
        phone.click("form[action$='/cancel'] button")


@pytest.mark.parametrize("role", [None, "volunteer", "admin"], ids=str)
def test_the_first_page_is_light(service: Service, opened: Open, role: str | None) -> None:
    person = opened("zh-CN")
    page = person.sign_in(role) if role else person.page()
    page.goto(service.address, wait_until="networkidle")
    files = page.evaluate("performance.getEntriesByType('resource').map(each => each.name)")
    assert all(file.startswith(service.address) for file in files)
    assert {"base.css", "style.css", "forms.js", "logo.svg"} <= {file.rsplit("/", 1)[1] for file in files}
    bodies = [page.context.request.get(address).body() for address in {service.address, *files}]
    assert sum(len(gzip.compress(body)) for body in bodies) <= FIRST_PAGE_BYTES


BAD = """<!doctype html><html lang="en"><title>Bad</title><body><div>lost</div><nav></nav>
<main><h1>One</h1><h3>Skipped</h3><img src="data:,"><svg></svg><input id="a"><input id="a" tabindex="2">
<button style="height: 20px; outline: none">x</button><p style="color: #999; background: #fff">faint</p>
<ul><div>no item</div></ul><label for="nothing">lost</label></main></body></html>"""
RING = "<style>:focus { outline: 3px solid }</style><a class='skip' href='#there'>On</a>"
UNSEEN = RING + "<button id='there'>Seen</button><button style='outline: none'>Unseen</button>"
BACKWARD = RING + "<button>Second</button><button id='there' tabindex='1'>First</button>"


def test_the_checks_find_what_they_are_for(opened: Open) -> None:
    page = opened("en").page()
    page.set_content(BAD)
    found = faults(page)
    for rule in (
        "header", "footer", "named nav", "in a landmark", "picture without words", "id twice", "target ", "inline",
        "contrast", "color-contrast (serious)", "image-alt (critical)", "label (critical)", "list (serious)",
        "heading-order", "region", "tabindex", "target-size",
    ):  # fmt: skip
        assert any(fault.startswith(rule) for fault in found), rule
    assert len([fault for fault in found if fault.startswith("contrast")]) == 1
    page.set_content(UNSEEN)
    (wrong,) = walk_by_keyboard(page)
    assert wrong.startswith("no ring: <button style")
    page.set_content(BACKWARD)
    assert any("goes back" in wrong for wrong in walk_by_keyboard(page))
