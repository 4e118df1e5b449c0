"""After the decision, in a browser: a volunteer asks, a manager corrects, an administrator makes rules."""

import re

from playwright.sync_api import Page, expect

from tests.browser.bank import Service
from tests.browser.people import DESK, Open
from tests.browser.test_pages import look


def a_verified_record(page: Page, address: str) -> str:
    """The address of one of the volunteer's verified records."""
    page.goto(f"{address}/records")
    row = page.locator("main .rows li", has_text=re.compile("Verified|已核实")).first
    row.locator("h3 a").click()
    page.wait_for_url(re.compile("/records/[0-9a-f-]+$"))
    return page.url


def test_a_question_becomes_a_correction_that_both_see(service: Service, opened: Open) -> None:
    person = opened("en").sign_in("volunteer")
    address = a_verified_record(person, service.address)
    person.fill("#question", "I left half an hour earlier.")
    person.get_by_role("button", name="Ask").click()
    expect(person.get_by_text("Waiting for an answer")).to_be_visible()
    expect(person.locator("#question")).to_have_count(0)

    manager = opened("en").sign_in("admin")
    manager.goto(f"{service.address}/queue")
    case = manager.locator("article", has_text="I left half an hour earlier.")
    case.get_by_role("link", name="Look and answer").click()
    look(manager, "en")
    manager.fill("#minutes", "60")
    manager.fill("#reason", "The list of the day says so too.")
    manager.get_by_role("button", name="Correct", exact=True).click()
    expect(manager.get_by_role("status")).to_contain_text("Decided")
    expect(manager.locator("#history + ol")).to_contain_text("The list of the day says so too.")

    person.goto(address)
    expect(person.get_by_text("Record corrected")).to_be_visible()
    expect(person.locator("#history + ol")).to_contain_text("1 hr")
    look(person, "en")
    person.goto(f"{service.address}/statement")
    expect(person.locator("main .rows h3", has_text="Correction").first).to_be_visible()


def test_an_administrator_tries_rules_and_makes_them(service: Service, opened: Open) -> None:
    page = opened("en", DESK).sign_in("admin")
    page.goto(f"{service.address}/admin")
    page.get_by_role("link", name="Points rules").click()
    page.get_by_role("link", name="Make a new version").click()
    page.fill("#default_rate", "90")
    page.check("input[name='fast_track_grades'][value='B']")
    page.get_by_role("button", name="Try it on last month").click()
    expect(page.get_by_role("heading", name="What it would have come to")).to_be_visible()
    look(page, "en")
    assert page.input_value("#default_rate") == "90"
    page.get_by_role("button", name="Make this version").click()
    page.wait_for_url(re.compile(r"/admin/policy\?answer="))
    made = page.locator("section.card").first
    expect(made).to_contain_text("To come")
    expect(made.locator("tr", has_text="Evidence grades that may be verified together")).to_contain_text("AB")
    expect(made.locator("tr", has_text="Points for an hour, usual")).to_contain_text("90")
