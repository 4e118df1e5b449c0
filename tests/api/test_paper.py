"""Posters, cards and slips: what is printed is right, whatever people are called, and every code reads."""

import asyncio
import re
from datetime import date
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select

from api.language import language
from api.paper import activation, cards, poster, press, slip
from tests.api.people import Person, Town
from tests.earning import verified
from tests.factories import MORNING
from tests.paper import HOSTILE, characters, codes_on, pages_of, pictures
from timebank import activations, card_sheets, codes
from timebank.activations import Slip
from timebank.errors import Busy
from timebank.explain import Balance, PurseView
from timebank.tables import audit_entry


def is_paper(answer: httpx.Response, name: str) -> bytes:
    """The PDF in an answer, which nobody keeps on the way."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.headers["content-disposition"] == f'inline; filename="{name}.pdf"'
    assert answer.headers["cache-control"] == "no-store"
    assert answer.content.startswith(b"%PDF-")
    return answer.content


async def form(person: Person, page: str, path: str, **fields: Any) -> httpx.Response:
    """Send a form of a page, with an id of its own."""
    token = re.search(r'name="csrf" value="(\w+)"', (await person.get(page)).text)
    assert token
    return await person.client.post(
        path, data={"csrf": token[1], "id": person.new_id(), **fields}, headers={"Origin": person.address}
    )


@pytest.mark.parametrize("system_fonts", [True, False])
def test_every_sheet_shows_what_people_wrote_as_it_stands(town: Town, *, system_fonts: bool) -> None:
    bank, spoken = town.bank, language("zh-CN")
    station = SimpleNamespace(number=town.city.station.number, name_zh=HOSTILE, name_en=HOSTILE)
    printed = SimpleNamespace(number=7, printed_at=MORNING)
    (wall,) = pictures("poster", poster.data(bank, station, printed), system_fonts=system_fonts)
    assert codes_on(wall) == [poster.address(bank, station.number, 7)]
    named = [HOSTILE, "欧阳小明", "𠮷野", "Ana María Núñez-O'Neill"] * 3
    made = [cards.Card(name, number, MORNING) for number, name in enumerate(named)]
    data = cards.data(bank, spoken, made)
    sheets = pictures("cards", data, system_fonts=system_fonts)
    assert [len(codes_on(page)) for page in sheets] == [10, 2]
    read = [
        codes.read_card_code(bank.keys.card, text, MORNING).card_number for each in sheets for text in codes_on(each)
    ]
    assert sorted(read) == list(range(12))
    slips = [Slip(name, "2345ABCD6789", MORNING) for name in named]
    for tag in ("zh-CN", "en"):
        sheets = pictures("activation", activation.data(bank, language(tag), slips), system_fonts=system_fonts)
        assert [codes_on(page) for page in sheets] == [[f"{bank.settings.address}/activate"] * at for at in (10, 2)]
    balance = Balance(90, 5, 1, 2, 5, [PurseView(HOSTILE, HOSTILE, 5, date(2026, 12, 31))])
    (pdf,) = press.typeset("slip", slip.data(spoken, HOSTILE, balance, [], MORNING), system_fonts=system_fonts)
    assert set("#$@\\'<>*_`骨直长余额小票") <= characters(pdf)


def test_all_words_of_a_sheet_have_their_glyphs(town: Town) -> None:
    station = SimpleNamespace(number=3, name_zh="滕王阁志愿服务站", name_en="Pavilion station")
    data = poster.data(town.bank, station, SimpleNamespace(number=1, printed_at=MORNING))
    words = {sign for tag in ("zh", "en") for sign in "".join([*data[tag]["steps"], *map(str, data[tag].values())])}
    wanted = {sign for sign in words if sign.isalpha()} | set("滕王阁志愿服务站")
    for system_fonts in (True, False):
        (pdf,) = press.typeset("poster", data, system_fonts=system_fonts)
        assert wanted <= characters(pdf)


async def test_a_station_prints_codes_for_many(town: Town) -> None:
    manager, path = await town.member(town.city.manager_id), f"/stations/{town.city.station.number}"
    async with town.bank.engine.begin() as connection:
        people = [await town.city.add_member(connection, f"林{number}") for number in range(3)]
    phones = [town.city.phones[each] for each in people]
    lines = "\n".join([*phones, phones[0], ""])
    pdf = is_paper(await form(manager, f"{path}/paper", f"{path}/activation-sheets", members=lines), "codes-on-paper")
    assert set("林012纸质代码") <= characters(pdf)
    # One code each, in the trail; of a list with a line that cannot be taken, nobody gets one.
    refused = await form(
        manager, f"{path}/paper", f"{path}/activation-sheets", members=f"{phones[0]}\n{manager.member_id}"
    )
    assert refused.status_code == 422
    assert "第 2 行" in refused.text
    for members in ("", "\n".join([phones[0]] * (activations.SHEET_LIMIT + 1))):
        refused = await form(manager, f"{path}/paper", f"{path}/activation-sheets", members=members)
        assert refused.status_code == 422
    async with town.bank.engine.connect() as connection:
        query = select(audit_entry.c.subject_id).where(
            audit_entry.c.book_id == town.bank.book_id, audit_entry.c.action == "member.activation"
        )
        assert sorted(await connection.scalars(query)) == sorted(people)


async def test_a_station_prints_its_poster(town: Town) -> None:
    manager = await town.member(town.city.manager_id)
    path = f"/stations/{town.city.station.number}"
    assert (await manager.get(f"{path}/poster.pdf")).status_code == 404
    made = await form(manager, f"{path}/paper", f"{path}/poster")
    assert made.headers["location"] == f"{path}/paper"
    assert f"{path}/poster.pdf" in (await manager.get(f"{path}/paper")).text
    pdf = is_paper(await manager.get(f"{path}/poster.pdf"), f"poster-{town.city.station.number}-1")
    assert set("试验志愿服务站") <= characters(pdf)
    (page,) = pages_of(pdf)
    assert codes_on(page) == [poster.address(town.bank, town.city.station.number, 1)]


async def test_cards_for_a_list_are_made_once_and_printed_together(town: Town) -> None:
    manager, bank = await town.member(town.city.manager_id), town.bank
    path, phones = f"/stations/{town.city.station.number}", town.city.phones
    people = [await town.join(name) for name in ("林一", "林二", HOSTILE[:60])]
    lines = "\n".join([phones[people[0]], "", phones[people[1]], f" {phones[people[2]]} ", phones[people[0]]])
    made = await form(manager, f"{path}/paper", f"{path}/card-sheets", members=lines)
    assert made.status_code == 303, made.text
    assert made.headers["location"] == f"{path}/cards.pdf?" + "&".join(f"member={each}" for each in people)
    assert set("林一二#$") <= characters(is_paper(await manager.get(made.headers["location"]), "cards"))
    numbers = await live_numbers(town, people)
    await form(manager, f"{path}/paper", f"{path}/card-sheets", members=lines)
    assert await live_numbers(town, people) == numbers
    await form(manager, f"{path}/paper", f"{path}/card-sheets", members=phones[people[0]], replace="1")
    changed = await live_numbers(town, people)
    assert (changed[0] != numbers[0], changed[1:]) == (True, numbers[1:])
    # One wrong line: nobody gets a card, and the page says which and keeps what was typed.
    newcomer = phones[await town.join("林四")]
    for wrong, line in (("nonsense", 2), ("+8613999999999", 2)):
        refused = await form(manager, f"{path}/paper", f"{path}/card-sheets", members=f"{newcomer}\n{wrong}")
        assert (refused.status_code, f"第 {line} 行" in refused.text, newcomer in refused.text) == (422, True, True)
    for members in ("", "\n".join([newcomer] * (card_sheets.SHEET_LIMIT + 1))):
        refused = await form(manager, f"{path}/paper", f"{path}/card-sheets", members=members)
        assert refused.status_code == 422
    # Nobody prints for people elsewhere.
    async with bank.engine.begin() as connection:
        stranger = await town.city.add_member(connection, "外人", region_id=town.city.other_community_id)
    refused = await form(manager, f"{path}/paper", f"{path}/card-sheets", members=phones[stranger])
    assert refused.status_code == 422
    assert (await manager.get(f"{path}/cards.pdf?member={stranger}")).status_code == 404
    assert (await manager.get(f"{path}/cards.pdf")).status_code == 422


async def live_numbers(town: Town, people: list[UUID]) -> list[int]:
    """The numbers of the cards that people have now."""
    async with town.bank.engine.connect() as connection:
        found = await card_sheets.of_served(
            connection,
            town.bank.book_id,
            town.bank.keys,
            people,
            actor_id=town.city.manager_id,
            now=town.watch.now,
        )
    return [each.number for each in found]


async def test_a_balance_is_printed_by_its_owner_and_at_the_desk(town: Town) -> None:
    person, manager = await town.volunteer("林一"), await town.member(town.city.manager_id)
    assert person.member_id
    async with town.bank.engine.begin() as connection:
        await verified(connection, town.city, person.member_id, town.watch.now, 90)
    assert set("林一余额小票服务时长") <= characters(is_paper(await person.get("/statement/slip.pdf"), "slip"))
    path, phone = f"/stations/{town.city.station.number}", town.city.phones[person.member_id]
    asked = await form(manager, path, f"{path}/members", member=phone, deed="slip")
    assert asked.headers["location"] == f"{path}/members/{person.member_id}/slip.pdf"
    is_paper(await manager.get(asked.headers["location"]), "slip")
    async with town.bank.engine.connect() as connection:
        looks = select(audit_entry.c.actor_id).where(
            audit_entry.c.book_id == town.bank.book_id, audit_entry.c.action == "member.slip"
        )
        assert (await connection.execute(looks)).scalars().all() == [town.city.manager_id]
        stranger = await town.city.add_member(connection, "外人", region_id=town.city.other_community_id)
        await connection.commit()
    assert (await manager.get(f"{path}/members/{stranger}/slip.pdf")).status_code == 404
    # A card of one's own.
    assert (await person.get("/card.pdf")).status_code == 404
    await person.send("/api/v1/card", {"id": person.new_id()})
    pdf = is_paper(await person.get("/card.pdf"), "card")
    assert set("林一") <= characters(pdf)
    code = (await person.get("/api/v1/card")).json()["code"]
    assert [codes_on(page) for page in pages_of(pdf)] == [[f"{town.bank.settings.address}{code}".upper()]]


async def test_the_press_takes_no_more_than_it_can_print(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(press, "QUEUE_LIMIT", 2)
    data = slip.data(language("en"), "x", Balance(0, 0, 0, 0, 0, []), [], MORNING)
    made = await asyncio.gather(*(press.pdf("slip", data) for _ in range(4)), return_exceptions=True)
    assert [isinstance(each, Busy) for each in made] == [False, False, True, True]
    assert (await press.pdf("slip", data)).startswith(b"%PDF-")
