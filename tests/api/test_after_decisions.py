"""After the decision, over HTTP and on pages: questions, answers, corrections, and the rules that they go by."""

import re
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from tests.api.people import Person, Town, problem
from tests.earning import served, verified
from tests.factories import PASSWORD

RULES: dict[str, Any] = {
    "rate_points_per_hour": {"duty": 90},
    "default_rate": 60,
    "rounding_minutes": 1,
    "daily_cap_minutes": 480,
    "point_grades": "ABC",
    "fast_track_grades": "AB",
    "life_years": 1,
    "draw_percent": 5,
    "long_day_minutes": 600,
    "top_speed_kmh": 120,
    "shared_phone_hours": 12,
    "clock_doubt_minutes": 15,
    "late_per_month": 6,
    "manual_minutes_per_month": 1200,
    "mass_checkout_people": 10,
    "mass_checkout_percent": 80,
    "mass_checkout_seconds": 20,
}


async def credited(town: Town, person: Person, minutes: int = 120) -> str:
    """A verified record of somebody; its id."""
    assert person.member_id
    async with town.bank.engine.begin() as connection:
        return str(await verified(connection, town.city, person.member_id, town.watch.now, minutes))


async def correct(manager: Person, record_id: str, minutes: int | None, **more: Any) -> dict[str, Any]:
    """A correction as a program sends it."""
    body = {"id": manager.new_id(), "record_id": record_id, "minutes": minutes, "reason": "left early", **more}
    answer = await manager.send("/api/v1/corrections", body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def test_a_question_is_asked_read_and_answered_by_a_correction(town: Town) -> None:
    person, manager = await town.volunteer("林一"), await town.member(town.city.manager_id)
    record_id = await credited(town, person)
    town.watch.move(days=1)
    question = {"id": person.new_id(), "record_id": record_id, "question": "I left at ten."}
    answer = await person.send("/api/v1/inquiries", question)
    assert answer.status_code == 201
    inquiry_id = answer.json()["data"]["inquiry_id"]
    again = await person.send("/api/v1/inquiries", question | {"id": person.new_id()})
    assert problem(again) == (409, "inquiry_open")

    (waiting,) = (await manager.get("/api/v1/inquiries")).json()["inquiries"]
    assert (waiting["id"], waiting["question"], waiting["member_name"], waiting["record_state"]) == (
        inquiry_id,
        "I left at ten.",
        "林一",
        "verified",
    )
    found = await correct(manager, record_id, 60, inquiry_id=inquiry_id, reason="So it was.")
    assert found["data"]["credited_minutes"] == 60
    assert (await manager.get("/api/v1/inquiries")).json() == {"inquiries": [], "following": None}

    seen = (await person.get(f"/api/v1/records/{record_id}")).json()
    assert (seen["record"]["credited_minutes"], seen["record"]["correction_id"]) == (60, found["id"])
    assert [(step["verdict"], step["minutes_before"], step["minutes_after"]) for step in seen["history"]] == [
        ("verify", None, None),
        ("reverse", 120, 60),
    ]
    assert seen["history"][1]["reason"] == "So it was."
    (asked,) = seen["inquiries"]
    assert (asked["state"], asked["answer"], asked["correction_id"]) == ("corrected", "So it was.", found["id"])
    evidence = (await manager.get(f"/api/v1/queue/{record_id}")).json()
    assert (evidence["history"], evidence["inquiries"]) == (seen["history"], seen["inquiries"])
    kinds = [line["kind"] for line in (await person.get("/api/v1/statement")).json()["lines"]]
    assert sorted(kinds) == ["earn_points", "earn_points", "reverse"]


async def test_an_answer_in_words_leaves_the_record_as_it_is(town: Town) -> None:
    person, manager = await town.volunteer(), await town.member(town.city.manager_id)
    record_id = await credited(town, person)
    question = {"id": person.new_id(), "record_id": record_id, "question": "Only 120?"}
    inquiry_id = (await person.send("/api/v1/inquiries", question)).json()["data"]["inquiry_id"]
    path = f"/api/v1/inquiries/{inquiry_id}/answer"
    assert problem(await manager.send(path, {"id": manager.new_id(), "reason": " "})) == (422, "reason_missing")
    body = {"id": manager.new_id(), "reason": "The list says so."}
    answers = [await manager.send(path, body) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    late = await manager.send(path, {"id": manager.new_id(), "reason": "Again."})
    assert problem(late) == (409, "inquiry_closed")
    seen = (await person.get(f"/api/v1/records/{record_id}")).json()
    assert (seen["inquiries"][0]["answer"], seen["record"]["credited_minutes"]) == ("The list says so.", 120)


async def test_a_debt_is_told(town: Town) -> None:
    async with town.bank.engine.begin() as connection:
        reward_id = await town.city.add_reward(connection, price_points=100)
    person, manager = await town.volunteer(), await town.member(town.city.manager_id)
    record_id = await credited(town, person)
    town.watch.move(days=1)
    redeemed = await person.send("/api/v1/redemptions", {"id": person.new_id(), "reward_id": str(reward_id)})
    assert redeemed.status_code == 201
    assert (await correct(manager, record_id, None))["data"]["debt_points"] == 100
    balance = (await person.get("/api/v1/balance")).json()
    assert (balance["points"], balance["owed_points"], balance["minutes"]) == (0, 100, 0)
    for path in ("/", "/statement"):
        assert re.search(r"100 积分(从您以后所得中归还|待归还)", (await person.get(path)).text), path
    await credited(town, person, 30)
    assert (await person.get("/api/v1/balance")).json()["owed_points"] == 70


async def test_points_that_expire_soon_are_told(town: Town) -> None:
    person = await town.volunteer()
    await credited(town, person)
    assert "即将到期" not in (await person.get("/")).text
    assert (await person.get("/api/v1/balance")).json()["expiring_points"] == 0
    # 1 December 2027; the points end with the year.
    town.watch.now = town.watch.now.replace(year=2027, month=12, day=1)
    person = await town.stranger().sign_in(town.city, person.member_id or UUID(int=0), PASSWORD)
    assert "120 积分将在 30 天内到期" in (await person.get("/")).text
    assert (await person.get("/api/v1/balance")).json()["expiring_points"] == 120


async def test_records_and_questions_are_for_who_may_see_them(town: Town) -> None:
    person, other = await town.volunteer(), await town.volunteer("王二")
    far = await town.with_role("manager", region_id=town.city.other_district_id)
    record_id = await credited(town, person)
    assert problem(await other.get(f"/api/v1/records/{record_id}")) == (404, "not_found")
    assert (await other.get(f"/records/{record_id}")).status_code == 404
    question = {"id": other.new_id(), "record_id": record_id, "question": "?"}
    assert problem(await other.send("/api/v1/inquiries", question)) == (404, "not_found")
    mine = question | {"id": person.new_id()}
    inquiry_id = (await person.send("/api/v1/inquiries", mine)).json()["data"]["inquiry_id"]
    assert (await far.get("/api/v1/inquiries")).json()["inquiries"] == []
    answer = await far.send(f"/api/v1/inquiries/{inquiry_id}/answer", {"id": far.new_id(), "reason": "No."})
    assert problem(answer) == (404, "not_found")
    body = {"id": far.new_id(), "record_id": record_id, "minutes": 1, "reason": "No."}
    assert problem(await far.send("/api/v1/corrections", body)) == (404, "not_found")


@pytest.mark.parametrize(
    ("wrong", "refusal"),
    [
        ({"minutes": 1441}, (422, "invalid")),
        ({"minutes": "60"}, (422, "invalid")),
        ({"reason": "x" * 501}, (422, "invalid")),
        ({"reason": ""}, (422, "reason_missing")),
        ({"minutes": 120}, (409, "nothing_to_correct")),
        ({"id": "6f1e2d3c-0000-4000-8000-000000000000"}, (422, "invalid")),
    ],
)
async def test_what_is_no_correction(town: Town, wrong: dict[str, Any], refusal: tuple[int, str]) -> None:
    person, manager = await town.volunteer(), await town.member(town.city.manager_id)
    record_id = await credited(town, person)
    body = {"id": manager.new_id(), "record_id": record_id, "minutes": 60, "reason": "left early", **wrong}
    assert problem(await manager.send("/api/v1/corrections", body)) == refusal


async def test_hours_over_quota_take_a_second_manager(town: Town) -> None:
    person, manager = await town.volunteer(), await town.member(town.city.manager_id)
    second = await town.with_role("manager", station_id=town.city.station.id)
    assert person.member_id
    async with town.bank.engine.begin() as connection:
        record_id = await served(
            connection, town.city, person.member_id, grade="C", holds=("over_quota",), entered_by=manager.member_id
        )
    town.watch.move(hours=3)
    body = {"record_id": str(record_id), "verdict": "verify"}
    first = await manager.send("/api/v1/decisions", body | {"id": manager.new_id()})
    assert problem(first) == (409, "second_approver_needed")
    assert (await second.send("/api/v1/decisions", body | {"id": second.new_id()})).status_code == 201
    history = (await person.get(f"/api/v1/records/{record_id}")).json()["history"]
    assert [step["verdict"] for step in history] == ["approve"]


async def test_on_pages_a_volunteer_asks_and_a_manager_corrects(town: Town) -> None:
    person, manager = await town.volunteer(), await town.member(town.city.manager_id)
    record_id = await credited(town, person)
    town.watch.move(days=1)
    page = await person.get(f"/records/{record_id}")
    assert page.status_code == 200
    assert "120" in page.text or "2小时" in page.text
    sent = await person.fill(f"/records/{record_id}", id=person.new_id(), question="我十点就走了 <b>")
    assert sent.status_code == 303
    page = await person.get(sent.headers["location"])
    assert "已提交" in page.text
    assert "我十点就走了 &lt;b&gt;" in page.text
    assert 'question" name' not in page.text
    assert "1 个问题等您答复" in (await manager.get("/")).text
    assert "我十点就走了 &lt;b&gt;" in (await manager.get("/queue")).text
    page = await manager.get(f"/queue/{record_id}")
    inquiry_id = re.search(r'name="inquiry_id" value="([0-9a-f-]+)"', page.text)
    assert inquiry_id
    fields = {"id": manager.new_id(), "choice": "minutes", "minutes": "60", "reason": "确实如此"}
    sent = await manager.fill(f"/queue/{record_id}/correction", inquiry_id=inquiry_id[1], **fields)
    assert sent.status_code == 303
    page = await manager.get(sent.headers["location"])
    assert "确实如此" in page.text
    assert "原为 2小时，120 积分。" in page.text
    page = await person.get(f"/records/{record_id}")
    assert "记录已更正" in page.text
    assert "确实如此" in page.text
    assert "冲正" in (await person.get("/statement")).text or "更正" in (await person.get("/statement")).text
    # Whole, and in words.
    await person.fill(f"/records/{record_id}", id=person.new_id(), question="再问一次")
    page = await manager.get(f"/queue/{record_id}")
    inquiry_id = re.search(r'name="inquiry_id" value="([0-9a-f-]+)"', page.text)
    assert inquiry_id
    fields = {"id": manager.new_id(), "inquiry_id": inquiry_id[1], "reason": "已经更正"}
    assert (await manager.fill(f"/queue/{record_id}/answer", **fields)).status_code == 303
    assert "记录不变" in (await person.get(f"/records/{record_id}")).text
    fields = {"id": manager.new_id(), "choice": "whole", "reason": "没有服务"}
    assert (await manager.fill(f"/queue/{record_id}/correction", **fields)).status_code == 303
    assert (await person.get("/api/v1/balance")).json()["minutes"] == 0
    for wrong in ({"choice": "other"}, {"choice": "minutes", "minutes": ""}, {"choice": "minutes", "minutes": "2000"}):
        answer = await manager.fill(f"/queue/{record_id}/correction", id=manager.new_id(), reason="x", **wrong)
        assert answer.status_code == 422


async def test_rules_are_drafted_and_tried_over_http(town: Town) -> None:
    await credited(town, await town.volunteer())
    town.watch.move(days=35)
    # Whoever was signed in is not any more.
    admin, person = await town.with_role("admin"), await town.volunteer()
    trial = await admin.send("/api/v1/policy-versions/preview", {"rules": RULES | {"default_rate": 30}})
    assert trial.status_code == 200
    assert trial.json()["total"] == {
        "records": 1,
        "changed": 1,
        "minutes_before": 120,
        "minutes_after": 120,
        "points_before": 120,
        "points_after": 60,
    }
    assert list(trial.json()["kinds"]) == ["help_elderly"]
    starts_on = (town.watch.now + timedelta(days=3)).date().isoformat()
    body = {"id": admin.new_id(), "starts_on": starts_on, "rules": RULES}
    answers = [await admin.send("/api/v1/policy-versions", body) for _ in range(2)]
    assert [answer.json()["data"] for answer in answers] == [{"number": 2, "starts_on": starts_on}] * 2
    listed = (await person.get("/api/v1/policy-versions")).json()["versions"]
    assert [(version["number"], version["starts_on"]) for version in listed] == [(2, starts_on), (1, "2000-01-01")]
    assert listed[0]["rules"] == RULES
    past = body | {"id": admin.new_id(), "starts_on": town.watch.now.date().isoformat()}
    assert problem(await admin.send("/api/v1/policy-versions", past)) == (422, "invalid")
    for rules in ({"fast_track_grades": "C"}, {"default_rate": 10_000}, {"draw_percent": -1}):
        answer = await admin.send("/api/v1/policy-versions/preview", {"rules": RULES | rules})
        assert problem(answer) == (422, "invalid")
    district = await town.with_role("admin", region_id=town.city.district_id)
    for path, sent in (("", body | {"id": district.new_id()}), ("/preview", {"rules": RULES})):
        answer = await district.send(f"/api/v1/policy-versions{path}", sent)
        assert problem(answer) == (403, "role_not_allowed")


def fields_of(page: str) -> dict[str, Any]:
    """What the form for new rules holds, as a browser would send it."""
    found: dict[str, Any] = {}
    for tag in re.findall(r"<input [^>]+>", page.partition('action="/admin/policy/new"')[2]):
        name, value = re.search(r'name="([^"]+)"', tag), re.search(r'value="([^"]*)"', tag)
        if name and value and ("checkbox" not in tag or " checked" in tag) and name[1] != "csrf":
            found.setdefault(name[1], []).append(value[1])
    return found


async def test_rules_are_made_on_a_page(town: Town) -> None:
    await credited(town, await town.volunteer())
    town.watch.move(days=35)
    # Whoever was signed in is not any more.
    admin = await town.with_role("admin")
    page = await admin.get("/admin/policy")
    assert "第 1 版" in page.text
    fields = fields_of((await admin.get("/admin/policy/new")).text)
    assert fields["starts_on"] == ["2026-05-01"]
    assert (fields["default_rate"], fields["point_grades"], fields["fast_track_grades"]) == (
        ["60"],
        ["A", "B", "C"],
        ["A"],
    )
    fields |= {"default_rate": "30", "rate.duty": "45"}
    page = await admin.fill("/admin/policy/new", **fields, action="preview")
    assert page.status_code == 200
    assert "共 1 条，其中 1 条会变化" in page.text
    assert fields_of(page.text)["rate.duty"] == ["45"]
    for wrong in ({"starts_on": "2026-01-01"}, {"starts_on": "soon"}, {"life_years": ""}, {"default_rate": "9999"}):
        page = await admin.fill("/admin/policy/new", **(fields | wrong), action="make")
        assert page.status_code == 422
        assert "未保存" in page.text
        fields["id"] = fields_of(page.text)["id"]
    made = await admin.fill("/admin/policy/new", **fields, action="make")
    assert made.status_code == 303
    page = await admin.get(made.headers["location"])
    for words in ("新版本已保存", "第 2 版", "待生效", "每小时积分：站点值守", "按一般标准"):
        assert words in page.text
    fields["id"] = admin.new_id()
    await admin.fill("/admin/policy/new", **(fields | {"default_rate": "60", "rate.duty": ""}), action="make")
    page = await admin.get("/admin/policy")
    badges = re.findall(r"badge.*?</span>", page.text)
    assert sum("生效前已被取代" in badge for badge in badges) == sum("执行中" in badge for badge in badges) == 1
    assert "与之前相同" in page.text
    town.watch.move(days=60)
    page = await (await town.with_role("admin")).get("/admin/policy")
    badges = re.findall(r"badge.*?</span>", page.text)
    assert not any("待生效" in badge for badge in badges)
    assert any("已结束" in badge for badge in badges)


async def test_only_who_administers_the_whole_city_makes_rules_on_a_page(town: Town) -> None:
    admin = await town.with_role("admin", region_id=town.city.district_id)
    page = await admin.get("/admin/policy")
    assert "新版本由全市管理员制定" in page.text
    fields = fields_of((await admin.get("/admin/policy/new")).text)
    for action in ("preview", "make"):
        page = await admin.fill("/admin/policy/new", **fields, action=action)
        assert page.status_code == 403
