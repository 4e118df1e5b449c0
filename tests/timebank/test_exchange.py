"""The exchange file says of every verified record what Order 67 asks, in lines that fit the schema on the page."""

import json
import re
from datetime import date, timedelta
from pathlib import Path

import jsonschema_rs
import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.factories import MORNING, build_city
from tests.timebank.acting import done, no_draw, serve, verify
from timebank import exchange, members
from timebank.keys import Keys
from timebank.refusal import Refusal

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "exchange.md"
NEXT_DAY = MORNING + timedelta(days=1)


def described() -> dict[str, object]:
    """The schema on the page."""
    (found,) = re.findall(r"```json\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return dict(json.loads(found))


def test_the_page_has_the_schema() -> None:
    assert described() == exchange.schema()


async def test_every_verified_record_is_a_line_that_fits(
    connection: AsyncConnection, new_book: int, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "LINES_AT_ONCE", 2)
    city = await build_city(connection, new_book, keys)
    await no_draw(connection, city)
    first, gone = await city.add_member(connection, "林一"), await city.add_member(connection, "林没了")
    waiting = await serve(connection, city, first, MORNING + timedelta(days=5))
    kept = []
    for number in range(5):
        record_id = await serve(connection, city, gone if number == 4 else first, MORNING + timedelta(days=number))
        await done(connection, city, verify(city, record_id), NEXT_DAY + timedelta(days=number))
        kept.append(str(record_id))
    await members.erase(connection, new_book, gone, now=NEXT_DAY)

    async def written(**more: object) -> list[dict[str, object]]:
        return [json.loads(line) async for line in exchange.lines(connection, new_book, keys, **more)]

    lines = await written()
    validator = jsonschema_rs.validator_for(described())
    for line in lines:
        validator.validate(line)
    assert [line["record_id"] for line in lines] == kept
    assert str(waiting) not in kept
    assert [line["volunteer"] for line in lines] == ["林一"] * 4 + [None]
    assert (lines[0]["minutes"], lines[0]["place"], lines[0]["person_in_charge"]) == (120, "试验路 1 号", "周负责")
    assert (lines[0]["kind"], lines[0]["grade"], lines[0]["region_code"]) == ("help_elderly", "A", "360102002005")
    assert {line["volunteer"] for line in await written(with_names=False)} == {None}
    some = await written(since=date(2026, 3, 3), until=date(2026, 3, 4))
    assert [line["record_id"] for line in some] == kept[1:3]


async def test_a_book_that_is_not_there_is_refused(connection: AsyncConnection, new_book: int, keys: Keys) -> None:
    with pytest.raises(Refusal, match="no book"):
        [line async for line in exchange.lines(connection, new_book, keys)]
