"""Other ways in, in a real browser: the screen's digits, a printed card at the desk, and all of it without scripts."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.bank import Service
from tests.browser.people import DESK, PHONE, Open, phone_of, read_picture
from tests.browser.places import written
from tests.browser.test_pages import look_at_all_sizes

PIN = "830417"
STATION = 1


def sign_in(page: Page, service: Service, role: str) -> Page:
    """With one tap, as the demo lets one; it needs no script."""
    page.goto(f"{service.address}/sign-in")
    page.click(f"form:has(input[value='{phone_of(role)}']) button")
    page.wait_for_url(f"{service.address}/")
    return page


def leave(page: Page, service: Service, digits: str) -> None:
    """Check out, whatever came before: tests share one city."""
    page.goto(f"{service.address}/check-in/digits")
    page.fill("#station_number", str(STATION))
    page.fill("#digits", digits)
    page.click("button[value=out]")


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
def test_the_digits_of_the_screen(service: Service, opened: Open, scripts: bool) -> None:
    desk, volunteer = opened("en", DESK, java_script_enabled=scripts), opened("en", PHONE, java_script_enabled=scripts)
    screen = sign_in(desk.page(), service, "manager")
    screen.goto(f"{service.address}/stations/{STATION}/screen")
    shown = screen.locator("[data-digits]").inner_text()
    assert re.fullmatch(r"\d{3} \d{3}", shown)
    phone = sign_in(volunteer.page(), service, "volunteer")
    phone.goto(f"{service.address}/check-in/digits")
    phone.fill("#station_number", str(STATION))
    phone.fill("#digits", shown)
    phone.click("button[value=in]")
    expect(phone.locator("h1")).to_have_text("You are checked in")
    screen.reload()
    leave(phone, service, screen.locator("[data-digits]").inner_text())
    expect(phone.locator("h1")).to_have_text("You are checked out")


def test_digits_change_with_the_code(service: Service, opened: Open) -> None:
    screen = opened("en", DESK).sign_in("manager")
    screen.goto(f"{service.address}/stations/{STATION}/screen")
    before = screen.locator("[data-digits]").inner_text()
    screen.wait_for_function(
        "before => document.querySelector('[data-digits]').textContent !== before", arg=before, timeout=25_000
    )
    assert re.fullmatch(r"\d{3} \d{3}", screen.locator("[data-digits]").inner_text())


def test_a_printed_card_and_its_pin_at_the_desk(service: Service, opened: Open) -> None:
    phone = opened("zh-CN", PHONE).sign_in("clerk")
    phone.goto(f"{service.address}/card")
    phone.click("form[action='/card'] button")
    phone.fill("#new-pin", "123456")
    phone.click("form[action='/card/pin'] button")
    expect(phone.locator("[role=alert]")).to_contain_text("不能过于简单")
    phone.fill("#new-pin", PIN)
    phone.click("form[action='/card/pin'] button")
    expect(phone.locator(".notice-good")).to_contain_text("生效")
    code = read_picture(phone.locator("svg.qr"))
    assert re.fullmatch(r"HTTP://127\.0\.0\.1:\d+/C/[0-9A-Z]{26}", code)

    desk = opened("zh-CN", DESK).sign_in("manager")
    desk.goto(f"{service.address}/stations/{STATION}")
    for pin, words in ((PIN, "已签到"), ("604913", "没有记录")):
        # A scanner types and presses Enter; the first button of the form is to check in.
        desk.fill("#pin", pin)
        desk.fill("#code", code)
        desk.press("#code", "Enter")
        expect(desk.locator(".notice").first).to_contain_text(words)
    expect(desk.locator("#people + ul")).to_contain_text("*")
    desk.fill("#code", code)
    desk.click("button[value=out]")
    expect(desk.locator(".notice-good")).to_contain_text("已记录")
    # Without a PIN the member is asked.
    phone.goto(f"{service.address}/")
    phone.click("a[href='/card'].button-main")
    phone.click("[data-confirm] button")
    expect(phone.locator(".notice-good")).to_contain_text("谢谢")


def test_a_poster_is_made_and_scanned(service: Service, opened: Open) -> None:
    desk = opened("en", DESK).sign_in("manager")
    desk.goto(f"{service.address}/stations/{STATION}/paper")
    desk.click("form[action$='/poster'] button")
    address = read_picture(desk.locator("svg.qr"))
    assert re.fullmatch(r"HTTP://127\.0\.0\.1:\d+/S/[0-9A-Z]{24}", address)
    stranger = opened("en", PHONE).page()
    stranger.goto(address)
    assert "滕王阁" not in stranger.content()
    stranger.click("main a.button-main")
    stranger.click(f"form:has(input[value='{phone_of('volunteer')}']) button")
    expect(stranger.locator("#digits")).to_be_visible()
    desk.goto(f"{service.address}/stations/{STATION}/screen")
    stranger.fill("#digits", desk.locator("[data-digits]").inner_text())
    stranger.click("button[value=in]")
    expect(stranger.locator("h1")).to_have_text("You are checked in")
    desk.reload()
    look_at_all_sizes(stranger, "en", PHONE)
    desk.reload()
    for _ in range(2):
        leave(stranger, service, desk.locator("[data-digits]").inner_text())
    # The second time nobody was in any more: the manager is asked what it was.
    look_at_all_sizes(stranger, "en", PHONE)
    desk.goto(f"{service.address}/queue")
    desk.click("main a[href^='/queue/scans/']")
    look_at_all_sizes(desk, "en", DESK)
    desk.click("form[action='/language'] button")
    look_at_all_sizes(desk, "zh-CN", DESK)
    stranger.click("form[action='/language'] button")
    look_at_all_sizes(stranger, "zh-CN", PHONE)


@pytest.mark.parametrize("language", ["zh-CN", "en"])
def test_what_only_a_button_shows_is_whole_too(service: Service, opened: Open, language: str) -> None:
    # A code on paper, for who gets no messages.
    desk = opened(language, DESK).sign_in("manager")
    desk.goto(f"{service.address}/stations/{STATION}")
    form = desk.locator("form[action$='/activations']")
    form.evaluate("each => { each.closest('details').open = true; }")
    form.locator("[name=member]").fill("13900000105")
    form.locator("button").click()
    expect(desk.locator("[data-activation]")).to_be_visible()
    look_at_all_sizes(desk, language, DESK)
    # Digits for who joins; and what is said of a birthday that is none of theirs.
    newcomer = opened(language, PHONE).page("")
    newcomer.goto(service.address + written(service, "/S/{poster}"))
    newcomer.click("main a[href^='/join']")
    for born, words in (("2020-01-01", "[role=alert]"), ("1956-04-01", "#digits")):
        newcomer.fill("#name", "修小桐")
        newcomer.fill("#phone", "13900000381")
        newcomer.fill("#born", born)
        for box in newcomer.locator("[name=agreed]").all():
            box.check()
        newcomer.click("main form[action='/join'] button")
        expect(newcomer.locator(words)).to_be_visible()
        look_at_all_sizes(newcomer, language, PHONE)
