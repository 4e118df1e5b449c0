"""What a volunteer does at a station's screen."""

import re
from uuid import UUID

from playwright.sync_api import Page

from tests.browser.bank import Service
from tests.browser.people import DESK, PHONE, Open, read_picture
from timebank import policy


def scan(screen: Page) -> str:
    """The address in the code on the station's screen, read from its picture."""
    return read_picture(screen.locator("svg.qr"))


def confirm(page: Page, service: Service) -> None:
    """Press the one button. A check-in that would be drawn for a closer look is passed over."""
    share = policy.Rules(rate_points_per_hour={}).draw_percent
    while policy.drawn(service.keys.draw, UUID(page.input_value("form[action='/check-in'] [name=id]")), share):
        page.reload()
    press(page)


def press(page: Page) -> None:
    """Press the button, and wait for the page of the answer: the scan is kept before it is sent."""
    page.click("form[action='/check-in'] button")
    page.wait_for_url(re.compile(r"/check-in/[0-9a-f-]{36}"))


def serve(opened: Open, service: Service, station: int, minutes: int) -> None:
    """The demo's volunteer comes to a station, and leaves so many minutes later. The record waits, without questions.

    With no minutes, the same code serves for both, which is always looked at.
    """
    screen, phone = opened("en", DESK).sign_in("admin"), opened("en", PHONE).sign_in("volunteer")
    screen.goto(f"{service.address}/stations/{station}/screen")
    code = scan(screen)
    phone.goto(code)
    confirm(phone, service)
    if minutes:
        service.pass_time(minutes=minutes)
        screen.reload()
        code = scan(screen)
    phone.goto(code)
    press(phone)
