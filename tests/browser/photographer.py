"""Who takes the pictures of the pages and of the papers of one bank, and keeps some of them for the docs."""

from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page

from tests.browser.accessibility import SET_IN
from tests.browser.bank import Service
from tests.browser.people import DESK, PHONE, Watched
from tests.browser.pictures import keep_picture, keep_sheet
from tests.paper import pages_of

SIZES = {"phone": PHONE, "desk": DESK}
# What docs/images keeps where TIMEBANK_PICTURES=1 asks for it: by the language of the guides and the name here, of what
# size, and its name there. Two guides are in Chinese.
BOTH = {"stranger-certificate-stands": ("phone", "certificate-check"), "manager-desk": ("desk", "desk")}
IN_DOCS = {
    "en": {
        **BOTH,
        "clerk-found": ("phone", "counter"),
        "admin-overview": ("desk", "office"),
        "tour-auditor-admin-trail": ("desk", "trail"),
    },
    "zh-CN": {**BOTH, "kiosk": ("desk", "kiosk")},
}
SHEETS_IN_DOCS = {
    "en": {"paper-certificate": "certificate", "paper-poster": "poster"},
    "zh-CN": {"paper-certificate": "certificate"},
}
SHEET_PIXELS = (520, 740)
PASSWORD = "willow-by-the-river"


class Photographer:
    """Takes pictures of one bank in one language."""

    def __init__(self, browser: Browser, service: Service, language: str, folder: Path) -> None:
        self.browser, self.service, self.language, self.folder = browser, service, language, folder
        self.count = 0
        self.seen: set[str] = set()

    def take(self, page: Page, name: str) -> None:
        """The whole page, on a phone, on a desk, and with the largest text on a phone."""
        self.count += 1
        self.seen.add(urlsplit(page.url).path)
        for size, viewport in SIZES.items():
            page.set_viewport_size(viewport)
            kept_size, kept_name = IN_DOCS[self.language].get(name, ("", ""))
            if size == kept_size:
                keep_picture(page, f"{kept_name}-{self.language}")
            self.keep(page, f"{name}-{self.language}-{size}", viewport)
        page.set_viewport_size(PHONE)
        if page.locator("html[data-size]").count():
            page.evaluate(SET_IN, "largest")
            self.keep(page, f"{name}-{self.language}-largest", PHONE)
            page.evaluate(SET_IN, "usual")

    def keep(self, page: Page, name: str, viewport: dict[str, int]) -> None:
        """One picture, in a window as high as the page: what sticks to the foot stands at the end, not across it."""
        height = page.evaluate("document.documentElement.scrollHeight")
        page.set_viewport_size({**viewport, "height": max(viewport["height"], height)})
        page.screenshot(path=self.folder / f"{self.count:03d}-{name}.png", scale="css")
        page.set_viewport_size(viewport)

    def person(self) -> Watched:
        """Somebody with a phone."""
        return Watched.of(self.browser, self.service.address, self.language)

    def signed_in(self, phone: str) -> Page:
        """A member who was added by this program, signed in by password."""
        page = self.person().page("/sign-in")
        page.fill("#phone", phone)
        page.fill("#password", PASSWORD)
        page.click("main form:has(#password) button")
        page.wait_for_url(f"{self.service.address}/")
        return page

    def go(self, page: Page, path: str, name: str) -> None:
        """Open a page and take it."""
        page.goto(self.service.address + path)
        self.take(page, name)

    def keep_paper(self, page: Page, path: str, name: str) -> None:
        """Every sheet of a PDF, as it is printed."""
        self.count += 1
        self.seen.add(path)
        pdf = page.request.get(self.service.address + path)
        assert pdf.ok, (path, pdf.status)
        for number, sheet in enumerate(pages_of(pdf.body()), start=1):
            if number == 1 and (kept_name := SHEETS_IN_DOCS[self.language].get(name)):
                keep_sheet(sheet, f"{kept_name}-{self.language}", SHEET_PIXELS)
            sheet.save(self.folder / f"{self.count:03d}-{name}-{self.language}-sheet{number}.png")
