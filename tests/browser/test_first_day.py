"""The first day, in a real browser, in both languages: from the code on a station's screen to a reward in the hand."""

import re
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.browser.bank import Service
from tests.browser.people import DESK, PHONE, Open, read_picture
from tests.browser.pictures import keep_picture
from tests.browser.scanning import confirm, scan
from timebank import codes

WORDS: dict[str, dict[str, Any]] = {
    "en": {
        "in": "You are checked in",
        "out": "You are checked out",
        "served": "You served 2 hrs",
        "grade": "A: both ends proved live at the station",
        "rules": "version 1",
        "handed over": "Handed over",
        "stop": "Do not hand anything over",
        "used": "This code was used before: the reward has been handed over.",
        "collected": "Collected",
    },
    "zh-CN": {
        "in": "签到成功",
        "out": "签退成功",
        "served": "本次服务 2小时",
        "grade": "A 级：签到签退均为现场扫码",
        "rules": "第 1 版",
        "handed over": "核销成功",
        "stop": "请勿发放",
        "used": "该兑换码已经使用过。",
        "collected": "已领取",
    },
}
VOLUNTEER = "甘小荷"


def points_of(page: Page) -> int:
    """What the volunteer's home says they can spend."""
    return int(page.locator("[data-figure=points]").inner_text().replace(",", ""))


def verify(screen: Page) -> None:
    """Verify what is ticked on this page of the queue."""
    with screen.expect_navigation():
        screen.click("form[action='/queue'][method=post] button")
    expect(screen.locator(".notice-good")).to_be_visible()


@pytest.mark.parametrize("language", ["zh-CN", "en"])
def test_the_first_day(service: Service, opened: Open, language: str) -> None:
    words = WORDS[language]
    manager, volunteer, clerk = opened(language, DESK), opened(language, PHONE), opened(language, PHONE)

    # The station's screen.
    screen = manager.sign_in("manager")
    screen.goto(f"{service.address}/stations")
    screen.click("main a[href='/stations/1/screen']")
    address = scan(screen)
    assert re.fullmatch(r"HTTP://127\.0\.0\.1:[0-9]+/K/[0-9A-Z]{32}", address)
    keep_picture(screen, f"screen-{language}")

    # A stranger's phone opens the code, signs in, and the scan is still good.
    phone = volunteer.page()
    phone.goto(address)
    assert "滕王阁" not in phone.content()
    phone.click("main a.button-main")
    phone.click("form:has(input[value='+8613900000001']) button")
    expect(phone.locator("form[action='/check-in']")).to_be_visible()
    confirm(phone, service)
    expect(phone.locator("h1")).to_have_text(words["in"])
    phone.goto(f"{service.address}/")
    before = points_of(phone)

    # Two hours later the screen has moved on by itself.
    shown = int(screen.get_attribute("[data-screen]", "data-slot") or 0)
    phone.click(".demo button")
    screen.wait_for_function(
        "least => document.querySelector('[data-screen]').dataset.slot >= least",
        arg=shown + 2 * 3600 // codes.SLOT_SECONDS,
    )
    phone.goto(scan(screen))
    phone.click("form[action='/check-in'] button")
    expect(phone.locator("h1")).to_have_text(words["out"])
    expect(phone.locator("main")).to_contain_text(words["served"])

    # One tap verifies it, together with whatever else is without questions.
    screen.goto(f"{service.address}/queue")
    expect(screen.locator(".pick", has_text=VOLUNTEER).last).to_be_visible()
    keep_picture(screen, f"queue-{language}")
    verify(screen)
    # A page holds forty: where tests before this one left records too, there is another.
    while screen.locator(".pick").count():
        verify(screen)

    # The points are there, and say where they come from.
    phone.goto(f"{service.address}/")
    assert points_of(phone) > before
    keep_picture(phone, f"home-{language}")
    phone.click(".purse a[href='/statement']")
    line = phone.locator(".rows > li").first
    line.locator("summary").click()
    expect(line).to_contain_text(words["grade"])
    expect(line).to_contain_text(words["rules"])
    expect(line).to_contain_text("甘小樟")

    # Redeemed: points are held, the code is shown as a picture and as digits.
    phone.goto(f"{service.address}/rewards")
    phone.click(".offer a[href]:below(h1) >> nth=0")
    before = int(phone.locator(".facts dd").nth(-3).inner_text().replace(",", ""))
    phone.click("form[action^='/rewards/'] button")
    code = read_picture(phone.locator("svg.qr"))
    digits = phone.locator("[data-digits]").inner_text()
    mine = phone.url
    keep_picture(phone, f"code-{language}")

    # The clerk scans it, in two tabs at once, and hands it over once.
    again = clerk.sign_in("clerk")
    again.goto(f"{service.address}/counter")
    again.fill("#code", digits)
    again.press("#code", "Enter")
    expect(again.locator("[data-counter=found]")).to_contain_text("甘**")
    counter = clerk.page()
    counter.goto(code)
    expect(counter.locator("[data-counter=found]")).to_contain_text(digits)
    counter.click("[data-counter=found] form button")
    expect(counter.locator("[data-counter=done] h2")).to_have_text(words["handed over"])
    again.click("[data-counter=found] form button")
    expect(again.locator("[data-counter=stop]")).to_contain_text(words["stop"])
    expect(again.locator("[data-counter=stop]")).to_contain_text(words["used"])
    again.goto(code)
    expect(again.locator("[data-counter=stop]")).to_contain_text(words["used"])

    phone.goto(urlsplit(mine)._replace(query="").geturl())
    expect(phone.locator(".ticket")).to_contain_text(words["collected"])
    audit = service.run("audit")
    assert audit.returncode == 0, audit.stdout + audit.stderr
