"""A tablet as a station's kiosk: made by a manager, alone for two hours, opened again without a network, and ended."""

import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import zxingcpp
from PIL import Image
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser.accessibility import faults
from tests.browser.bank import Service
from tests.browser.clips import record
from tests.browser.people import CAMERA, FLAGS, PHONE, WAIT_MILLISECONDS, Open, Watched, read_picture
from tests.browser.pictures import keep_picture
from tests.browser.scanning import confirm
from timebank import codes

TABLET = {"width": 1280, "height": 800}
STATION = 1
HOURS = 2


@pytest.fixture
def tablet(browser: Browser, service: Service) -> Iterator[Watched]:
    """A tablet that nobody has used yet. That its network is gone is no complaint of its browser's."""
    tablet = Watched.of(browser, service.address, "en", TABLET, service_workers="allow")
    yield tablet
    tablet.context.close()
    lost = ("ERR_INTERNET_DISCONNECTED", "ERR_FAILED", "ERR_NETWORK_CHANGED", "ERR_INCOMPLETE_CHUNKED_ENCODING")
    assert [words for words in tablet.complaints if not any(name in words for name in lost)] == []


def enrol(tablet: Watched) -> Page:
    """A manager makes the tablet the kiosk of the station, and is not signed in on it any more."""
    page = tablet.sign_in("manager")
    page.goto(f"{tablet.address}/stations/{STATION}/kiosk")
    page.click("[data-enrol] button")
    page.wait_for_url(f"{tablet.address}/kiosk")
    expect(page.locator("[data-kiosk]")).not_to_have_attribute("data-slot", "")
    # So that it opens without a network: the worker has everything that the page is made of.
    expect(page.locator("[data-kiosk]")).to_have_attribute("data-kept", "yes", timeout=WAIT_MILLISECONDS)
    return page


def code_on(page: Page) -> str:
    """The code in the kiosk's picture, read from the picture."""
    return read_picture(page.locator("svg.qr"))


def expect_own_code(page: Page, service: Service) -> str:
    """What the kiosk made by itself is what the bank would have made, digits too."""
    address = code_on(page)
    scan = codes.open_station_code(service.keys.station, address, "live", codes.slot_start(0))
    numbers = (scan.station_number or 0, scan.device_number or 0, scan.slot or 0)
    assert scan.text == codes.station_code(service.keys.station, *numbers)
    shown, slot = page.locator("[data-digits]").inner_text(), page.locator("[data-kiosk]").get_attribute("data-slot")
    if slot == str(scan.slot):
        assert shown.replace(" ", "") == codes.station_digits(service.keys.station, *numbers)
    return address


def test_a_kiosk_that_loses_the_network_for_two_hours_and_comes_back(
    service: Service, opened: Open, tablet: Watched
) -> None:
    tablet.context.clock.install()
    page = enrol(tablet)
    assert "timebank" not in {cookie["name"].removeprefix("__Host-") for cookie in tablet.context.cookies()}
    # Somebody comes: the kiosk shows it at once, and not who it is.
    phone = opened("en", PHONE).sign_in("volunteer")
    phone.goto(expect_own_code(page, service))
    confirm(phone, service)
    expect(page.locator("[data-people] li", has_text="甘*")).to_be_visible()
    expect(page.locator("[data-people]")).not_to_contain_text("小荷")
    keep_picture(page, "kiosk-en")

    tablet.context.set_offline(True)
    page.clock.fast_forward(HOURS * 3600 * 1000)
    service.pass_time(hours=HOURS)
    expect(page.locator("[data-notice]")).to_contain_text("No network")
    # What it shows two hours later is taken by the bank.
    phone.goto(expect_own_code(page, service))
    phone.click("form[action='/check-in'] button")
    expect(phone.locator("main")).to_contain_text("2 hrs")

    # Opened anew without a network, it goes on: code, clock, and a card that is shown to it meanwhile.
    page.reload()
    expect(page.locator("[data-notice]")).to_contain_text("No network")
    expect(page.locator("[data-kiosk]")).not_to_have_attribute("data-slot", "")
    expect_own_code(page, service)
    card = card_of(service, phone)
    show_card(page, card, "in")
    expect(page.locator("[data-answer]")).to_contain_text("sent later")
    expect(page.locator("[data-waiting]")).to_contain_text("1")

    tablet.context.set_offline(False)
    expect(page.locator("[data-waiting]")).to_be_hidden()
    expect(page.locator("[data-notice]")).to_be_hidden()
    expect(page.locator("[data-people] li", has_text="甘*")).to_be_visible()
    # And out again, with the network.
    show_card(page, card, "out")
    expect(page.locator("[data-answer]")).to_contain_text("Checked out")
    show_card(page, "something else", "in")
    expect(page.locator("[data-answer]")).to_contain_text("not one of our codes")

    # The manager ends it, and it says so and shows nothing any more but the card that can no more be sent.
    tablet.context.set_offline(True)
    show_card(page, card, "in")
    expect(page.locator("[data-waiting]")).to_contain_text("1")
    manager = opened("en", PHONE).sign_in("manager")
    manager.goto(f"{service.address}/stations/{STATION}/kiosk")
    manager.click("section[aria-labelledby=kiosks] form button")
    tablet.context.set_offline(False)
    page.clock.fast_forward(61_000)
    expect(page.locator("[data-view=revoked]")).to_be_visible()
    expect(page.locator("[data-view=running]")).to_be_hidden()
    page.reload()
    expect(page.locator("[data-view=none]")).to_be_visible()
    expect(page.locator("[data-left] li")).to_contain_text(f"…{card[-4:]} · Check-in")
    assert faults(page) == []
    page.click("[data-left] button")
    expect(page.locator("[data-left]")).to_be_hidden()


WAITING, ANSWER, REFUSED = "[data-waiting]", "[data-answer]", "[data-refusals] li"
UNKNOWN_CARD = 4_000_001


def card_of(service: Service, phone: Page) -> str:
    """The code on the card of whoever is signed in, who gets one when there is none."""
    phone.goto(f"{service.address}/card")
    if not phone.locator("svg.qr").count():
        phone.click("form[action='/card'] button")
    return read_picture(phone.locator("svg.qr").first)


def show_card(page: Page, text: str, kind: str) -> None:
    """A card is held under the kiosk's scanner, which types and presses Enter, and a button is pressed."""
    page.fill("#code", text)
    page.press("#code", "Enter")
    page.click(f"[data-cards] [value={kind}]")


def test_cards_that_waited_go_out_once_and_in_order_and_a_refused_one_is_shown(
    service: Service, opened: Open, tablet: Watched
) -> None:
    phone = opened("en", PHONE).sign_in("auditor")
    known, unknown = card_of(service, phone), codes.card_code(service.keys.card, UNKNOWN_CARD)
    before = len(phone.request.get(f"{service.address}/api/v1/records").json()["records"])
    page = enrol(tablet)
    tablet.context.set_offline(True)
    for text, kind in ((known, "in"), (unknown, "in"), (known, "out")):
        show_card(page, text, kind)
        expect(page.locator(ANSWER)).to_contain_text("sent later")
    expect(page.locator(WAITING)).to_contain_text("3")
    # Switched off and on again, still without a network.
    page.reload()
    expect(page.locator(WAITING)).to_contain_text("3")

    sent: list[tuple[str, str]] = []

    def pass_on(route: Route) -> None:
        """The bank answers, and the first answer is lost on its way back."""
        scan = route.request.post_data_json
        sent.append((scan["kind"], scan["code"]))
        if len(sent) == 1:
            assert route.fetch().ok
            route.abort()
        else:
            route.continue_()

    tablet.context.route("**/api/v1/kiosk/card-scans", pass_on)
    tablet.context.set_offline(False)
    expect(page.locator(WAITING)).to_be_hidden(timeout=2 * WAIT_MILLISECONDS)
    assert sent == [("in", known), ("in", known), ("in", unknown), ("out", known)]
    expect(page.locator(REFUSED)).to_have_count(1)
    expect(page.locator(REFUSED)).to_contain_text(f"…{unknown[-4:]}")
    assert faults(page) == []
    # Until somebody has seen it, also when the page is opened again.
    page.reload()
    page.click(f"{REFUSED} button")
    expect(page.locator(REFUSED)).to_have_count(0)
    after = phone.request.get(f"{service.address}/api/v1/records").json()["records"]
    assert len(after) == before + 1


def test_without_events_it_asks_by_itself_and_shows_todays_shifts(
    service: Service, opened: Open, tablet: Watched
) -> None:
    tablet.context.clock.install()
    tablet.context.route("**/api/v1/kiosk/events", lambda route: route.abort())
    page = enrol(tablet)
    people, shifts = page.locator("[data-people] li"), page.locator("[data-shifts] li")
    before = people.count()
    expect(shifts).to_have_text("No shift is planned.")
    manager = opened("en", PHONE).sign_in("manager")
    manager.goto(f"{service.address}/stations/{STATION}")
    form = manager.locator("form[action$='/shifts']")
    form.evaluate("each => { each.closest('details').open = true; }")
    for name, value in (("start", "00:00"), ("end", "23:59"), ("capacity", "3")):
        form.locator(f"[name={name}]").fill(value)
    form.locator("button").click()
    expect(manager.locator("section[aria-labelledby=shifts] li")).to_have_count(1)
    manager.goto(expect_own_code(page, service))
    confirm(manager, service)
    # Nobody tells the kiosk; it asks every ten seconds.
    expect(people).to_have_count(before)
    page.clock.run_for(11_000)
    expect(people).to_have_count(before + 1)
    expect(shifts).to_have_text("00:00–23:59 · 1/3 came")
    expect(page.locator("[data-notice]")).to_be_hidden()
    # Out again, and the shift is gone: the tests after this one find the station as it was.
    manager.goto(expect_own_code(page, service))
    manager.click("form[action='/check-in'] button")
    expect(manager.locator("h1")).to_have_text("You are checked out")
    manager.goto(f"{service.address}/stations/{STATION}")
    manager.click("section[aria-labelledby=shifts] li button")


def test_a_card_is_held_in_front_of_the_kiosks_camera(
    service: Service, opened: Open, browser: Browser, chromium: Path, tmp_path: Path
) -> None:
    text = card_of(service, opened("en", PHONE).sign_in("auditor"))
    clip = record(tmp_path / "card.mjpeg", text, tilt=12, blur=1.0)
    flags = [*FLAGS, *CAMERA, f"--use-file-for-fake-video-capture={clip}"]
    own = browser.browser_type.launch(executable_path=str(chromium), headless=True, args=flags)
    try:
        tablet = Watched.of(own, service.address, "zh-CN", TABLET, service_workers="allow")
        page = enrol(tablet)
        page.click("[data-part=open]")
        expect(page.locator("[data-scanner]")).to_have_attribute("data-result", "good")
        expect(page.locator("#code")).to_have_value(text)
        assert faults(page) == []
        page.click("[data-cards] [value=in]")
        expect(page.locator(ANSWER)).to_have_text(re.compile("已签到|已记录"))
        expect(page.locator("[data-people] li", has_text="赣*")).to_be_visible()
        assert tablet.complaints == []
    finally:
        own.close()


KEYS = """async () => {
  const asked = indexedDB.open("timebank-kiosk");
  const database = await new Promise(done => { asked.onsuccess = () => done(asked.result); });
  const all = database.transaction(["keys", "self"]);
  const read = store => new Promise(done => {
    const found = all.objectStore(store).getAll();
    found.onsuccess = () => done(found.result);
  });
  const [keys, [self]] = [await read("keys"), await read("self")];
  database.close();
  return [keys.length, [...keys, self.key].some(key => key.extractable)];
}"""


def test_a_day_without_a_network_is_what_a_kiosk_is_worth(tablet: Watched) -> None:
    tablet.context.clock.install()
    page = enrol(tablet)
    # What it holds can be used and not be read, and is deleted as it is spent.
    assert page.evaluate(KEYS) == [24, False]
    tablet.context.set_offline(True)
    page.clock.fast_forward(22 * 3600 * 1000)
    expect(page.locator("[data-notice]")).to_contain_text("No network: the codes go on until")
    read_picture(page.locator("svg.qr"))
    page.clock.run_for(1_000)
    (held, readable) = page.evaluate(KEYS)
    assert held <= 3
    assert not readable
    page.clock.fast_forward(2 * 3600 * 1000)
    expect(page.locator("[data-notice]")).to_contain_text("there are no more codes")
    expect(page.locator("[data-digits]")).to_have_text("––– –––")
    assert not zxingcpp.read_barcodes(Image.open(io.BytesIO(page.locator("svg.qr").screenshot())))
    page.clock.fast_forward(2 * 60 * 1000)
    page.clock.run_for(1_000)
    assert page.evaluate(KEYS) == [0, False]
    # Of the bank's own key it never had anything; online, it goes on at once.
    tablet.context.set_offline(False)
    expect(page.locator("[data-kiosk]")).not_to_have_attribute("data-slot", "")
