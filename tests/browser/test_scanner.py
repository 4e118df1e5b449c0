"""The scanner in a page: a camera that sees our codes, others, and none; scanners that type; no script at all."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.bank import Service, started
from tests.browser.clips import record
from tests.browser.people import CAMERA, DESK, FLAGS, PHONE, Open, Watched, read_picture
from tests.browser.scanning import scan
from tests.browser.test_counter import DONE, FOUND, STOP, UNDONE, at_counter, redeem
from tests.directories import short_directory

OPEN, LIGHT, SAID = "[data-part=open]", "[data-part=light]", "[data-scanner]"
# What a phone has and this machine has not, with a note of its use.
HANDS = """
window.felt = [];
navigator.vibrate = (pattern) => { window.felt.push(pattern); return true; };
window.lit = [];
const plain = MediaStreamTrack.prototype.getCapabilities;
MediaStreamTrack.prototype.getCapabilities = function () { return { ...plain.call(this), torch: true }; };
MediaStreamTrack.prototype.applyConstraints = async function (wanted) { window.lit.push(wanted.advanced[0].torch); };
"""

Filmed = Callable[..., Page]


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    """A bank of this module's own: who is in when it ends is nobody else's affair."""
    with short_directory() as directory, started(directory / "data") as service:
        yield service


@pytest.fixture
def filmed(browser: Browser, chromium: Path, service: Service) -> Iterator[Filmed]:
    """Opens one person's browser whose camera shows a clip; afterwards it may not have complained."""
    opened: list[tuple[Browser, Watched]] = []

    def open_one(clip: Path, role: str, viewport: dict[str, int]) -> Page:
        flags = [*FLAGS, *CAMERA, f"--use-file-for-fake-video-capture={clip}"]
        own = browser.browser_type.launch(executable_path=str(chromium), headless=True, args=flags)
        person = Watched.of(own, service.address, "en", viewport)
        person.context.add_init_script(HANDS)
        opened.append((own, person))
        return person.sign_in(role)

    yield open_one
    complaints = [words for _, person in opened for words in person.complaints]
    for own, _ in opened:
        own.close()
    assert complaints == []


@contextmanager
def still_running(page: Page) -> Iterator[None]:
    """The camera shows moving pictures afterwards as before."""
    yield
    now = page.evaluate("document.querySelector('video').currentTime")
    page.wait_for_function("now => document.querySelector('video').currentTime > now", arg=now)


def test_a_clean_code_leads_to_the_button(service: Service, opened: Open, filmed: Filmed, tmp_path: Path) -> None:
    screen = opened("en", DESK).sign_in("admin")
    screen.goto(f"{service.address}/stations/1/screen")
    clip = record(tmp_path / "clean.mjpeg", scan(screen))
    phone = filmed(clip, "volunteer", PHONE)
    asked: list[str] = []
    phone.on("request", lambda request: asked.append(request.url))
    phone.click("a[href='/scan']")
    # The large part is fetched when it is wanted, and from nowhere but here.
    assert not [address for address in asked if "decoder" in address or address.endswith(".wasm")]
    phone.click(OPEN)
    phone.wait_for_url("**/check-in?ticket=*")
    expect(phone.locator("form[action='/check-in'] button")).to_be_visible()
    assert [address for address in asked if address.endswith(".wasm")]
    assert all(address.startswith(service.address) for address in asked)


def test_a_tilted_and_blurred_code_is_handed_over_and_taken_back(
    service: Service, opened: Open, filmed: Filmed, tmp_path: Path
) -> None:
    text, digits = redeem(opened("en", PHONE).sign_in("volunteer"), service)
    clip = record(tmp_path / "tilted.mjpeg", text, tilt=24, blur=1.6, keystone=25)
    clerk = at_counter(filmed(clip, "clerk", PHONE), service)
    clerk.click(OPEN)
    with still_running(clerk):
        expect(clerk.locator(FOUND)).to_contain_text(digits)
    assert clerk.evaluate("window.felt") == [60, 60]
    # Nothing was spent yet: that is one more press, and it can be undone.
    with still_running(clerk):
        clerk.click(f"{FOUND} button.button-main")
        expect(clerk.locator(DONE)).to_contain_text(digits)
    clerk.locator("[data-handed] li").first.get_by_role("button").click()
    expect(clerk.locator(UNDONE)).to_contain_text(digits)
    # Held up again, it is looked at again; typed, what is wrong stops.
    clerk.fill("[data-scan]", "00000000")
    clerk.keyboard.press("Enter")
    with still_running(clerk):
        expect(clerk.locator(STOP)).to_be_visible()
    assert clerk.evaluate("window.felt").pop() == [90, 60, 90]


def test_a_small_code_is_read_at_the_desk(service: Service, opened: Open, filmed: Filmed, tmp_path: Path) -> None:
    owner = opened("en", PHONE).sign_in("volunteer")
    owner.goto(f"{service.address}/card")
    if not owner.locator("svg.qr").count():
        owner.click("form[action='/card'] button")
    text = read_picture(owner.locator("svg.qr"))
    manager = filmed(record(tmp_path / "small.mjpeg", text, pixels=150), "manager", PHONE)
    manager.goto(f"{service.address}/stations")
    manager.locator("main a[href^='/stations/']:not([href*='screen'])").first.click()
    manager.click(OPEN)
    expect(manager.locator("#code")).to_have_value(text)
    expect(manager.locator(SAID)).to_have_attribute("data-result", "good")
    manager.click("form[action$='/cards'] button[value=in]")
    manager.wait_for_url("**/stations/*?answer=*")
    # The camera opens again by itself for the next card.
    expect(manager.locator("video")).to_be_visible()


def test_a_wrong_code_is_told_and_the_camera_goes_on(service: Service, filmed: Filmed, tmp_path: Path) -> None:
    clip = record(tmp_path / "wrong.mjpeg", "HTTPS://ELSEWHERE.EXAMPLE/K/1234")
    phone = filmed(clip, "volunteer", PHONE)
    phone.goto(f"{service.address}/scan")
    phone.click(OPEN)
    with still_running(phone):
        expect(phone.locator(SAID)).to_have_attribute("data-result", "bad")
        expect(phone.get_by_role("status")).to_contain_text("elsewhere.example")
    assert phone.evaluate("window.felt") == [[90, 60, 90]]
    phone.click(LIGHT)
    expect(phone.locator(LIGHT)).to_have_attribute("aria-pressed", "true")
    assert phone.evaluate("window.lit") == [True]
    # What a scanner types, or a hand, works beside it.
    phone.fill("#code", "123 456")
    phone.keyboard.press("Enter")
    phone.wait_for_url("**/check-in/digits?digits=123456")
    expect(phone.locator("#digits")).to_have_value("123456")


def test_without_a_camera_or_a_script_the_field_does_it(service: Service, opened: Open) -> None:
    denied = opened("en", PHONE).sign_in("volunteer")
    denied.goto(f"{service.address}/scan")
    denied.click(OPEN)
    expect(denied.locator(SAID)).to_have_attribute("data-result", "bad")

    plain = opened("en", PHONE, java_script_enabled=False).sign_in("clerk")
    for text, onward in {
        f"{service.address}/s/1{'0' * 23}".upper(): f"/S/1{'0' * 23}",
        f"1{'0' * 25}": f"/C/1{'0' * 25}",
        f"1{'0' * 24}": "/counter?",
        "1234 5678": "/counter?scanned=1",
        "https://elsewhere.example/K/1": "/scan?",
        "1234567": "/scan?",
        "http://[": "/scan?",
    }.items():
        plain.goto(f"{service.address}/scan")
        expect(plain.locator(SAID)).to_be_hidden()
        plain.fill("#code", text)
        plain.keyboard.press("Enter")
        plain.wait_for_url(lambda found, onward=onward: onward in found)
    expect(plain.get_by_role("alert")).to_be_visible()


def test_only_pages_with_a_camera_may_compile(service: Service, opened: Open) -> None:
    page = opened("en", PHONE).sign_in("volunteer")
    policies = {
        path: page.request.get(service.address + path).headers["content-security-policy"] for path in ("/", "/scan")
    }
    assert "unsafe" not in policies["/"]
    assert policies["/scan"].replace(" 'wasm-unsafe-eval'", "") == policies["/"]
