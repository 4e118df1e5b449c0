"""A manager's, a clerk's and an administrator's day from one end to the other, as their pages offer it."""

import io
import re
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.bank import Service
from tests.browser.people import DESK, PHONE, Open, phone_of
from tests.browser.test_counter import DONE, FOUND, STOP, UNDONE, held, redeem, type_code
from timebank.clock import DemoClock
from timebank.demo import SIGN_INS
from timebank.demo_city import TIME_ZONE

STATION = 1


def enter(desk: Page, service: Service, start: str, end: str, reason: str, who: str = "volunteer") -> None:
    """The manager enters a service of one of the demo's people that nobody scanned, yesterday."""
    desk.goto(f"{service.address}/stations/{STATION}")
    form = desk.locator("form[action$='/entries']")
    desk.locator("[aria-labelledby=entry] summary").click()
    form.locator("[name=member]").fill(phone_of(who))
    today = date.fromisoformat(form.locator("[name=day]").input_value())
    yesterday = (today - timedelta(days=1)).isoformat()
    form.locator("[name=day]").fill(yesterday)
    form.locator("[name=start]").fill(start)
    form.locator("[name=end]").fill(end)
    form.locator("[name=reason]").fill(reason)
    form.locator("button").click()
    expect(desk.locator(".notice", has_text="recorded, waiting to be verified")).to_be_visible()


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


def test_a_role_with_an_end_and_hours_over_quota(service: Service, opened: Open) -> None:
    admin = opened("en", DESK, java_script_enabled=False).sign_in("admin")
    volunteer = opened("en", PHONE).sign_in("volunteer")
    volunteer.goto(f"{service.address}/stations/{STATION}")
    expect(volunteer.locator("[data-code=role_not_allowed]")).to_be_visible()

    # The administrator makes the volunteer a manager of one station, for half an hour.
    admin.goto(f"{service.address}/admin/members")
    admin.fill("#text", phone_of("volunteer"))
    admin.click("form[method=post][action='/admin/members'] button")
    admin.locator("tbody a").first.click()
    admin.click("#roles ~ details summary")
    role = admin.locator("form[action$='/roles']").first
    role.locator("[name=role]").select_option("manager")
    role.locator("[name=station_id]").select_option(label="Tengwangge community station")
    ends = DemoClock(service.data / "clock")().astimezone(ZoneInfo(TIME_ZONE)) + timedelta(minutes=30)
    role.locator("[name=ends_at]").fill(ends.strftime("%Y-%m-%dT%H:%M"))
    role.locator("button").click()
    given = admin.locator("[aria-labelledby=roles] .rows li").first
    expect(given).to_contain_text("Current")
    helper = opened("en", PHONE).sign_in("volunteer")

    # What is entered beyond the month's quota, its enterer cannot decide, not even by less.
    enter(helper, service, "00:00", "21:00", "A night at a bedside", who="clerk")
    record = open_entry(helper, service, "A night at a bedside")
    expect(helper.locator("main")).to_contain_text("What was entered, a second person approves.")
    for verdict in ("verify", "reject"):
        helper.check(f"[value={verdict}]")
        helper.fill("#reason", "It was so")
        helper.click("form.decide button")
        expect(helper.locator("[role=alert]")).to_contain_text("another manager has to decide")
    desk = opened("en", DESK).sign_in("manager")
    desk.goto(f"{service.address}{record}")
    decide(desk, "verify", "Asked at the bedside")
    owner = opened("en", PHONE).sign_in("clerk")
    owner.goto(f"{service.address}{record.replace('queue', 'records')}")
    for words in ("Verified by a second person", "Asked at the bedside", "甘小樟"):
        expect(owner.locator("main")).to_contain_text(words)

    # The half hour is over, by the bank's clock, and with it the role.
    service.pass_time(minutes=31)
    helper.goto(f"{service.address}/stations/{STATION}")
    expect(helper.locator("[data-code]")).to_be_visible()
    expect(helper.locator("form[action$='/entries']")).to_have_count(0)
    admin.reload()
    expect(given).to_contain_text("Ended")
    expect(given.locator("button")).to_have_count(0)


def reach(page: Page, selector: str) -> None:
    """Go to an element by the Tab key alone."""
    for _ in range(60):
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"no way to {selector}")


def test_a_clerks_day_by_keyboard_alone(service: Service, opened: Open) -> None:
    code, digits = redeem(opened("en", PHONE).sign_in("volunteer"), service)
    clerk = opened("en", DESK).page("/sign-in")
    person = next(each for each in SIGN_INS if each.role == "clerk")
    reach(clerk, "#phone")
    clerk.keyboard.type(person.phone)
    reach(clerk, "#password")
    type_code(clerk, person.password)
    clerk.wait_for_url(f"{service.address}/")
    reach(clerk, "nav a[href='/counter']")
    clerk.keyboard.press("Enter")
    clerk.wait_for_url("**/counter")

    # A scanner types the code; Enter hands it over.
    held(clerk)
    type_code(clerk, code)
    expect(clerk.locator(FOUND)).to_contain_text(digits)
    clerk.keyboard.press("Enter")
    expect(clerk.locator(DONE)).to_contain_text(digits)

    # Nine minutes later it turns out to have been the wrong bag.
    service.pass_time(minutes=9)
    undo = "[data-handed] li:first-child button"
    reach(clerk, undo)
    clerk.keyboard.press("Enter")
    expect(clerk.locator(UNDONE)).to_contain_text(digits)
    held(clerk)

    # The same digits are good again, typed by hand; a second time they are not, and a forged code never is.
    type_code(clerk, digits)
    expect(clerk.locator(FOUND)).to_contain_text(digits)
    clerk.keyboard.press("Enter")
    expect(clerk.locator(DONE)).to_contain_text(digits)
    type_code(clerk, code)
    expect(clerk.locator(STOP)).to_contain_text("used before")
    type_code(clerk, code[:-1] + ("0" if code[-1] != "0" else "1"))
    expect(clerk.locator(STOP)).to_contain_text("not genuine")

    # The button that has stood there too long undoes nothing.
    service.pass_time(minutes=11)
    reach(clerk, undo)
    clerk.keyboard.press("Enter")
    expect(clerk.locator(STOP)).to_contain_text("more than ten minutes ago")


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
