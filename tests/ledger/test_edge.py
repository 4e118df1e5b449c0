"""What could never be posted is refused with a code before it is sent; what is strange but right is taken."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from ledger.book import close_accounts, create_book, open_accounts, post, reversal
from ledger.edge import BATCH_SIZE_MAX, SOURCE_BYTES_MAX
from ledger.model import HIGHEST, Account, LedgerError, Transfer
from ledger.queries import balance_at, balances, statement
from tests.ledger.desk import NOON, Desk, new_id

FAR_EAST = timezone(timedelta(hours=14))

BAD_TEXTS = [
    (None, "wrong_type"),
    (7, "wrong_type"),
    (b"point", "wrong_type"),
    ("", "text_empty"),
    ("x" * 65, "text_too_long"),
    ("a\x00b", "text_unprintable"),
    ("a\nb", "text_unprintable"),
    ("\ud800", "text_unprintable"),
]
BAD_NUMBERS = [
    (None, "wrong_type"),
    (True, "wrong_type"),
    (1.0, "wrong_type"),
    ("1", "wrong_type"),
    (Decimal(1), "wrong_type"),
    (2**63, "number_out_of_range"),
    (-(2**63), "number_out_of_range"),
    (10**400, "number_out_of_range"),
]
BAD_IDS = [(None, "wrong_type"), ("6f1c", "wrong_type"), (1, "wrong_type"), (b"\0" * 16, "wrong_type")]
BAD_TIMES = [
    (None, "wrong_type"),
    ("2026-11-24", "wrong_type"),
    (NOON.date(), "wrong_type"),
    (datetime(2026, 11, 24), "time_naive"),  # noqa: DTZ001 - what is being refused
    (datetime.min.replace(tzinfo=FAR_EAST), "time_out_of_range"),
    (datetime.max.replace(tzinfo=UTC), "time_out_of_range"),
    (datetime(1899, 12, 31, 23, 59, tzinfo=UTC), "time_out_of_range"),
    (datetime(3000, 1, 1, tzinfo=UTC), "time_out_of_range"),
]
BAD_SOURCES = [
    (None, "wrong_type"),
    ([], "wrong_type"),
    ("{}", "wrong_type"),
    ({"a": object()}, "source_not_json"),
    ({(1, 2): 1}, "source_not_json"),
    ({"a": "\ud800"}, "source_not_json"),
    ({"a": "x\x00y"}, "source_not_json"),
    ({"a\x00": 1}, "source_not_json"),
    ({"a": "\\\x00"}, "source_not_json"),
    ({"a": "x" * SOURCE_BYTES_MAX}, "source_too_large"),
]


def nested(depth: int) -> dict[str, Any]:
    inner: Any = 1
    for _ in range(depth):
        inner = [inner]
    return {"a": inner}


def cases(field: str, values: list[tuple[Any, str]]) -> list[Any]:
    return [pytest.param(field, value, code, id=f"{field}-{n}-{code}") for n, (value, code) in enumerate(values)]


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        *cases("id", BAD_IDS),
        *cases("debit_id", BAD_IDS),
        *cases("credit_id", BAD_IDS),
        *cases("group_id", BAD_IDS[1:]),
        *cases("reverses_id", BAD_IDS[1:]),
        *cases("unit", BAD_TEXTS),
        *cases("code", BAD_TEXTS),
        *cases("amount", BAD_NUMBERS),
        *cases("occurred_at", BAD_TIMES),
        *cases("source", BAD_SOURCES),
    ],
)
async def test_a_malformed_transfer_is_refused_with_a_code(desk: Desk, field: str, value: Any, code: str) -> None:
    good = desk.move(desk.issuance_id, new_id())

    with pytest.raises(LedgerError) as refused:
        await desk.post(good, replace(good, **{field: value}))

    assert refused.value.code == code
    assert refused.value.data["field"] == field


async def test_a_source_nested_beyond_reason_is_refused(desk: Desk) -> None:
    for depth in (5_000, 500_000):
        with pytest.raises(LedgerError) as refused:
            await desk.post(desk.move(desk.issuance_id, new_id(), source=nested(depth)))
        assert refused.value.code in ("source_too_large", "source_not_json")


async def test_what_is_strange_but_storable_is_stored_as_it_is(desk: Desk) -> None:
    there = await desk.open()
    source = {
        "null": None,
        "": [True, -0.5, 2**70, "\\u0000", '"', "e\u0301", "\x01", "🀄", "\u202e"],
        "deep": nested(100),
    }

    assert await desk.post(desk.move(desk.issuance_id, there, source=source, code="服务积分 é")) == ["ok"]

    async with desk.engine.connect() as connection:
        (line,) = await statement(connection, desk.book_id, there)
    assert line.source == source
    assert line.code == "服务积分 é"


async def test_times_are_stored_to_the_microsecond_whatever_their_offset(desk: Desk) -> None:
    there = await desk.open()
    times = [
        datetime(2026, 11, 24, 18, 0, 0, 1, tzinfo=FAR_EAST),
        datetime(1900, 1, 1, tzinfo=UTC),
        datetime(2999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    ]
    await desk.post(*(desk.move(desk.issuance_id, there, occurred_at=at) for at in times))

    async with desk.engine.connect() as connection:
        lines = await statement(connection, desk.book_id, there)
    assert [line.occurred_at for line in reversed(lines)] == times


@pytest.mark.parametrize("field", ["debit_id", "credit_id", "unit", "amount"])
async def test_a_reversal_that_names_sides_is_refused(desk: Desk, field: str) -> None:
    good = desk.move(desk.issuance_id, new_id())
    bad = replace(reversal(new_id(), id=new_id(), code="undo", occurred_at=NOON), **{field: getattr(good, field)})

    with pytest.raises(LedgerError) as refused:
        await desk.post(bad)
    assert (refused.value.code, refused.value.data) == ("reversal_names_sides", {"field": field})


async def test_a_group_in_two_places_is_refused(desk: Desk) -> None:
    there, group_id, other_id = await desk.open(), new_id(), new_id()
    a, b = (desk.move(desk.issuance_id, there, group_id=group_id) for _ in range(2))

    for between in (desk.move(desk.issuance_id, there), desk.move(desk.issuance_id, there, group_id=other_id)):
        with pytest.raises(LedgerError) as refused:
            await desk.post(a, between, b)
        assert refused.value.code == "group_split"
    with pytest.raises(LedgerError) as refused:
        await desk.post(a, b, a)
    assert refused.value.code == "group_repeats_id"
    assert await desk.balance(there) == [0]


async def test_what_is_no_transfer_is_refused(desk: Desk) -> None:
    for impostor in (None, {"id": new_id()}, (1, 2)):
        with pytest.raises(LedgerError) as refused:
            await desk.post(impostor)  # type: ignore[arg-type]
        assert refused.value.data == {"field": "transfer"}


async def test_a_batch_has_an_end(desk: Desk) -> None:
    with pytest.raises(LedgerError) as refused:
        await desk.post(*[desk.move(new_id(), new_id())] * (BATCH_SIZE_MAX + 1))
    assert refused.value.code == "batch_too_large"


@pytest.mark.parametrize(
    ("book_id", "code"),
    [
        (None, "wrong_type"),
        ("1", "wrong_type"),
        (True, "wrong_type"),
        (0, "number_out_of_range"),
        (-1, "number_out_of_range"),
        (2**31, "number_out_of_range"),
    ],
)
async def test_a_book_has_a_number(desk: Desk, book_id: Any, code: str) -> None:
    async with desk.engine.connect() as connection:
        for call in (
            create_book(connection, book_id, "A town", "UTC"),
            open_accounts(connection, book_id, []),
            close_accounts(connection, book_id, [], NOON),
            post(connection, book_id, [], NOON),
            balances(connection, book_id, []),
            balance_at(connection, book_id, new_id(), NOON),
            statement(connection, book_id, new_id()),
        ):
            with pytest.raises(LedgerError) as refused:
                await call
            assert refused.value.code == code


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        *cases("id", BAD_IDS),
        *cases("unit", BAD_TEXTS),
        *cases("kind", BAD_TEXTS),
        *cases("floor", BAD_NUMBERS[1:]),
        ("floor", 1, "number_out_of_range"),
        ("floor", -HIGHEST, "number_out_of_range"),
        ("system", 1, "wrong_type"),
        ("system", None, "wrong_type"),
    ],
)
async def test_a_malformed_account_is_refused_with_a_code(desk: Desk, field: str, value: Any, code: str) -> None:
    good = Account(id=new_id(), unit="point", kind="purse", floor=0)
    async with desk.engine.connect() as connection:
        with pytest.raises(LedgerError) as refused:
            await open_accounts(connection, desk.book_id, [good, replace(good, **{field: value})])
    assert (refused.value.code, refused.value.data["field"]) == (code, field)


async def test_other_arguments_are_checked_too(desk: Desk) -> None:
    here = await desk.open()
    async with desk.engine.connect() as connection:
        for call, code in (
            (create_book(connection, desk.book_id, "", "UTC"), "text_empty"),
            (create_book(connection, desk.book_id, "x" * 201, "UTC"), "text_too_long"),
            (create_book(connection, desk.book_id, "A town", "\x00"), "text_unprintable"),
            (open_accounts(connection, desk.book_id, [here]), "wrong_type"),  # type: ignore[list-item]
            (close_accounts(connection, desk.book_id, ["x"], NOON), "wrong_type"),  # type: ignore[list-item]
            (close_accounts(connection, desk.book_id, [here], NOON.replace(tzinfo=None)), "time_naive"),
            (post(connection, desk.book_id, [], NOON.replace(tzinfo=None)), "time_naive"),
            (balances(connection, desk.book_id, [None]), "wrong_type"),  # type: ignore[list-item]
            (balance_at(connection, desk.book_id, here, NOON.replace(tzinfo=None)), "time_naive"),
            (statement(connection, desk.book_id, here, limit=0), "number_out_of_range"),
            (statement(connection, desk.book_id, here, limit=1001), "number_out_of_range"),
            (statement(connection, desk.book_id, here, limit=2.0), "wrong_type"),  # type: ignore[arg-type]
            (statement(connection, desk.book_id, here, before=2**63), "number_out_of_range"),
        ):
            with pytest.raises(LedgerError) as refused:
                await call
            assert refused.value.code == code


def test_an_error_reads_as_its_code() -> None:
    assert str(LedgerError("group_split")) == "group_split"
    assert str(LedgerError("wrong_type", field="id")) == "wrong_type: {'field': 'id'}"


def test_ids_of_other_makers_are_ids() -> None:
    class OtherId(UUID):
        """As drivers make them."""

    Transfer(id=OtherId(int=1), code="a", occurred_at=NOON, reverses_id=OtherId(int=2))
