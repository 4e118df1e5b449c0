"""The counter at speed, with a keyboard or a scanner that types: nothing is clicked that need not be."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.bank import Service
from tests.browser.people import DESK, PHONE, Open, read_picture
from tests.browser.pictures import keep_picture

FOUND, DONE, STOP, UNDONE = (f"[data-counter={name}]" for name in ("found", "done", "stop", "undone"))


def redeem(page: Page, service: Service) -> tuple[str, str]:
    """The volunteer redeems the cheapest reward; what its QR says, and its digits."""
    page.goto(f"{service.address}/rewards")
    page.locator(".offer h2 a").first.click()
    page.click("form[action^='/rewards/'] button")
    digits = page.locator("[data-digits]").inner_text()
    return read_picture(page.locator("svg.qr")), digits


def type_code(page: Page, text: str) -> None:
    """What a scanner does: types, wherever the cursor is, and presses Enter."""
    page.keyboard.type(text)
    page.keyboard.press("Enter")


def held(page: Page, element: str = "code") -> None:
    """The cursor is in the field, and the field is empty."""
    expect(page.locator(f"#{element}")).to_be_focused()
    expect(page.locator(f"#{element}")).to_have_value("")


@pytest.fixture
def clerk(service: Service, opened: Open) -> Page:
    """The counter of the first station."""
    return at_counter(opened("en", DESK).sign_in("clerk"), service)


def at_counter(page: Page, service: Service) -> Page:
    """The counter of the first station, with nothing on it."""
    page.goto(f"{service.address}/counter")
    page.select_option("#station", index=0)
    station = page.input_value("#station")
    page.goto(f"{service.address}/counter?station={station}")
    return page


def test_enter_looks_up_and_enter_hands_over(service: Service, opened: Open, clerk: Page) -> None:
    phone = opened("en", PHONE).sign_in("volunteer")
    (first, first_digits), (second, second_digits), (_, third_digits) = (redeem(phone, service) for _ in range(3))
    held(clerk)

    # A code in upper case, as it is printed.
    assert re.fullmatch(r"HTTP://[0-9.:]+/R/[0-9A-Z]+", first)
    type_code(clerk, first)
    expect(clerk.locator(FOUND)).to_contain_text(first_digits)
    held(clerk)
    keep_picture(clerk, "counter-en")
    clerk.keyboard.press("Enter")
    expect(clerk.locator(DONE)).to_contain_text(first_digits)
    expect(clerk.locator("[data-handed] li").first).to_contain_text(first_digits)
    held(clerk)

    # The next in lower case, straight after; while it is open, the third replaces it.
    type_code(clerk, second.lower())
    expect(clerk.locator(FOUND)).to_contain_text(second_digits)
    type_code(clerk, third_digits.replace(" ", ""))
    expect(clerk.locator(FOUND)).to_contain_text(third_digits)
    clerk.keyboard.press("Enter")
    expect(clerk.locator(DONE)).to_contain_text(third_digits)

    # The second was looked at and not handed over. Escape closes it again.
    type_code(clerk, second)
    expect(clerk.locator(FOUND)).to_contain_text(second_digits)
    clerk.keyboard.type("123")
    clerk.keyboard.press("Escape")
    held(clerk)
    expect(clerk.locator(FOUND)).to_be_visible()
    clerk.keyboard.press("Escape")
    expect(clerk.locator(FOUND)).to_have_count(0)
    held(clerk)

    # Used once is used.
    type_code(clerk, first)
    expect(clerk.locator(STOP)).to_contain_text("used before")
    held(clerk)
    type_code(clerk, "HTTPS://ELSEWHERE.EXAMPLE/PAY/12345")
    expect(clerk.locator(STOP)).to_contain_text("not one of our codes")

    # A click beside everything, and one on a button, leave the scanner working.
    clerk.click("h1")
    held(clerk)
    clerk.locator("[data-handed] button").first.focus()
    clerk.keyboard.type("9")
    expect(clerk.locator("#code")).to_have_value("9")
    clerk.keyboard.press("Escape")

    # Undone, the same code is good again; and whoever reloads the page undoes nothing more.
    row = clerk.locator("[data-handed] li", has_text=third_digits)
    row.locator("button").click()
    expect(clerk.locator(UNDONE)).to_contain_text(third_digits)
    expect(row).to_contain_text("Undone")
    expect(row.locator("button")).to_have_count(0)
    held(clerk)
    clerk.reload()
    expect(clerk.locator(UNDONE)).to_contain_text(third_digits)
    type_code(clerk, third_digits)
    clerk.locator(FOUND).wait_for()
    clerk.keyboard.press("Enter")
    expect(clerk.locator(DONE)).to_contain_text(third_digits)
    assert service.run("audit").returncode == 0


def test_two_enters_and_scans_in_a_row(service: Service, opened: Open, clerk: Page) -> None:
    phone = opened("en", PHONE).sign_in("volunteer")
    (_, first), (_, second) = (redeem(phone, service) for _ in range(2))
    enter = """codes => {
        for (const code of codes) {
            const field = document.querySelector("[data-scan]");
            field.value = code;
            if (code || !field.required) field.form.requestSubmit();
            else field.form.dispatchEvent(new SubmitEvent("submit", { bubbles: true, cancelable: true }));
        }
    }"""
    # A scanner that presses Enter twice looks up and hands nothing over.
    clerk.evaluate(enter, [first, ""])
    expect(clerk.locator(FOUND)).to_contain_text(first)
    clerk.wait_for_timeout(300)
    expect(clerk.locator(FOUND)).to_contain_text(first)
    # Two codes before the first is answered: the second is the one that is shown.
    clerk.evaluate(enter, [first, second])
    expect(clerk.locator(FOUND)).to_contain_text(second)
    # Three Enters hand over once.
    clerk.evaluate(enter, ["", "", ""])
    expect(clerk.locator(DONE)).to_contain_text(second)
    expect(clerk.locator("[data-handed] li", has_text=second)).to_have_count(1)
    expect(clerk.locator("[data-handed] li", has_text=first)).to_have_count(0)


def test_without_a_network_the_same_is_sent_again(service: Service, opened: Open) -> None:
    phone = opened("en", PHONE).sign_in("volunteer")
    _, digits = redeem(phone, service)
    person = opened("en", DESK)
    clerk = at_counter(person.sign_in("clerk"), service)
    lost = clerk.locator("[data-lost]")
    expect(lost).to_be_hidden()

    clerk.route("**/counter", lambda route: route.abort())
    type_code(clerk, digits)
    expect(lost).to_be_visible()
    expect(clerk.locator("#code")).to_have_value(digits)
    clerk.unroute("**/counter")
    clerk.keyboard.press("Enter")
    expect(clerk.locator(FOUND)).to_contain_text(digits)

    # The answer gets lost after the goods were handed over: it is the same hand-over.
    clerk.route("**/counter", lambda route: (route.fetch(max_redirects=0), route.abort()))
    clerk.keyboard.press("Enter")
    expect(lost).to_be_visible()
    clerk.unroute("**/counter")
    clerk.keyboard.press("Enter")
    expect(clerk.locator(DONE)).to_contain_text(digits)
    expect(clerk.locator("[data-handed] li", has_text=digits)).to_have_count(1)
    person.complaints.clear()


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_two_pages_without_scripts(service: Service, opened: Open, language: str) -> None:
    phone = opened(language, PHONE).sign_in("volunteer")
    (first, first_digits), (_, second_digits) = (redeem(phone, service) for _ in range(2))
    clerk = at_counter(opened(language, DESK, java_script_enabled=False).sign_in("clerk"), service)
    type_code(clerk, first)
    expect(clerk.locator(FOUND)).to_contain_text(first_digits)
    held(clerk)
    # Scanned while the confirmation is open: looked up, and nothing is handed over.
    type_code(clerk, second_digits)
    expect(clerk.locator(FOUND)).to_contain_text(second_digits)
    clerk.keyboard.press("Enter")
    expect(clerk.locator(DONE)).to_contain_text(second_digits)
    held(clerk)
    type_code(clerk, first)
    expect(clerk.locator(FOUND)).to_contain_text(first_digits)
    clerk.click(f"{FOUND} a.button")
    expect(clerk.locator(FOUND)).to_have_count(0)
    clerk.locator("[data-handed] li", has_text=second_digits).locator("button").click()
    expect(clerk.locator(UNDONE)).to_contain_text(second_digits)


def test_after_ten_minutes_nothing_can_be_undone(service: Service, opened: Open, clerk: Page) -> None:
    phone = opened("en", PHONE).sign_in("volunteer")
    _, digits = redeem(phone, service)
    type_code(clerk, digits)
    clerk.locator(FOUND).wait_for()
    clerk.keyboard.press("Enter")
    clerk.locator(DONE).wait_for()
    row = clerk.locator("[data-handed] li", has_text=digits)
    expect(row.locator("button")).to_have_count(1)
    phone.click(".demo button")
    # The button is still on this page.
    row.locator("button").click()
    expect(clerk.locator(STOP)).to_contain_text("more than ten minutes ago")
    expect(clerk.locator("[data-handed] button")).to_have_count(0)
