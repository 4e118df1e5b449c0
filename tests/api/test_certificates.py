"""Certificates over HTTP: ordered by page and by program, printed, and checked by anybody, within limits."""

import re
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from api.language import language
from api.paper import certificate as certificate_paper
from api.paper import press
from tests.api.people import Person, Town, problem
from tests.api.test_paper import form, is_paper
from tests.earning import correct, verified
from tests.paper import HOSTILE, characters, codes_on, pages_of, pictures
from timebank import service_certificates
from timebank.ids import uuid7
from timebank.periods import EVER
from timebank.service_certificates import CHECKS_BY_ADDRESS, Certificate


@pytest.fixture
async def person(town: Town) -> Person:
    """A volunteer with two verified records, of two grades."""
    person = await town.volunteer("林一")
    assert person.member_id
    async with town.bank.engine.begin() as connection:
        await verified(connection, town.city, person.member_id, town.watch.now, 90)
        await verified(connection, town.city, person.member_id, town.watch.now + timedelta(hours=24), 50, grade="B")
    return person


async def issued(town: Town, person: Person) -> Certificate:
    """A certificate of everything."""
    answer = await person.send("/api/v1/certificates", {"id": person.new_id()})
    assert answer.status_code == 201, answer.text
    async with town.bank.engine.connect() as connection:
        bank = town.bank
        return await service_certificates.own(
            connection, bank.book_id, bank.keys, UUID(answer.json()["id"]), member_id=person.member_id or UUID(int=0)
        )


async def test_a_program_orders_reads_and_checks(town: Town, person: Person) -> None:
    body = {"id": person.new_id(), "since": "2026-03-01", "until": "2026-03-31"}
    made = (await person.send("/api/v1/certificates", body)).json()
    assert (await person.send("/api/v1/certificates", body)).json() == made
    assert (made["name"], made["minutes"], made["grades"], made["stands"]) == ("林一", 140, {"A": 90, "B": 50}, True)
    assert re.fullmatch(r"/V/[0-9A-Z]{25}", made["code"])
    assert (await person.get(f"/api/v1/certificates/{made['id']}")).json() == made
    (listed,) = (await person.get("/api/v1/certificates")).json()["certificates"]
    assert listed == {name: made[name] for name in listed}
    checked = await town.stranger().get(f"/api/v1/certificate-checks/{made['code'][3:]}")
    # Whoever holds the paper learns what is on it, and nothing else.
    assert checked.json() == {name: made[name] for name in made if name not in ("id", "code", "paper")}
    assert set(checked.json()["records"][0]) == {
        *("activity_zh", "activity_en", "local_day", "place", "content", "minutes"),
        *("organising_unit", "person_in_charge", "grade", "stands"),
    }
    is_paper(await person.get(made["paper"]), f"certificate-{made['number']}")
    empty = {"id": person.new_id(), "until": "2025-12-31"}
    assert problem(await person.send("/api/v1/certificates", empty)) == (409, "nothing_to_certify")
    other = await town.volunteer("林二")
    for path in (f"/api/v1/certificates/{made['id']}", made["paper"]):
        assert (await other.get(path)).status_code == 404
    for_another = {"id": other.new_id(), "member_id": str(person.member_id)}
    assert problem(await other.send("/api/v1/certificates", for_another)) == (404, "not_found")


async def test_the_paper_says_what_the_check_says(town: Town, person: Person) -> None:
    found = await issued(town, person)
    spoken = language("zh-CN")
    data = certificate_paper.data(town.bank, spoken, found, "林一")
    (page,) = pages_of((await person.get(f"/certificates/{found.id}/paper.pdf")).content)
    (text,) = codes_on(page)
    assert text == f"{town.bank.settings.address}{certificate_paper.path_of(town.bank, found)}".upper()
    (pdf,) = press.typeset("certificate", data)
    shown = characters(pdf)
    assert set("志愿服务记录证明林一试验社区周负责助老编号查验") <= shown
    assert "2.33" in data["declared"]
    assert (data["total"], [line["hours"] for line in data["lines"]]) == ("2.33", ["1.5", "0.83"])
    page_text = (await town.stranger().get(text.removeprefix(town.bank.settings.address.upper()))).text
    for words in ("林一", "2.33", data["facts"][0][1], data["facts"][1][1], "试验路 1 号", "周负责", "助老"):
        assert words in page_text, words
    assert 'data-check="stands"' in page_text


def test_a_hostile_certificate_over_several_pages_is_still_one(town: Town) -> None:
    line = SimpleNamespace(
        local_day=town.watch.now.date(),
        activity_zh=HOSTILE,
        activity_en=HOSTILE,
        content=HOSTILE,
        kind_zh=HOSTILE,
        kind_en=HOSTILE,
        place=HOSTILE,
        organising_unit=HOSTILE,
        person_in_charge=HOSTILE,
        minutes=61,
        grade="C",
        stands=True,
    )
    id = uuid7(town.watch.now)
    found = Certificate(id, 7, id, HOSTILE, EVER, HOSTILE, town.watch.now, [line] * 2)  # type: ignore[list-item]
    for tag in ("zh-CN", "en"):
        data = certificate_paper.data(town.bank, language(tag), found, HOSTILE)
        pages = pictures("certificate", data, system_fonts=False)
        assert len(pages) > 1
        assert [len(codes_on(page)) for page in pages] == [0] * (len(pages) - 1) + [1]


async def test_a_volunteer_orders_on_the_page(town: Town, person: Person) -> None:
    assert "还没有" in (await person.get("/certificates")).text
    done = await form(person, "/certificates", "/certificates", since="2026-03-01", until="")
    assert done.headers["location"] == "/certificates?issued=1"
    page = (await person.get(done.headers["location"])).text
    paper = re.search(r"/certificates/[0-9a-f-]{36}/paper\.pdf", page)
    assert paper
    assert (await person.get(paper[0])).headers["content-type"] == "application/pdf"
    refused = await form(person, "/certificates", "/certificates", since="2025-01-01", until="2025-12-31")
    assert (refused.status_code, "2025-12-31" in refused.text) == (409, True)
    refused = await form(person, "/certificates", "/certificates", since="2026-03-02", until="2026-03-01")
    assert refused.status_code == 422


async def test_a_manager_orders_at_the_desk(town: Town, person: Person) -> None:
    manager = await town.member(town.city.manager_id)
    path, phones = f"/stations/{town.city.station.number}", town.city.phones
    assert person.member_id
    asked: dict[str, Any] = {"member": phones[person.member_id], "since": "", "until": ""}
    done = await form(manager, f"{path}/paper", f"{path}/certificates", **asked)
    assert re.fullmatch(rf"{path}/certificates/[0-9a-f-]{{36}}/paper\.pdf", done.headers["location"])
    assert set("志愿服务记录证明林一") <= characters((await manager.get(done.headers["location"])).content)
    newcomer = phones[await town.join("林三")]
    refused = await form(manager, f"{path}/paper", f"{path}/certificates", member=newcomer)
    assert (refused.status_code, "没有可以证明的记录" in refused.text) == (409, True)
    assert len((await person.get("/api/v1/certificates")).json()["certificates"]) == 1


async def test_a_check_turns_red_and_tells_forgeries_apart(town: Town, person: Person) -> None:
    found, stranger = await issued(town, person), town.stranger()
    path = certificate_paper.path_of(town.bank, found)
    async with town.bank.engine.begin() as connection:
        answer = await correct(connection, town.city, found.lines[0].id, None, town.watch.now + timedelta(days=2))
        assert answer.code == "ok"
    page = await stranger.get(path)
    assert (page.status_code, page.headers["cache-control"], page.headers["x-robots-tag"]) == (
        200,
        "no-store",
        "noindex",
    )
    assert 'data-check="changed"' in page.text
    assert page.text.count("badge-stop") == 1
    asked = "/api/v1/certificates?certificate_state="
    assert [each["stands"] for each in (await person.get(f"{asked}changed")).json()["certificates"]] == [False]
    assert (await person.get(f"{asked}stands")).json()["certificates"] == []
    assert problem(await person.get(f"{asked}x")) == (422, "invalid")
    shown = [
        f"{found.id}/paper.pdf" in (await person.get(f"/certificates?state={s}")).text for s in ("stands", "changed")
    ]
    assert shown == [False, True]
    forged = await stranger.get(path[:-1] + ("0" if path[-1] != "0" else "1"))
    assert (forged.status_code, 'data-code="code_forged"' in forged.text, "林一" in forged.text) == (422, True, False)
    assert 'data-code="code_malformed"' in (await stranger.get("/V/NONSENSE")).text


async def test_checks_have_a_limit_for_each_address(
    town: Town, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = certificate_paper.path_of(town.bank, await issued(town, person))
    monkeypatch.setattr(
        service_certificates,
        "CHECKS_BY_ADDRESS",
        type(CHECKS_BY_ADDRESS)("certificate_check", 2, timedelta(minutes=10)),
    )
    stranger = town.stranger()
    program = f"/api/v1/certificate-checks{path[2:]}"
    answers = [await stranger.get(each) for each in (path, program, path, program)]
    assert [answer.status_code for answer in answers] == [200, 200, 429, 429]
    assert problem(answers[3]) == (429, "try_later")
    assert int(answers[2].headers["retry-after"]) > 0
