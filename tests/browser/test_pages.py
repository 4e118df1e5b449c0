"""Every page, in both languages, on a phone and on a desk: whole, narrow enough, and without a complaint."""

import io
from typing import Any

import pytest
import zxingcpp
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.accessibility import SET_IN, faults, shifts, sideways, squeezed, walk_by_keyboard
from tests.browser.bank import Service
from tests.browser.people import DESK, PHONE, Open, phone_of, read_picture
from tests.browser.places import PAGES, visit
from tests.browser.trickle import trickling

TITLES = {"en": "Time Bank", "zh-CN": "时间银行"}


# What is left of a screen at 200 % (WCAG 1.4.10).
NARROW = {"width": 320, "height": 640}


def look(page: Page, language: str) -> None:
    """One page as a reader, a narrow screen, a thumb and a screen reader see it."""
    assert page.title().endswith(TITLES[language]), page.url
    assert page.title().split(" · ")[0].strip(), page.url
    assert page.locator("html").get_attribute("lang") == language
    assert sideways(page) <= 0, page.url
    assert shifts(page) == [], page.url
    assert faults(page) == [], page.url


def look_at_all_sizes(page: Page, language: str, first: Any) -> None:
    """The same page as it came, in the other window, at 200 %, and with the largest text on a phone."""
    look(page, language)
    page.set_viewport_size(DESK if first == PHONE else PHONE)
    assert sideways(page) <= 0, page.url
    assert faults(page, turned=True) == [], page.url
    page.set_viewport_size(NARROW)
    assert sideways(page) <= 0, page.url
    # A tablet that is read across a table has sizes of its own, and so has a sheet of paper.
    if page.locator("html[data-size]").count():
        page.set_viewport_size(PHONE)
        page.evaluate(SET_IN, "largest")
        assert sideways(page) <= 0, page.url
        assert squeezed(page) == [], page.url
        assert faults(page, turned=True) == [], page.url
    page.set_viewport_size(first)


@pytest.mark.parametrize("language", ["zh-CN", "en"])
@pytest.mark.parametrize("role", PAGES, ids=str)
def test_every_page(service: Service, opened: Open, role: str | None, language: str) -> None:
    # On a phone in Chinese and on a desk in English, each then turned into the other.
    first = PHONE if language == "zh-CN" else DESK
    person = opened(language, first)
    page = person.sign_in(role) if role else person.page()
    for number, path in enumerate(visit(page, service, role)):
        # By keys, on a desk, and where a bar at the foot could cover what has the focus; once through the same head.
        if first == DESK or role == "volunteer":
            assert walk_by_keyboard(page, behind_the_head=number > 0) == [], path
        look_at_all_sizes(page, language, first)


def test_a_page_that_arrives_bit_by_bit_does_not_move(service: Service, opened: Open) -> None:
    with trickling(service.address) as address:
        person = opened("en", DESK)
        person.sign_in("admin")
        for cookie in person.context.cookies():
            person.context.add_cookies([{"name": cookie["name"], "value": cookie["value"], "url": address}])
        page = person.page()
        for path in ("/admin/regions", "/admin/stations"):
            page.goto(f"{address}{path}")
            expect(page.locator("form[action='/sign-out']")).to_be_visible()
            assert shifts(page) == [], path


def test_the_switch_changes_the_language_and_stays(service: Service, opened: Open) -> None:
    page = opened("en").page()
    page.goto(f"{service.address}/sign-in?by=code")
    for language in ("zh-CN", "en"):
        page.click("form[action='/language'] button")
        expect(page.locator("html")).to_have_attribute("lang", language)
        assert page.url.endswith("/sign-in?by=code")


SENT = """() => {
  window.sent = 0;
  document.addEventListener('submit', event => {
    if (!event.defaultPrevented) window.sent += 1;
    event.preventDefault();
  });
}"""


def test_a_form_that_takes_its_time_turns_and_is_sent_once(opened: Open) -> None:
    page = opened("en").page("/sign-in")
    # Counted, and never answered.
    page.evaluate(SENT)
    button = page.locator("form[action='/language'] button").first
    button.click()
    expect(button).to_have_attribute("aria-busy", "true")
    expect(button).to_have_attribute("aria-disabled", "true")
    button.click(force=True)
    assert page.evaluate("window.sent") == 1


def test_signing_in_by_a_code_sent_to_the_phone(service: Service, opened: Open) -> None:
    page = opened("en").page()
    page.goto(f"{service.address}/sign-in?by=code")
    page.fill("#phone", phone_of("auditor"))
    page.click("form[action='/sign-in/code'] button")
    sent = page.locator("[data-code]").inner_text()
    page.fill("#digits", f"{sent[:3]} {sent[3:]}")
    page.click("form[action='/sign-in/code/check'] button")
    page.wait_for_url(f"{service.address}/")
    expect(page.locator("h1")).to_contain_text("赣小松")
    page.click("form[action='/sign-out'] button")
    expect(page.locator("#sign-in")).to_be_visible()


def test_a_wrong_password_is_said_in_words(service: Service, opened: Open) -> None:
    page = opened("en").page()
    page.goto(f"{service.address}/sign-in")
    page.fill("#phone", "+8613900000009")
    page.fill("#password", "not the password")
    page.click("main form:has(#password) button")
    expect(page.locator("[role=alert]")).to_contain_text("does not go with")
    expect(page.locator("#phone")).to_have_value("+8613900000009")


def test_an_administrator_opens_a_station(service: Service, opened: Open) -> None:
    page = opened("en", DESK).sign_in("admin")
    page.goto(f"{service.address}/admin/stations/new")
    page.fill("#name_zh", "桃花新站")
    page.fill("#name_en", "Peach blossom")
    page.fill("#address", "桃花路 1 号")
    page.fill("#organising_unit", "桃花社区")
    page.fill("#person_in_charge", "赣小枫")
    page.fill("#cap_minutes", "90")
    page.click("main form button")
    expect(page.locator(".notice-good")).to_be_visible()
    expect(page.locator("h1")).to_contain_text("Peach blossom")
    # Reloading sends nothing again.
    page.reload()
    page.goto(f"{service.address}/admin/stations?name=peach")
    expect(page.locator("tbody th", has_text="Peach blossom")).to_have_count(1)


def test_the_screen_goes_on_without_a_network(service: Service, opened: Open) -> None:
    manager = opened("en", DESK)
    page = manager.sign_in("manager")
    page.clock.install()
    with page.expect_response("**/screen.json"):
        page.goto(f"{service.address}/stations/2/screen")
    page.clock.run_for(1_000)
    first = read_picture(page.locator("svg.qr"))
    page.route("**/screen.json", lambda route: route.abort())
    page.clock.run_for(60_000)
    expect(page.locator("[data-notice]")).to_contain_text("the codes go on")
    second = read_picture(page.locator("svg.qr"))
    assert first != second
    page.clock.run_for(600_000)
    expect(page.locator("[data-notice]")).to_contain_text("out of date")
    assert not zxingcpp.read_barcodes(Image.open(io.BytesIO(page.locator("svg.qr").screenshot())))
    page.unroute("**/screen.json")
    page.clock.run_for(10_000)
    expect(page.locator("[data-notice]")).to_be_hidden()
    manager.complaints.clear()


def test_everything_works_without_scripts(service: Service, opened: Open) -> None:
    manager = opened("en", DESK, java_script_enabled=False).sign_in("manager")
    manager.goto(f"{service.address}/stations/3/screen")
    assert manager.locator("noscript meta[http-equiv=refresh]").count() == 1
    phone = opened("en", PHONE, java_script_enabled=False).sign_in("volunteer")
    phone.goto(read_picture(manager.locator("svg.qr")))
    phone.click("form[action='/check-in'] button")
    expect(phone.locator("h1")).to_have_text("You are checked in")
    phone.click(".demo button")
    manager.reload()
    phone.goto(read_picture(manager.locator("svg.qr")))
    phone.click("form[action='/check-in'] button")
    expect(phone.locator("h1")).to_have_text("You are checked out")
    phone.goto(f"{service.address}/rewards")
    phone.locator(".offer h2 a").first.click()
    phone.click("form[action^='/rewards/'] button")
    digits = phone.locator("[data-digits]").inner_text()
    clerk = opened("en", PHONE, java_script_enabled=False).sign_in("clerk")
    clerk.goto(f"{service.address}/counter")
    clerk.fill("#code", digits)
    clerk.press("#code", "Enter")
    clerk.click("[data-counter=found] form button")
    expect(clerk.locator("[data-counter=done]")).to_be_visible()
    phone.goto(f"{service.address}/rewards")
    phone.locator(".offer h2 a").first.click()
    phone.click("form[action^='/rewards/'] button")
    phone.locator("summary").click()
    phone.click("form[action$='/cancel'] button")
    expect(phone.locator(".notice-good")).to_contain_text("Cancelled")


def test_a_code_of_earlier_says_what_it_stands_for_and_a_forged_one_does_not(service: Service, opened: Open) -> None:
    screen = opened("en", DESK).sign_in("manager")
    screen.goto(f"{service.address}/stations/1/screen")
    address = read_picture(screen.locator("svg.qr"))
    page = opened("en").sign_in("volunteer")
    page.click(".demo button")
    page.wait_for_load_state()
    page.goto(address)
    expect(page.locator(".notice-wait")).to_contain_text("This code was shown earlier")
    expect(page.locator("main")).to_contain_text("scan the code that is on the screen now")
    page.goto(address[:-1] + ("0" if address[-1] != "0" else "1"))
    expect(page.locator("[data-code=code_forged]")).to_be_visible()
