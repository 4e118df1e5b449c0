"""A manager's and an administrator's day from one end to the other, as their pages offer it."""

import io
import re
from datetime import date, timedelta
from typing import Any

from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.bank import Service
from tests.browser.people import DESK, PHONE, Open, phone_of

STATION = 1


def enter(desk: Page, service: Service, start: str, end: str, reason: str) -> None:
    """The manager enters a service of the demo's volunteer that nobody scanned, yesterday."""
    desk.goto(f"{service.address}/stations/{STATION}")
    form = desk.locator("form[action$='/entries']")
    desk.locator("[aria-labelledby=entry] summary").click()
    form.locator("[name=member]").fill(phone_of("volunteer"))
    today = date.fromisoformat(form.locator("[name=day]").input_value())
    yesterday = (today - timedelta(days=1)).isoformat()
    form.locator("[name=day]").fill(yesterday)
    form.locator("[name=start]").fill(start)
    form.locator("[name=end]").fill(end)
    form.locator("[name=reason]").fill(reason)
    form.locator("button").click()
    expect(desk.locator(".notice-good")).to_contain_text("recorded, waiting to be verified")


def open_entry(desk: Page, service: Service, reason: str) -> str:
    """Open the record in the queue whose reason this is; answers its address."""
    desk.goto(f"{service.address}/queue")
    waiting = desk.locator("[aria-labelledby=cases] a[href^='/queue/']")
    for address in [each.get_attribute("href") for each in waiting.all()]:
        desk.goto(f"{service.address}{address}")
        if desk.get_by_text(reason).count():
            return str(address)
    raise AssertionError(f"nothing waits that says {reason}")


def decide(desk: Page, verdict: str, reason: str, minutes: int | None = None) -> None:
    """Decide the record that is open."""
    desk.check(f"[value={verdict}]")
    if minutes is not None:
        desk.fill("#minutes", str(minutes))
    desk.fill("#reason", reason)
    desk.click("form.decide button")
    expect(desk.locator(".notice-good")).to_contain_text("1 record decided")


def test_a_managers_day(service: Service, opened: Open) -> None:
    desk = opened("en", DESK).sign_in("manager")
    phone = opened("en", PHONE).sign_in("volunteer")
    records = {}
    for start, end, reason in (("06:00", "06:50", "The tablet had no power"), ("06:51", "07:31", "Forgot the phone")):
        enter(desk, service, start, end, reason)
        records[reason] = open_entry(desk, service, reason).removeprefix("/queue/")
    kept, gone = records.values()

    # Before anything is decided the volunteer reads who entered it, and why.
    phone.goto(f"{service.address}/records/{kept}")
    expect(phone.locator("main")).to_contain_text("The tablet had no power")
    expect(phone.locator("main")).to_contain_text("Entered by")

    desk.goto(f"{service.address}/queue/{kept}")
    decide(desk, "adjust", "Came ten minutes late", 40)
    desk.goto(f"{service.address}/queue/{gone}")
    decide(desk, "reject", "Was seen elsewhere")
    for record, words, state in (
        (kept, "Came ten minutes late", "Verified"),
        (gone, "Was seen elsewhere", "Not accepted"),
    ):
        phone.goto(f"{service.address}/records/{record}")
        expect(phone.locator("main")).to_contain_text(words)
        expect(phone.locator("main")).to_contain_text(state)

    # A PIN that was forgotten is taken away at the desk, and its owner types another one.
    owner = opened("en", PHONE).sign_in("clerk")
    owner.goto(f"{service.address}/card")
    owner.click("form[action='/card'] button")
    owner.fill("#new-pin", "830417")
    owner.click("form[action='/card/pin'] button")
    expect(owner.locator("#present")).to_be_visible()
    desk.goto(f"{service.address}/stations/{STATION}")
    desk.locator("form[action$='/members'] [name=member]").fill(phone_of("clerk"))
    desk.click("form[action$='/members'] [value=reset]")
    expect(desk.locator(".notice-good")).to_contain_text("The PIN is forgotten")
    owner.goto(f"{service.address}/card")
    expect(owner.locator("#new-pin")).to_be_visible()
    expect(owner.locator("#present")).to_have_count(0)


def test_an_administrators_rules_rewards_and_members(service: Service, opened: Open) -> None:
    page = opened("en", DESK, java_script_enabled=False).sign_in("admin")

    # Rules are tried on last month first, and then made; the page shows what differs.
    page.goto(f"{service.address}/admin/policy/new")
    page.fill("#daily_cap_minutes", "300")
    page.click("[name=action][value=preview]")
    expect(page.locator("#preview")).to_be_visible()
    expect(page.locator("#daily_cap_minutes")).to_have_value("300")
    page.click("form button:not([value=preview]) >> nth=-1")
    expect(page.locator(".notice-good")).to_contain_text("New version made")
    expect(page.locator("main")).to_contain_text("300")

    # A reward gets a picture, which the volunteers see.
    page.goto(f"{service.address}/admin/rewards")
    page.locator("tbody a").first.click()
    picture = io.BytesIO()
    Image.new("RGB", (320, 240), "#2a7a5a").save(picture, "PNG")
    chosen: Any = {"name": "tea.png", "mimeType": "image/png", "buffer": picture.getvalue()}
    page.set_input_files("#picture", chosen)
    page.click("form[action$='/picture'] button")
    expect(page.locator(".picture-photo img")).to_be_visible()

    # Somebody is suspended and comes back, and all of it stands in the trail, as it was and as it is.
    page.goto(f"{service.address}/admin/members/new")
    page.fill("#name", "试停一")
    page.click("form[action='/admin/members/new'] button")
    member = page.url.partition("?")[0]
    page.click("form[action$='/suspend'] button")
    expect(page.locator("main")).to_contain_text("Suspended")
    page.click("form[action$='/reinstate'] button")
    expect(page.locator("main")).to_contain_text("Active")
    page.goto(f"{service.address}/admin/trail?subject={re.split('/', member)[-1]}")
    for words in ("Member suspended", "Suspension ended", "Member added"):
        expect(page.locator("main .rows")).to_contain_text(words)
    page.goto(f"{service.address}/admin/trail?action=reward.picture")
    expect(page.locator("main .rows")).to_contain_text("Picture changed")
    page.goto(f"{service.address}/admin/trail?action=policy")
    expect(page.locator("main .rows > li").first).to_contain_text("300")
