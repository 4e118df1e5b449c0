"""A whole day of a person who has nothing but a printed card, at desks without JavaScript: nothing else is needed."""

import re
from uuid import UUID

from playwright.sync_api import Page, expect

from tests.browser.bank import Service
from tests.browser.people import DESK, PHONE, Open, read_picture
from tests.browser.pictures import keep_picture
from tests.paper import codes_on, pages_of
from timebank import policy

PIN, WRONG = "730519", "604913"
HOME = "Tengwangge Community"
AT = "/stations/1/person"


def show_card(desk: Page, service: Service, card: str) -> None:
    """The card is scanned at a desk, by a scanner that types."""
    desk.goto(service.address + AT)
    desk.fill("#code", card)
    desk.press("#code", "Enter")
    expect(desk.locator("h1")).to_have_text("云**")


def paper(desk: Page, service: Service, path: str) -> list[str]:
    """What the codes on a paper say that is printed at this desk."""
    answer = desk.request.get(service.address + path)
    assert answer.ok, (path, answer.status)
    return [text for page in pages_of(answer.body()) for text in codes_on(page)]


def come_or_go(desk: Page, kind: str) -> str:
    """The person comes or goes, with the PIN; answers the id of the scan, which no chance picks to be looked at."""
    desk.fill("#stay-pin", PIN)
    id = desk.input_value("form[action$='/person/scans'] [name=id]")
    desk.click(f"button[value={kind}]")
    expect(desk.locator(".notice-good")).to_be_visible()
    return id


def points(desk: Page) -> int:
    """What the person of the card may spend."""
    return int(desk.locator("[data-points]").inner_text().replace(",", ""))


def test_a_day_with_only_a_card(service: Service, opened: Open) -> None:
    plain = {"java_script_enabled": False}
    office = opened("en", DESK, **plain).sign_in("admin")
    manager = opened("en", PHONE, **plain).sign_in("manager")
    clerk = opened("en", DESK, **plain).sign_in("clerk")

    # Somebody without a phone becomes a member, and is handed a card.
    office.goto(f"{service.address}/admin/members/new")
    office.fill("#name", "云小舒")
    home = office.locator("#region_id option", has_text=HOME).get_attribute("value")
    office.select_option("#region_id", home)
    office.click("form[action='/admin/members/new'] button")
    number = office.locator(".wrap-anywhere").inner_text()
    office.goto(f"{service.address}/stations/1")
    office.fill("#card-member", number)
    form = office.locator("form[action$='/members']")
    answer = office.request.post(
        f"{service.address}/stations/1/members",
        form={
            "csrf": form.locator("[name=csrf]").input_value(),
            "id": form.locator("[name=id]").input_value(),
            "member": number,
            "deed": "issue",
        },
        headers={"Origin": service.address},
        max_redirects=0,
    )
    (card,) = paper(office, service, answer.headers["location"])

    # The PIN is chosen at one desk. There it proves nothing, and at another one it does.
    show_card(office, service, card)
    office.fill("#first-pin", PIN)
    office.click("form[action$='/person/pin'] button")
    expect(office.locator(".notice-good")).to_be_visible()
    expect(office.locator("main")).to_contain_text("of grade B here")

    # In and out, three hours apart.
    share = policy.Rules(rate_points_per_hour={}).draw_percent
    show_card(manager, service, card)
    scans = "form[action$='/person/scans'] [name=id]"
    while policy.drawn(service.keys.draw, UUID(manager.input_value(scans)), share):
        manager.reload()
    record = come_or_go(manager, "in")
    expect(manager.locator("main")).to_contain_text("Serving now")
    service.pass_time(hours=3)
    show_card(manager, service, card)
    come_or_go(manager, "out")
    assert points(manager) == 0

    # Somebody else verifies; the record is as well proved as any.
    office.goto(f"{service.address}/queue/{record}")
    expect(office.locator("main")).to_contain_text("A: both ends proved live")
    office.check("input[name=verdict][value=verify]")
    office.click(f"form[action='/queue/{record}'] button")
    show_card(manager, service, card)
    had = points(manager)
    assert had >= 30
    member_id = re.search(r"/members/([0-9a-f-]{36})/slip", manager.content())
    assert member_id
    assert paper(manager, service, f"/stations/1/members/{member_id[1]}/slip.pdf") == []

    # A reward for the PIN. A wrong one spends nothing, and what was chosen can be tried again.
    for digits in (WRONG, PIN):
        manager.select_option("#reward", index=0)
        manager.fill("#redeem-pin", digits)
        manager.click("form[action$='/person/redemptions'] button")
        if digits == WRONG:
            expect(manager.locator(".notice-stop")).to_contain_text("not the card's PIN")
    code = read_picture(manager.locator("[data-made] svg.qr"))
    digits = manager.locator("[data-digits]").inner_text()
    price = int(re.sub(r"\D", "", manager.locator("[data-made] .price").inner_text()))
    assert points(manager) == had - price
    keep_picture(manager, "card-only-en")
    slip = manager.locator("[data-made] a[href$='/slip.pdf']").get_attribute("href")
    assert slip
    assert paper(manager, service, slip) == [code]

    # The slip is handed in, once.
    clerk.goto(f"{service.address}/counter")
    clerk.select_option("#station", index=0)
    clerk.fill("#code", code)
    clerk.press("#code", "Enter")
    expect(clerk.locator("[data-counter=found]")).to_contain_text(digits)
    clerk.click("[data-counter=found] form button")
    expect(clerk.locator("[data-counter=done]")).to_contain_text(digits)
    clerk.goto(code)
    expect(clerk.locator("[data-counter=stop]")).to_contain_text("used before")
    show_card(manager, service, card)
    assert points(manager) == had - price
    audit = service.run("audit")
    assert audit.returncode == 0, audit.stdout + audit.stderr
