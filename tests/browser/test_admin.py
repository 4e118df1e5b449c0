"""An administrator's day in a real browser, without JavaScript, on a phone and on a desk."""

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.bank import Service
from tests.browser.people import DESK, PHONE, Open
from tests.browser.test_pages import look_at_all_sizes

WORDS = {"en": {"saved": "Saved", "ends": "This account ends"}, "zh-CN": {"saved": "已保存", "ends": "被合并的账号"}}


@pytest.mark.parametrize("language", ["zh-CN", "en"])
@pytest.mark.parametrize("viewport", [PHONE, DESK], ids=["phone", "desk"])
def test_an_administrators_day(service: Service, opened: Open, language: str, viewport: dict[str, int]) -> None:
    words: dict[str, Any] = WORDS[language]
    page = opened(language, viewport, java_script_enabled=False).sign_in("admin")
    tag = f"{language}{viewport['width']}"

    # A member comes twice, and becomes one.
    kept = ""
    for _ in range(2):
        page.goto(f"{service.address}/admin/members/new")
        page.fill("#name", f"双 {tag}")
        page.click("form[action='/admin/members/new'] button")
        expect(page.locator(".notice-good")).to_contain_text(words["saved"])
        kept = page.locator(".wrap-anywhere").inner_text()
    page.goto(f"{service.address}/admin/members")
    page.fill("#text", f"双{tag}")
    page.click("form[method=post][action='/admin/members'] button")
    expect(page.locator("tbody tr")).to_have_count(2)
    page.goto(f"{service.address}/admin/members/{kept}")
    page.click("a[href$='/merge']")
    page.fill("#text", f"双{tag}")
    page.click("form[action$='/merge/find'] button")
    expect(page.locator("main")).to_contain_text(words["ends"])
    page.click("form[action$='/merge'] button")
    expect(page.locator(".notice-good")).to_contain_text(words["saved"])

    # A role, given and ended.
    page.click("details:has(form[action$='/roles']) > summary")
    page.click("form[action$='/roles'] >> nth=0 >> button")
    expect(page.locator(".notice-good")).to_be_visible()
    page.click("form[action^='/admin/roles/'] button")
    expect(page.locator(".notice-good")).to_be_visible()

    # All of it stands in the trail.
    page.goto(f"{service.address}/admin/trail?subject={kept}")
    expect(page.locator("main .rows > li")).to_have_count(4)


def test_a_list_is_imported_while_the_page_shows_how_far_it_is(service: Service, opened: Open) -> None:
    page = opened("zh-CN", PHONE).sign_in("admin")
    page.goto(f"{service.address}/admin/imports")
    people = "姓名,手机\n王芳,13955550001\n李明,13955550002\n赵一,12\n".encode()
    page.set_input_files("#file", {"name": "名单.csv", "mimeType": "text/csv", "buffer": people})
    page.select_option("#kind", "members")
    page.click("form[enctype] button")
    look_at_all_sizes(page, "zh-CN", PHONE)
    page.click("button[value=try]")
    # By itself, once a process of its own is through; also where the page was opened anew meanwhile.
    page.reload()
    expect(page.locator("#result + dl")).to_contain_text("2")
    expect(page.locator("tbody").first).to_contain_text("第 4 行")
    look_at_all_sizes(page, "zh-CN", PHONE)
    page.click("form[action='/language'] button")
    look_at_all_sizes(page, "en", PHONE)
    page.click("form[action='/language'] button")
    page.click("main .button-main")
    expect(page.locator("main")).to_contain_text("各行的结果")
