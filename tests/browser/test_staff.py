"""The pages of those who work: what a manager ticks, decides and shows, and a phone that changes hands."""

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.bank import Service
from tests.browser.people import DESK, PHONE, Open, phone_of, read_picture
from tests.browser.scanning import scan, serve

NOTHING = {"en": "Nothing is ticked", "zh-CN": "尚未勾选"}
ONE = {"en": "Verify 1 record, 2 hrs 40 mins", "zh-CN": "核实 1 条，2小时40分钟"}


@pytest.mark.parametrize("language", ["zh-CN", "en"])
def test_the_button_says_what_is_ticked(service: Service, opened: Open, language: str) -> None:
    page = opened(language, DESK).sign_in("manager")
    for minutes in (160, 35):
        serve(opened, service, 1, minutes)
    page.goto(f"{service.address}/queue")
    button, boxes = page.locator("[data-verify]"), page.locator("input[name=record]")
    before = button.inner_text()
    # What the script writes is what the page came with.
    boxes.first.uncheck()
    boxes.first.check()
    assert button.inner_text() == before
    page.locator("[data-all]").uncheck()
    expect(button).to_have_text(NOTHING[language])
    expect(button).to_be_disabled()
    page.locator("input[name=record][data-minutes='160']").last.check()
    expect(button).to_have_text(ONE[language])
    assert page.locator("[data-all]").evaluate("each => each.indeterminate")


def test_a_refused_decision_keeps_what_was_entered(service: Service, opened: Open) -> None:
    page = opened("en", DESK).sign_in("admin")
    open_one_to_decide(page, opened, service)
    page.check("[value=adjust]")
    page.fill("#minutes", "95")
    page.click("main form button")
    expect(page.locator("[role=alert]")).to_contain_text("Please give a reason")
    expect(page.locator("[value=adjust]")).to_be_checked()
    expect(page.locator("#minutes")).to_have_value("95")
    expect(page.locator("#reason")).to_be_focused()
    expect(page.locator("#reason")).to_have_attribute("aria-invalid", "true")
    page.fill("#reason", "Left early")
    page.fill("#minutes", "")
    page.click("main form button")
    expect(page.locator("[role=alert]")).to_contain_text("minutes")
    expect(page.locator("#reason")).to_have_value("Left early")
    page.check("[value=reject]")
    # Minutes are asked for only where they are needed.
    expect(page.locator("#minutes")).to_be_hidden()
    address = page.url
    page.click("main form button")
    expect(page.locator(".notice-good")).to_contain_text("1 record decided")
    page.goto(address)
    expect(page.locator("main")).to_contain_text("Not accepted")
    expect(page.locator("form.decide")).to_have_count(0)


def open_one_to_decide(page: Page, opened: Open, service: Service) -> None:
    """Open a record that needs a decision of its own, made now where the draw has left none."""
    page.goto(f"{service.address}/queue")
    to_decide = page.locator("[aria-labelledby=cases] a[href^='/queue/']")
    if not to_decide.count():
        serve(opened, service, 1, 0)
        page.goto(f"{service.address}/queue")
    to_decide.first.click()
    page.wait_for_url(re.compile("/queue/.+"))


def test_a_borrowed_phone_checks_its_new_holder_in(service: Service, opened: Open) -> None:
    screen = opened("en", DESK).sign_in("manager")
    screen.goto(f"{service.address}/stations/3/screen")
    phone = opened("en", PHONE).sign_in("volunteer")
    phone.goto(scan(screen))
    expect(phone.locator("main")).to_contain_text("甘小荷")
    phone.click("form[action='/sign-out'] .button-link")
    expect(phone.locator(".notice-good")).to_contain_text("Your scan is kept")
    phone.click(f"form:has(input[value='{phone_of('clerk')}']) button")
    expect(phone.locator("form[action='/check-in']")).to_be_visible()
    expect(phone.locator(".facts")).to_contain_text("甘小桂")


def test_who_cannot_sign_in_is_told_what_to_do(opened: Open) -> None:
    page = opened("en", PHONE).page("/sign-in")
    page.fill("#phone", "13900000009")
    page.fill("#password", "not the password")
    page.check("[data-reveal]")
    expect(page.locator("#password")).to_have_attribute("type", "text")
    page.uncheck("[data-reveal]")
    expect(page.locator("#password")).to_have_attribute("type", "password")
    page.click("main form:has(#password) button")
    expect(page.locator("details.help")).to_contain_text("Ask at a service station")
    # What went wrong stands where it went wrong, and can be seen without scrolling.
    expect(page.locator("section:has(#phone) [role=alert]")).to_be_in_viewport()
    plain = opened("en", PHONE, java_script_enabled=False).page("/sign-in")
    expect(plain.locator("[data-reveal]")).to_be_hidden()


def test_the_screen_fills_the_tablet(service: Service, opened: Open) -> None:
    page = opened("zh-CN", {"width": 1024, "height": 600}).sign_in("manager")
    page.goto(f"{service.address}/stations/1/screen")
    page.click("[data-full]")
    page.wait_for_function("document.fullscreenElement?.matches('[data-screen]')")
    expect(page.locator("[data-full]")).to_have_text("退出全屏")
    # The code is whole in the picture, and nothing of the page around it can be tapped.
    read_picture(page.locator("svg.qr"))
    box: Any = page.locator(".screen-code").bounding_box()
    assert box["y"] >= 0
    assert box["y"] + box["height"] <= 600
    page.click("[data-full]")
    page.wait_for_function("!document.fullscreenElement")
    expect(page.locator("[data-full]")).to_have_text("全屏显示")


def test_a_refused_form_names_the_field_in_the_readers_words(service: Service, opened: Open) -> None:
    page = opened("zh-CN", DESK).sign_in("admin")
    page.goto(f"{service.address}/admin/stations/new")
    for name in ("name_zh", "name_en", "address", "organising_unit"):
        page.fill(f"#{name}", "桃花")
    page.fill("#person_in_charge", " ")
    page.click("main form button")
    expect(page.locator("[role=alert]")).to_contain_text("“负责人”填写有误")
    expect(page.locator("#person_in_charge")).to_have_attribute("aria-invalid", "true")
    page.fill("#person_in_charge", "赣小枫")
    page.select_option("#fund_id", label="西湖区社区基金（演示）")
    page.select_option("#region_id", label="滕王阁社区居委会")
    page.click("main form button")
    expect(page.locator("[role=alert]")).to_contain_text("该基金不支付所选社区的积分")
