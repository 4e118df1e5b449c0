"""Check-ins that meet no network, a network that swallows them, and a bank that is ill: each counts once, later."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.bank import Service, started
from tests.browser.people import DESK, PHONE, Open, Watched, phone_of, read_picture
from tests.browser.scanning import scan
from tests.directories import short_directory

BUTTON = "form[action='/check-in'] button"
WAITING, REFUSED, SENT, STRANGERS = (
    f"[data-outbox] [data-part={name}]" for name in ("waiting", "refused", "sent", "strangers")
)
# A sign of life, as browsers give it when the network is back.
ALIVE = "dispatchEvent(new Event('online'))"
PUNCHES = "**/api/v1/check-*"


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    """A bank of this module's own: who is in when it ends is nobody else's affair."""
    with short_directory() as directory, started(directory / "data") as service:
        yield service


@pytest.fixture
def lonely(opened: Open) -> Iterator[Callable[..., Watched]]:
    """Opens people's browsers for whom a missing network, or an ill bank, is no complaint."""
    people: list[Watched] = []

    def open_one(*chosen: Any, **more: Any) -> Watched:
        people.append(opened(*chosen, **more))
        return people[-1]

    yield open_one
    for person in people:
        person.complaints[:] = [words for words in person.complaints if "Failed to load resource" not in words]


@pytest.fixture
def code(service: Service, opened: Open) -> str:
    """What the screen of the first station shows now."""
    screen = opened("en", DESK).sign_in("admin")
    screen.goto(f"{service.address}/stations/1/screen")
    return scan(screen)


def at_the_button(person: Watched, code: str) -> Page:
    """The volunteer has scanned while there was a network, and has not pressed the button."""
    phone = person.sign_in("volunteer")
    phone.goto(code)
    expect(phone.locator(BUTTON)).to_be_visible()
    return phone


def test_without_a_network_it_waits_and_goes_out_by_itself(lonely: Any, code: str) -> None:
    person = lonely("en", PHONE)
    phone = at_the_button(person, code)
    person.context.set_offline(True)
    phone.click(BUTTON)
    expect(phone.locator(WAITING)).to_contain_text("Check-")
    expect(phone.locator(WAITING)).to_contain_text("never spent")
    expect(phone.locator(BUTTON)).to_be_hidden()
    person.context.set_offline(False)
    phone.get_by_role("link", name="See the answer").click()
    expect(phone.get_by_role("heading", level=1)).to_contain_text("You are checked")
    expect(phone.locator("[data-outbox]")).to_be_hidden()


def test_it_outlives_its_page(service: Service, lonely: Any, code: str) -> None:
    person = lonely("zh-CN", PHONE)
    phone = at_the_button(person, code)
    person.context.set_offline(True)
    phone.click(BUTTON)
    expect(phone.locator(WAITING)).to_be_visible()
    phone.close()
    person.context.set_offline(False)
    phone = person.page("/")
    expect(phone.locator(SENT)).to_contain_text("查看结果")


def test_a_network_that_swallows_everything_is_none(lonely: Any, code: str) -> None:
    phone = at_the_button(lonely("en", PHONE), code)
    phone.route("**/outbox.json", lambda route: None)
    phone.click(BUTTON)
    # Told at once, and given up later.
    expect(phone.locator(WAITING)).to_be_visible()
    expect(phone.locator(BUTTON)).to_be_hidden(timeout=15_000)
    phone.unroute("**/outbox.json")
    phone.evaluate(ALIVE)
    expect(phone.locator(SENT)).to_be_visible()


def test_an_ill_bank_and_a_lost_reply_make_no_second_record(lonely: Any, code: str) -> None:
    phone = at_the_button(lonely("en", PHONE), code)
    answers: list[Any] = []
    bodies: list[str] = []

    def ill(route: Route) -> None:
        route.fulfill(status=503, content_type="application/problem+json", body='{"code": "busy", "detail": ""}')

    def lose(route: Route) -> None:
        bodies.append(route.request.post_data or "")
        answers.append(route.fetch().json())
        route.abort()

    def pass_on(route: Route) -> None:
        bodies.append(route.request.post_data or "")
        answer = route.fetch()
        answers.append(answer.json())
        route.fulfill(response=answer)

    phone.route(PUNCHES, ill)
    phone.click(BUTTON)
    expect(phone.locator(WAITING)).to_be_visible()
    phone.unroute(PUNCHES)
    phone.route(PUNCHES, lose)
    with phone.expect_event("requestfailed", lambda request: "/check-" in request.url):
        phone.evaluate(ALIVE)
    phone.unroute(PUNCHES)
    phone.route(PUNCHES, pass_on)
    phone.evaluate(ALIVE)
    expect(phone.locator(SENT)).to_be_visible()
    # The bank has carried it out at the first time that it arrived, and said so at the second.
    assert bodies[0] == bodies[1]
    assert answers[0]["code"] in ("ok", "held")
    assert answers[0] == answers[1]
    assert len(answers) == 2


def test_nobody_else_on_the_phone_sends_it(service: Service, lonely: Any, code: str) -> None:
    person = lonely("en", PHONE)
    phone = at_the_button(person, code)
    phone.context.route(PUNCHES, lambda route: route.abort())
    phone.click(BUTTON)
    expect(phone.locator(WAITING)).to_be_visible()
    phone.click("form[action='/sign-out'] button >> nth=0")
    expect(phone.locator(STRANGERS)).to_be_visible()
    phone.context.unroute(PUNCHES)
    tried: list[str] = []
    phone.context.on("request", lambda request: tried.append(request.url) if "/check-" in request.url else None)

    other = person.sign_in("clerk")
    with other.expect_response("**/outbox.json"):
        other.evaluate(ALIVE)
    expect(other.locator(STRANGERS)).to_be_visible()
    expect(other.locator(WAITING)).to_be_hidden()
    assert tried == []
    other.click("form[action='/sign-out'] button >> nth=0")
    other.click(f"form:has(input[value='{phone_of('volunteer')}']) button")
    expect(other.locator(SENT)).to_be_visible()


def test_a_page_opens_without_a_network_and_keeps_what_it_scans(service: Service, lonely: Any, code: str) -> None:
    person = lonely("en", PHONE, service_workers="allow")
    phone = person.sign_in("volunteer")
    phone.evaluate("navigator.serviceWorker.ready.then(() => true)")
    phone.wait_for_function("caches.match('/offline?language=en&size=usual').then(Boolean)")
    # Nothing that is anybody's own is kept.
    kept = phone.evaluate(
        "caches.keys().then(async names => (await Promise.all(names.map(async name =>"
        " (await (await caches.open(name)).keys()).map(each => new URL(each.url).pathname)))).flat())"
    )
    assert {path.split("/")[1] for path in kept} == {"offline", "static"}

    person.context.set_offline(True)
    phone.goto(code)
    expect(phone.get_by_role("heading", name="No network")).to_be_visible()
    phone.get_by_role("button", name="Check in").click()
    expect(phone.locator(WAITING)).to_contain_text("Check-in")
    # One that is none, and one that is a lie: the bank says so later.
    phone.reload()
    expect(phone.locator(WAITING)).to_contain_text("Check-in")
    phone.fill("#code", "12345678")
    phone.keyboard.press("Enter")
    expect(phone.get_by_role("alert")).to_contain_text("only the code on a station's screen")
    phone.fill("#code", "1" + "0" * 31)
    phone.keyboard.press("Enter")
    phone.get_by_role("button", name="Check out").click()
    expect(phone.locator(f"{WAITING} li")).to_have_count(2)

    person.context.set_offline(False)
    expect(phone.locator(f"{SENT} li")).to_have_count(1)
    expect(phone.locator(REFUSED)).to_contain_text("not genuine")
    phone.goto(f"{service.address}/")
    expect(phone.locator(REFUSED)).to_contain_text("not genuine")
    phone.locator(REFUSED).get_by_role("button", name="Dismiss").click()
    expect(phone.locator("[data-outbox]")).to_be_hidden()


def test_the_page_to_scan_keeps_a_code_that_finds_no_bank(service: Service, lonely: Any, code: str) -> None:
    person = lonely("en", PHONE)
    phone = person.sign_in("volunteer")
    phone.goto(f"{service.address}/scan")
    person.context.set_offline(True)
    phone.fill("#code", code)
    phone.keyboard.press("Enter")
    phone.get_by_role("button", name="Check out").click()
    expect(phone.locator(WAITING)).to_contain_text("Check-out")
    person.context.set_offline(False)
    expect(phone.locator(SENT)).to_be_visible()
    # With a bank that answers, the same page leads on as ever.
    phone.fill("#code", code)
    phone.keyboard.press("Enter")
    phone.wait_for_url("**/check-in?ticket=*")


def test_the_desk_scans_on_without_a_network(service: Service, opened: Open, lonely: Any) -> None:
    owner = opened("en", PHONE).sign_in("volunteer")
    owner.goto(f"{service.address}/card")
    if not owner.locator("svg.qr").count():
        owner.click("form[action='/card'] button")
    card = read_picture(owner.locator("svg.qr"))
    person = lonely("en", DESK)
    desk = person.sign_in("manager")
    desk.goto(f"{service.address}/stations/1")
    person.context.set_offline(True)
    for number, kind in enumerate(("in", "out"), 1):
        desk.fill("#code", card)
        desk.click(f"form[action$='/cards'] button[value={kind}]")
        expect(desk.locator(f"{WAITING} li")).to_have_count(number)
        expect(desk.locator("#code")).to_have_value("")
    sent: list[str] = []
    desk.on(
        "request", lambda request: sent.append(request.post_data_json["kind"]) if "card-scans" in request.url else None
    )
    person.context.set_offline(False)
    expect(desk.locator(f"{SENT} li")).to_have_count(2)
    assert sent == ["in", "out"]
    # With a PIN, which is never kept, the form goes to the bank itself.
    desk.fill("#code", card)
    desk.fill("#pin", "000000")
    desk.click("form[action$='/cards'] button[value=in]")
    expect(desk.get_by_role("alert")).to_be_visible()
    assert sent == ["in", "out"]


def test_without_a_script_the_form_goes_itself(lonely: Any, code: str) -> None:
    phone = at_the_button(lonely("en", PHONE, java_script_enabled=False), code)
    phone.click(BUTTON)
    expect(phone.get_by_role("heading", level=1)).to_contain_text("You are checked")
