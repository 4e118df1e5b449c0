"""The days that the pictures are taken of: what each person does in the bank, and what is to be seen of it."""

from playwright.sync_api import Page

from tests.browser.people import read_picture
from tests.browser.photographer import Photographer
from tests.browser.places import written
from tests.browser.scanning import press

# An import is tried by a process of its own, which has to start.
PATIENCE_MILLISECONDS = 60_000
# Somebody who has not served yet, and a clerk without a counter.
NEWCOMER, NEW_CLERK = "13900000091", "13900000092"


def stranger(camera: Photographer, code: str) -> None:
    """Who is not signed in, or cannot sign in."""
    page = camera.person().page()
    camera.go(page, "/", "stranger-welcome")
    page.fill("#phone", "13900000009")
    page.fill("#password", "not the password")
    page.click("main form:has(#password) button")
    camera.take(page, "stranger-wrong-password")
    camera.go(page, "/sign-in?by=code", "stranger-by-code")
    page.fill("#phone", "+8613900000005")
    page.click("form[action='/sign-in/code'] button")
    camera.take(page, "stranger-code-sent")
    page.fill("#digits", "000000")
    page.click("form[action='/sign-in/code/check'] button")
    camera.take(page, "stranger-code-wrong")
    page.goto(code)
    camera.take(page, "stranger-scanned-station")
    page.click("main a.button-main")
    camera.take(page, "stranger-scanned-sign-in")
    camera.go(page, "/nowhere", "stranger-not-found")
    camera.go(page, f"/offline?language={camera.language}", "stranger-without-a-network")
    page.goto(code[:-1] + ("0" if code[-1] != "0" else "1"))
    camera.take(page, "stranger-code-forged")


def newcomer(camera: Photographer) -> None:
    """A member who has done nothing yet: every list is empty."""
    page = camera.signed_in(NEWCOMER)
    for path in ("/", "/records", "/statement", "/rewards", "/codes"):
        camera.go(page, path, f"newcomer-{path.strip('/') or 'home'}")
    page.goto(f"{camera.service.address}/rewards")
    page.locator(".offer h2 a").last.click()
    camera.take(page, "newcomer-reward-too-dear")


def volunteer(camera: Photographer, page: Page, screen: Page) -> None:
    """A volunteer who has served: own pages, then in and out, with what can go wrong."""
    camera.take(page, "volunteer-home")
    camera.go(page, "/records", "volunteer-records")
    page.goto(f"{camera.service.address}/statement")
    page.locator("main .rows summary").first.click()
    camera.take(page, "volunteer-statement-opened")
    camera.go(page, "/statement?unit=minute", "volunteer-statement-hours")
    page.goto(scan(screen))
    camera.take(page, "volunteer-confirm-in")
    second = page.context.new_page()
    second.goto(scan(screen))
    press(page)
    camera.take(page, "volunteer-done-in")
    press(second)
    camera.take(second, "volunteer-held")
    camera.service.pass_time(minutes=95)
    camera.go(page, "/", "volunteer-serving")
    screen.goto(f"{camera.service.address}/stations/2/screen")
    page.goto(scan(screen))
    camera.take(page, "volunteer-confirm-elsewhere")
    press(page)
    camera.take(page, "volunteer-done-elsewhere")
    camera.service.pass_time(minutes=130)
    screen.reload()
    page.goto(scan(screen))
    camera.take(page, "volunteer-confirm-out")
    second.goto(page.url)
    press(page)
    camera.take(page, "volunteer-done-out")
    press(second)
    camera.take(second, "volunteer-nothing-open")
    second.goto(f"{camera.service.address}/check-in/digits?digits=000000")
    second.fill("#station_number", "1")
    press(second)
    camera.take(second, "volunteer-refused")
    page.goto(second.url)
    page.goto(f"{camera.service.address}/stations/1/screen")
    camera.take(page, "volunteer-not-allowed")


def scan(screen: Page) -> str:
    """The address in the code on a station's screen."""
    return read_picture(screen.locator("svg.qr"))


def redeems(camera: Photographer, page: Page) -> tuple[str, str]:
    """A volunteer redeems twice, cancels once. Answers the code's address and digits."""
    camera.go(page, "/rewards", "volunteer-rewards")
    page.locator(".offer h2 a").nth(1).click()
    camera.take(page, "volunteer-reward")
    page.click("form[action^='/rewards/'] button")
    camera.take(page, "volunteer-code-new")
    page.locator("summary").click()
    camera.take(page, "volunteer-code-cancel")
    page.click("form[action$='/cancel'] button")
    camera.take(page, "volunteer-code-cancelled")
    page.goto(f"{camera.service.address}/rewards")
    page.locator(".offer h2 a").nth(1).click()
    page.click("form[action^='/rewards/'] button")
    code, digits = scan(page), page.locator("[data-digits]").inner_text()
    camera.go(page, "/codes", "volunteer-codes")
    page.goto(f"{camera.service.address}/rewards")
    page.locator(".offer h2 a", has_text="理发" if camera.language == "zh-CN" else "haircut").click()
    if page.locator("form[action^='/rewards/']").count():
        second = page.context.new_page()
        second.goto(page.url)
        page.click("form[action^='/rewards/'] button")
        second.click("form[action^='/rewards/'] button")
        camera.take(second, "volunteer-reward-refused")
    return code, digits


def manager(camera: Photographer, page: Page) -> None:
    """A manager's stations and queue, before and after."""
    camera.go(page, "/", "manager-home")
    camera.go(page, "/stations", "manager-stations")
    camera.go(page, "/stations/1/screen", "manager-screen")
    camera.go(page, "/queue", "manager-queue")
    page.locator("main a[href^='/queue/']:not([href*='/scans/'])").last.click()
    camera.take(page, "manager-decide")
    page.locator("input[value=reject]").check()
    page.click("main form button")
    camera.take(page, "manager-decide-refused")
    page.locator("input[value=reject]").check()
    page.fill("#reason", "未参加服务，本人确认")
    page.click("main form button")
    camera.take(page, "manager-decided")
    page.click("form[action='/queue'][method=post] button")
    camera.take(page, "manager-verified")
    page.select_option("#station", index=3)
    page.wait_for_url("**/queue?station=*")
    camera.take(page, "manager-queue-empty")


def kiosk(camera: Photographer) -> None:
    """A tablet that becomes the station's kiosk, with and without a network."""
    tablet = camera.person()
    page = tablet.sign_in("manager")
    camera.go(page, "/stations/1/kiosk", "kiosk-new")
    page.click("[data-enrol] button")
    page.wait_for_selector("[data-kiosk]:not([data-slot=''])")
    camera.take(page, "kiosk")
    tablet.context.set_offline(True)
    page.wait_for_selector("[data-notice]:visible")
    camera.take(page, "kiosk-no-network")
    tablet.context.close()
    camera.go(camera.person().page(), "/kiosk", "kiosk-of-nobody")


def clerk(camera: Photographer, code: str, digits: str) -> None:
    """A clerk's counter: the right code, a used one, a wrong one."""
    page = camera.person().sign_in("clerk")
    camera.go(page, "/", "clerk-home")
    camera.go(page, "/counter", "clerk-counter")
    page.select_option("#station", index=0)
    page.fill("#code", digits)
    page.press("#code", "Enter")
    page.wait_for_selector("[data-counter=found]")
    camera.take(page, "clerk-found")
    page.click("[data-counter=found] form button")
    camera.take(page, "clerk-done")
    page.goto(code)
    camera.take(page, "clerk-used")
    camera.go(page, "/counter?code=12345678", "clerk-unknown")
    camera.go(page, "/counter?code=HTTPS://EXAMPLE.ORG/R/ABC", "clerk-malformed")
    camera.go(camera.signed_in(NEW_CLERK), "/counter", "clerk-without-counter")


def admin(camera: Photographer) -> None:
    """An administrator's overview and the form for a station; what an auditor sees."""
    page = camera.person().sign_in("admin")
    camera.go(page, "/", "admin-home")
    camera.go(page, "/admin", "admin-overview")
    camera.go(page, "/admin/stations/new", "admin-new-station")
    for name, value in (
        ("name_zh", "桃花新站"),
        ("name_en", "Peach blossom"),
        ("address", "桃花路 1 号"),
        ("organising_unit", "桃花社区"),
    ):
        page.fill(f"#{name}", value)
    page.fill("#person_in_charge", " ")
    page.click("main form button")
    camera.take(page, "admin-new-station-refused")
    page.fill("#person_in_charge", "赣小枫")
    page.click("main form button")
    camera.take(page, "admin-station-added")
    camera.take(camera.person().sign_in("auditor"), "auditor-home")


def later(camera: Photographer, page: Page) -> None:
    """Days later: what was handed over, and what nobody came for."""
    camera.service.pass_time(days=4)
    camera.go(page, "/codes", "volunteer-codes-later")
    for state in ("fulfilled", "timed_out"):
        page.goto(f"{camera.service.address}/codes")
        for link in [each.get_attribute("href") for each in page.locator("main .rows a").all()]:
            page.goto(f"{camera.service.address}{link}")
            if page.locator(f"[data-state={state}]").count():
                camera.take(page, f"volunteer-code-{state}")
                break
    camera.go(page, "/statement", "volunteer-statement-later")


def paper(camera: Photographer, volunteer: Page, manager: Page) -> None:
    """What is printed, and the public check of a certificate, before and after one of its records was corrected."""
    volunteer.goto(f"{camera.service.address}/card")
    volunteer.click("form[action='/card'] button")
    volunteer.goto(f"{camera.service.address}/certificates")
    volunteer.click("form[action='/certificates'] button")
    camera.take(volunteer, "volunteer-certificate-issued")
    for path in ("/card.pdf", "/statement/slip.pdf"):
        camera.keep_paper(volunteer, path, f"paper{path.replace('/', '-').removesuffix('.pdf')}")
    sheet = volunteer.locator("a[href$='/paper.pdf']").first.get_attribute("href")
    camera.keep_paper(volunteer, str(sheet), "paper-certificate")
    (issued,) = volunteer.request.get(f"{camera.service.address}/api/v1/certificates").json()["certificates"]
    whole = volunteer.request.get(f"{camera.service.address}/api/v1/certificates/{issued['id']}").json()
    camera.go(camera.person().page(), whole["code"], "stranger-certificate-stands")
    camera.go(manager, "/stations/1", "manager-desk")
    manager.goto(f"{camera.service.address}/stations/1/paper")
    manager.click("form[action$='/poster'] button")
    camera.take(manager, "manager-paper")
    camera.keep_paper(manager, "/stations/1/poster.pdf", "paper-poster")
    camera.keep_paper(manager, "/stations/1/report.pdf", "paper-report")


def aside(camera: Photographer, volunteer: Page, manager: Page) -> None:
    """Pages that stand behind others."""
    manager.goto(f"{camera.service.address}/stations/1/screen")
    code = scan(manager)
    camera.service.pass_time(minutes=30)
    volunteer.goto(code)
    camera.take(volunteer, "volunteer-scanned-late")
    for path in ("/check-in/door", "/statement/print"):
        camera.go(volunteer, path, f"volunteer{path.replace('/', '-')}")
    volunteer.goto(f"{camera.service.address}/records")
    volunteer.locator("main .rows a").first.click()
    camera.take(volunteer, "volunteer-record")
    manager.goto(f"{camera.service.address}/queue")
    manager.locator("main a[href^='/queue/scans/']").first.click()
    camera.take(manager, "manager-scan-astray")
    manager.goto(f"{camera.service.address}/queue")
    manager.locator("main a[href^='/queue/']:not([href*='/scans/'])").first.click()
    manager.locator("main a[href$='/statement']").first.click()
    camera.take(manager, "manager-where-points-come-from")
    page = camera.person().sign_in("admin")
    camera.go(page, "/admin/policy/new", "admin-new-rules")
    page.goto(f"{camera.service.address}/admin/imports")
    people = "姓名,手机,社区\n锦小枝,13955550001,\n锦小叶,12,\n".encode()
    page.set_input_files("#file", {"name": "名单.csv", "mimeType": "text/csv", "buffer": people})
    page.select_option("#kind", "members")
    page.click("form[enctype] button")
    camera.take(page, "admin-import")
    page.click("button[value=try]")
    page.locator("#result").wait_for(timeout=PATIENCE_MILLISECONDS)
    camera.take(page, "admin-import-tried")
    page.goto(f"{camera.service.address}/admin/members")
    page.locator("main tbody a").first.click()
    page.locator("main a[href$='/merge']").click()
    camera.take(page, "admin-merge")


def joins(camera: Photographer, manager: Page) -> None:
    """Somebody joins from a poster and adds a grandchild; another one gets a code on paper."""
    page = camera.person().page()
    page.goto(camera.service.address + written(camera.service, "/S/{poster}"))
    camera.take(page, "stranger-scanned-poster")
    page.click("main a[href^='/join']")
    camera.take(page, "stranger-joins")
    for name, value in (("name", "修小桐"), ("phone", "13900000381"), ("born", "2020-01-01")):
        page.fill(f"#{name}", value)
    for box in page.locator("[name=agreed]").all():
        box.check()
    page.click("main form[action='/join'] button")
    camera.take(page, "stranger-joins-refused")
    page.fill("#born", "1956-04-01")
    page.click("main form[action='/join'] button")
    camera.take(page, "stranger-joins-code-sent")
    page.fill("#digits", page.locator("[data-code]").inner_text())
    page.click("main form[action='/join/check'] button")
    page.wait_for_url(f"{camera.service.address}/")
    camera.take(page, "newcomer-joined")
    page.goto(f"{camera.service.address}/privacy")
    page.locator("[aria-labelledby=children] summary").click()
    page.fill("#child-name", "修小芽")
    page.fill("#child-born", "2016-06-01")
    for box in page.locator("[aria-labelledby=children] [name=agreed]").all():
        box.check()
    page.click("form[action='/privacy/children'] button")
    camera.take(page, "newcomer-child-joined")
    page.click("form[action^='/privacy/children/'] button")
    page.wait_for_load_state()
    camera.take(page, "newcomer-acts-for-child")
    manager.goto(f"{camera.service.address}/stations/1")
    form = manager.locator("form[action$='/activations']")
    form.evaluate("each => { each.closest('details').open = true; }")
    form.locator("[name=member]").fill("13900000105")
    form.locator("button").click()
    manager.wait_for_selector("[data-activation]")
    camera.take(manager, "manager-code-on-paper")
