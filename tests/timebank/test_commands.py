"""Commands that may be sent again: one answer for each id, for ever, to its sender only."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tests.factories import MORNING
from timebank.commands import Answer, content_hash, settle
from timebank.ids import uuid7
from timebank.tables import command

ACTOR, STRANGER = uuid7(MORNING), uuid7(MORNING)


@dataclass(frozen=True)
class Wish:
    """A command that wants a word."""

    word: Any = "rice"
    id: UUID = field(default_factory=lambda: uuid7(MORNING))
    actor_id: UUID = ACTOR

    def content(self) -> tuple[object, ...]:
        return (self.word,)


@dataclass
class Shop:
    """Answers wishes, and remembers what it was asked."""

    connection: AsyncConnection
    book_id: int
    asked: list[list[Any]] = field(default_factory=list)

    async def settle(self, *wishes: Wish, kind: str = "wish", now: datetime = MORNING) -> list[Answer]:
        return await settle(self.connection, self.book_id, kind, wishes, now, self.decide)

    async def decide(self, fresh: list[Wish]) -> list[Answer]:
        self.asked.append([wish.word for wish in fresh])
        number = sum(map(len, self.asked))
        return [
            Answer("out_of_stock") if wish.word == "gold" else Answer("ok", {"word": wish.word, "number": number})
            for wish in fresh
        ]


@pytest.fixture
def shop(connection: AsyncConnection, new_book: int) -> Shop:
    return Shop(connection, new_book)


async def test_an_answer_is_kept_for_ever(shop: Shop) -> None:
    wish = Wish()
    assert await shop.settle(wish) == [Answer("ok", {"word": "rice", "number": 1})]
    assert await shop.settle(wish, now=MORNING + timedelta(days=10_000)) == [
        Answer("ok", {"word": "rice", "number": 1})
    ]
    assert shop.asked == [["rice"]]
    (row,) = (await shop.connection.execute(command.select().where(command.c.book_id == shop.book_id))).all()
    assert (row.id, row.kind, row.actor_id, row.recorded_at) == (wish.id, "wish", ACTOR, MORNING)
    assert row.content_hash == content_hash("wish", wish)
    assert row.answer == {"code": "ok", "data": {"word": "rice", "number": 1}}


async def test_a_refusal_is_kept_too(shop: Shop) -> None:
    wish = Wish("gold")
    assert await shop.settle(wish) == await shop.settle(wish) == [Answer("out_of_stock")]
    assert shop.asked == [["gold"]]


async def test_an_id_stands_for_one_kind_actor_and_content(shop: Shop) -> None:
    wish = Wish()
    await shop.settle(wish)
    for other in (replace(wish, word="oil"), replace(wish, actor_id=STRANGER)):
        assert await shop.settle(other) == [Answer("id_reused")]
    assert await shop.settle(wish, kind="order") == [Answer("id_reused")]
    # And that reveals nothing, changes nothing, and is not kept itself.
    assert await shop.settle(wish) == [Answer("ok", {"word": "rice", "number": 1})]
    assert shop.asked == [["rice"]]


async def test_another_book_knows_nothing_of_it(shop: Shop) -> None:
    wish = Wish()
    await shop.settle(wish)
    there = Shop(shop.connection, shop.book_id + 1_000_000)
    assert await there.settle(replace(wish, word="oil")) == [Answer("ok", {"word": "oil", "number": 1})]


async def test_a_batch_is_answered_in_order_and_only_what_is_new_is_decided(shop: Shop) -> None:
    old, new, refused = Wish("tea"), Wish("oil"), Wish("gold")
    await shop.settle(old)
    answers = await shop.settle(new, refused, old, replace(old, word="salt"), new, replace(new, actor_id=STRANGER))
    assert [answer.code for answer in answers] == ["ok", "out_of_stock", "ok", "id_reused", "ok", "id_reused"]
    assert [answer.data.get("word") for answer in answers] == ["oil", None, "tea", None, "oil", None]
    assert shop.asked == [["tea"], ["oil", "gold"]]


async def test_of_two_with_one_id_in_a_batch_the_first_counts(shop: Shop) -> None:
    wish = Wish("tea")
    answers = await shop.settle(wish, replace(wish, word="oil"), replace(wish, actor_id=STRANGER), wish)
    assert [answer.code for answer in answers] == ["ok", "id_reused", "id_reused", "ok"]
    assert shop.asked == [["tea"]]


async def test_nobody_asks_for_nothing(shop: Shop) -> None:
    assert await shop.settle() == []
    assert shop.asked == []


def test_the_content_is_everything_that_was_chosen() -> None:
    at = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
    words = [
        "rice",
        "Rice",
        None,
        "None",
        1,
        "1",
        ["rice"],
        at,
        at.astimezone(timezone(timedelta(hours=8))),
        UUID(int=1),
    ]
    hashes = {content_hash(kind, Wish(word)) for word in words for kind in ("wish", "order")}
    assert len(hashes) == 2 * len(words)
    assert content_hash("wish", Wish("rice", actor_id=STRANGER)) == content_hash("wish", Wish("rice"))


@pytest.mark.parametrize(
    ("code", "refused"), [("ok", False), ("held", False), ("id_reused", True), ("points_short", True)]
)
def test_what_counts_as_refused(code: str, refused: bool) -> None:
    assert Answer(code).refused is refused


async def test_two_processes_with_one_id_are_told_to_send_again(engine: AsyncEngine, new_book: int) -> None:
    wish = Wish()
    async with engine.connect() as here, engine.connect() as there:
        mine, theirs = Shop(here, new_book), Shop(there, new_book)
        # The other one settles and commits between this one's look and its insert.
        decide = mine.decide

        async def overtaken(fresh: list[Wish]) -> list[Answer]:
            await theirs.settle(wish)
            await there.commit()
            return await decide(fresh)

        with pytest.raises(DBAPIError) as again:
            await settle(here, new_book, "wish", [wish], MORNING, overtaken)
        assert again.value.orig.sqlstate == "23505"  # type: ignore[union-attr]  # the driver's own
        await here.rollback()
        assert await mine.settle(wish) == [Answer("ok", {"word": "rice", "number": 1})]
