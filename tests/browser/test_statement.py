"""A statement in a browser: the choice of a period, the sheet of paper, the table, and what a manager opens."""

import csv
import re
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.bank import Service
from tests.browser.people import DESK, PHONE, Open
from tests.browser.test_pages import look

# What is on the sheet and on no other page, and what is on every other page and not on the sheet.
FRAME = ".head, .ways, .foot, .demo, nav, form"


def sheets(page: Page) -> int:
    """How many pages of A4 it comes to."""
    made = page.pdf(prefer_css_page_size=True)
    assert made.startswith(b"%PDF")
    # 210 by 297 millimetres, in points of 1/72 inch.
    boxes = {
        tuple(round(float(number)) for number in box.split()) for box in re.findall(rb"/MediaBox ?\[([^\]]+)\]", made)
    }
    assert boxes == {(0, 0, 595, 842)}
    return len(re.findall(rb"/Type ?/Page\b", made))


def test_a_period_is_chosen(service: Service, opened: Open) -> None:
    page = opened("en").sign_in("volunteer")
    page.goto(f"{service.address}/statement")
    everything = page.locator("[aria-labelledby=lines] .rows > li").count()
    assert everything > 0
    page.get_by_text("Choose a period").click()
    page.fill("#since", "2020-01-01")
    page.fill("#until", "2020-12-31")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.locator("#lines")).to_have_text("1 Jan 2020 – 31 Dec 2020")
    expect(page.get_by_text("Nothing in this period")).to_be_visible()
    page.get_by_role("link", name="This year").click()
    expect(page.get_by_role("link", name="This year")).to_have_attribute("aria-current", "page")
    page.get_by_role("link", name="Everything").click()
    expect(page.locator("[aria-labelledby=lines] .rows > li")).to_have_count(everything)


def test_the_sheet_of_paper_holds_the_statement_and_nothing_around_it(service: Service, opened: Open) -> None:
    page = opened("en", DESK).sign_in("volunteer")
    page.goto(f"{service.address}/statement")
    page.get_by_role("link", name="For printing").click()
    expect(page.locator("h1")).to_have_text("Statement of points")
    expect(page.get_by_role("button", name="Print")).to_be_visible()
    assert page.locator(FRAME).count() == 0
    # What the print button asks for.
    page.evaluate("window.print = () => { document.title = 'printing'; }")
    page.get_by_role("button", name="Print").click()
    assert page.title() == "printing"
    page.emulate_media(media="print")
    expect(page.get_by_role("button", name="Print")).to_be_hidden()
    expect(page.get_by_role("link", name="Back")).to_be_hidden()
    # The head that every sheet repeats.
    expect(page.locator(".paper-every")).to_contain_text("甘小荷")
    opening, closing = page.locator("[data-opening] .figure"), page.locator("[data-closing] .figure")
    expect(opening).to_have_text("0")
    amounts = [
        int(text.replace(",", "").replace("−", "-"))
        for text in page.locator("[data-line] td:nth-child(4)").all_inner_texts()
    ]
    assert amounts
    assert sum(amounts) == int(closing.inner_text().replace(",", ""))
    first = page.locator("[data-line]").first
    for words in ("Check-in", "Check-out", "Verified by", "version", "Service record", "Ledger number"):
        expect(first).to_contain_text(words)
    alone = sheets(page)
    # As long as many years of service: no row is torn, and every sheet has the head.
    page.evaluate(
        """() => {
          const line = document.querySelector("[data-line]");
          for (let more = 0; more < 60; more++) line.after(line.cloneNode(true));
        }"""
    )
    assert sheets(page) > alone


def test_the_table_is_kept_as_a_file(service: Service, opened: Open, tmp_path: Path) -> None:
    page = opened("zh-CN").sign_in("volunteer")
    page.goto(f"{service.address}/statement?unit=minute&since=2020-01-01")
    with page.expect_download() as kept:
        page.get_by_role("link", name="下载表格（CSV）").click()
    assert kept.value.suggested_filename == "statement-minutes-2020-01-01.csv"
    file = tmp_path / "statement.csv"
    kept.value.save_as(file)
    assert file.read_bytes().startswith(b"\xef\xbb\xbf")
    with file.open(encoding="utf-8-sig", newline="") as lines:
        head, opening, *rows, closing = csv.reader(lines)
    assert head[:4] == ["日期时间", "事项", "数额", "余额"]
    assert rows
    assert int(opening[3]) + sum(int(row[2]) for row in rows) == int(closing[3])


def test_a_manager_opens_where_the_points_come_from(service: Service, opened: Open) -> None:
    for viewport in (PHONE, DESK):
        page = opened("en", viewport).sign_in("manager")
        waiting = page.request.get(f"{service.address}/api/v1/queue").json()["records"]
        page.goto(f"{service.address}/queue/{waiting[0]['id']}")
        name = page.locator("h1").inner_text()
        page.get_by_role("link", name="Where did this volunteer's points here come from?").click()
        page.wait_for_url(re.compile("/queue/[0-9a-f-]+/statement$"))
        expect(page.locator("h1")).to_have_text(name)
        look(page, "en")
        page.get_by_role("link", name="Service hours").click()
        expect(page.get_by_role("link", name="Service hours")).to_have_attribute("aria-current", "page")
        look(page, "en")
