"""Pages of the office that fill only after something went wrong: documents shown twice, messages that nobody took."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

from playwright.sync_api import Page

from tests.browser.bank import free_port
from tests.browser.photographer import Photographer
from timebank import webhooks

# From the standard itself.
DOCUMENT = "11010519491231002X"
# How often it is looked whether the bank has tried a message again.
TURNS, TURN_MILLISECONDS = 60, 500


def documents(camera: Photographer, manager: Page, phones: tuple[str, str]) -> None:
    """Two members show the same document; an administrator finds both, and decides at one of them."""
    for phone in phones:
        manager.goto(f"{camera.service.address}/stations/1/identity")
        manager.fill("#member", phone)
        manager.fill("#number", DOCUMENT)
        manager.check("[name=seen]")
        manager.click("main form button")
        camera.take(manager, "manager-document-seen")
    page = camera.person().sign_in("admin")
    camera.go(page, "/admin/identities", "admin-documents")
    page.locator("main tbody a").first.click()
    camera.take(page, "admin-document-of-a-member")


class Listener(BaseHTTPRequestHandler):
    """Takes every message."""

    def do_POST(self) -> None:
        """Thank for it."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def listening() -> Iterator[str]:
    """The address of somebody on this machine who takes every message."""
    server = HTTPServer(("127.0.0.1", 0), Listener)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/messages"
    finally:
        server.shutdown()
        server.server_close()


def told(camera: Photographer, manager: Page) -> None:
    """A shift is told to somebody who takes it and to somebody who is never there, until it is given up."""
    page = camera.person().sign_in("admin")
    with listening() as heard:
        for url in (heard, f"http://127.0.0.1:{free_port()}/nobody"):
            page.goto(f"{camera.service.address}/admin/webhooks")
            page.fill("#url", url)
            page.check("[value='shift.planned']")
            page.check("[value='record.verified']")
            page.click("form[action='/admin/webhooks'][method=post] button")
        camera.take(page, "admin-webhooks-added")
        manager.goto(f"{camera.service.address}/stations/1")
        form = manager.locator("form[action$='/shifts']")
        form.evaluate("each => { each.closest('details').open = true; }")
        form.locator("[name=start]").fill("23:00")
        form.locator("[name=end]").fill("23:59")
        form.locator("button").click()
        camera.take(manager, "manager-shift-planned")
        for tries, pause in enumerate(webhooks.PAUSES, start=1):
            tried(page, camera, tries)
            if tries == 2:
                camera.take(page, "admin-webhooks-waiting")
            camera.service.pass_time(seconds=pause.total_seconds())
        tried(page, camera, len(webhooks.PAUSES) + 1)
    camera.take(page, "admin-webhooks-given-up")


def tried(page: Page, camera: Photographer, tries: int) -> None:
    """Wait until the message that nobody takes has been tried so often."""
    words = f"已尝试 {tries} 次" if camera.language == "zh-CN" else f"{tries} {'try' if tries == 1 else 'tries'}"
    found = page.locator("section[aria-labelledby=messages] li").filter(has_text="/nobody").filter(has_text=words)
    for _ in range(TURNS):
        page.goto(f"{camera.service.address}/admin/webhooks")
        if found.count():
            return
        page.wait_for_timeout(TURN_MILLISECONDS)
    raise AssertionError(words)
