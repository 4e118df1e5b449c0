"""The audit passes what the book's own verbs made, and finds each kind of tampering by its code."""

import tracemalloc
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.audit import FINDINGS_PER_CHECK_MAX, audit
from ledger.audit_checks import CHECKS
from ledger.book import close_accounts, reversal
from ledger.model import LedgerError
from tests.ledger.desk import Desk, new_id


async def lived_in(desk: Desk) -> dict[str, Any]:
    """A book with a little of everything, and the names that the tampering below uses."""
    here, there = await desk.open(balance=100), await desk.open(balance=100)
    closed, never_used = await desk.open(), await desk.open(-5)
    group_id = new_id()
    move, hold = desk.move(here, there, 5), desk.move(here, there, 7)
    grouped = [desk.move(there, here, 1, group_id=group_id), desk.move(here, there, 2, group_id=group_id)]
    swapped = desk.move(there, here, 7)
    last = desk.move(here, there, 3)
    undo = reversal(hold.id, id=new_id(), code="undo", occurred_at=desk.now)
    await desk.post(move, hold, desk.move(here, closed, 1), *grouped, now=desk.later(1))
    await desk.post(undo, now=desk.later(2))
    await desk.post(swapped, now=desk.later(3))
    await desk.post(last, now=desk.later(4))
    async with desk.engine.begin() as connection:
        await close_accounts(connection, desk.book_id, [closed], desk.later(5))
    return {
        "book_id": desk.book_id,
        "here": here,
        "there": there,
        "issuance": desk.issuance_id,
        "closed": closed,
        "never_used": never_used,
        "move": move.id,
        "hold": hold.id,
        "undo": undo.id,
        "swapped": swapped.id,
        "last": last.id,
        "grouped": grouped[1].id,
        "group": group_id,
        "early": desk.later(-1),
    }


async def tamper(connection: AsyncConnection, statement: str, names: dict[str, Any]) -> None:
    """Run `statement` as the owner with the guards on rows set aside, and put them back."""
    for table in ("account", "transfer"):
        await connection.exec_driver_sql(f"ALTER TABLE ledger.{table} DISABLE TRIGGER USER")
    for part in statement.split(";\n"):
        used = {name: value for name, value in names.items() if f":{name}" in part.replace(f":{name}_", "")}
        await connection.execute(text(part), used)
    for table, triggers in (("account", ("append_only", "guard")), ("transfer", ("append_only",))):
        for trigger in triggers:
            await connection.exec_driver_sql(f"ALTER TABLE ledger.{table} ENABLE ALWAYS TRIGGER {table}_{trigger}")


TRANSFER = "UPDATE ledger.transfer SET {} WHERE book_id = :book_id AND id = {}"
ACCOUNT = "UPDATE ledger.account SET {} WHERE book_id = :book_id AND id = {}"
DROP = "ALTER TABLE ledger.{} DROP CONSTRAINT {};\n"

TAMPERINGS: list[tuple[str, set[str]]] = [
    (TRANSFER.format("amount = amount + 1", ":move"), {"running_balance_wrong"}),
    (TRANSFER.format("amount = amount + 1", ":hold"), {"running_balance_wrong", "reversal_differs"}),
    (TRANSFER.format("debit_balance = debit_balance + 1", ":move"), {"running_balance_wrong"}),
    (TRANSFER.format("credit_balance = 9000000000000000000", ":move"), {"running_balance_wrong"}),
    (
        TRANSFER.format("credit_balance = credit_balance + 1", ":last"),
        {"running_balance_wrong", "cached_balance_wrong"},
    ),
    (
        TRANSFER.format("debit_version = 1000", ":move"),
        {"version_gap", "running_balance_wrong", "time_backwards"}
        | {"cached_balance_wrong", "cached_version_wrong", "cached_time_wrong"},
    ),
    (
        TRANSFER.format("debit_id = :closed, debit_version = 2", ":last"),
        {"running_balance_wrong"} | {"cached_balance_wrong", "cached_version_wrong", "cached_time_wrong"},
    ),
    ("DELETE FROM ledger.transfer WHERE book_id = :book_id AND id = :move", {"version_gap", "running_balance_wrong"}),
    (
        "DELETE FROM ledger.transfer WHERE book_id = :book_id AND id = :last",
        {"cached_balance_wrong", "cached_version_wrong", "cached_time_wrong"},
    ),
    (
        "INSERT INTO ledger.transfer SELECT book_id, gen_random_uuid(), debit_id, credit_id, unit, amount, code, NULL,"
        " 1, 1, NULL, occurred_at, recorded_at, xid, debit_balance - amount, debit_version + 1,"
        " credit_balance + amount, credit_version + 1, source FROM ledger.transfer"
        " WHERE book_id = :book_id AND id = :last",
        {"cached_balance_wrong", "cached_version_wrong"},
    ),
    (TRANSFER.format("recorded_at = :early", ":undo"), {"time_backwards"}),
    (TRANSFER.format("unit = 'minute'", ":move"), {"unit_wrong"}),
    (ACCOUNT.format("unit = 'minute'", ":here"), {"unit_wrong", "unit_unbalanced"}),
    (ACCOUNT.format("balance = balance + 1", ":here"), {"cached_balance_wrong", "unit_unbalanced"}),
    (ACCOUNT.format("version = version + 1", ":here"), {"cached_version_wrong"}),
    (ACCOUNT.format("last_recorded_at = NULL", ":here"), {"cached_time_wrong"}),
    (ACCOUNT.format("balance = 1", ":never_used"), {"cached_balance_wrong", "unit_unbalanced"}),
    (ACCOUNT.format("version = 1", ":never_used"), {"cached_version_wrong"}),
    (ACCOUNT.format("last_recorded_at = :early", ":never_used"), {"cached_time_wrong"}),
    (
        DROP.format("account", "account_balance_check") + ACCOUNT.format("floor = 0", ":issuance"),
        {"below_floor", "constraint_missing"},
    ),
    (ACCOUNT.format("closed_at = :early", ":here"), {"moved_after_closing"}),
    (
        "DELETE FROM ledger.transfer WHERE book_id = :book_id AND id = :grouped",
        {"group_incomplete", "version_gap", "running_balance_wrong"},
    ),
    (TRANSFER.format("group_size = 3", ":grouped"), {"group_incomplete"}),
    (TRANSFER.format("group_position = 3, group_size = 3", ":grouped"), {"group_incomplete"}),
    (TRANSFER.format("xid = '7'", ":grouped"), {"group_in_pieces"}),
    (
        TRANSFER.format("group_id = :group, group_size = 3, group_position = 3", ":last"),
        {"group_incomplete", "group_in_pieces"},
    ),
    (
        DROP.format("transfer", "transfer_group_check") + TRANSFER.format("group_size = 2", ":move"),
        {"group_wrong", "constraint_missing"},
    ),
    (TRANSFER.format("reverses_id = :move", ":undo"), {"reversal_differs"}),
    (TRANSFER.format("reverses_id = :swapped", ":hold"), {"reversal_before_original"}),
    (
        DROP.format("transfer", "transfer_reverses_id_fkey")
        + TRANSFER.format("reverses_id = gen_random_uuid()", ":undo"),
        {"reversal_without_original", "constraint_missing"},
    ),
    (
        "DROP INDEX ledger.transfer_reverses_id_key;\n" + TRANSFER.format("reverses_id = :hold", ":swapped"),
        {"reversed_twice", "constraint_missing"},
    ),
    (
        DROP.format("transfer", "transfer_amount_check") + TRANSFER.format("amount = -amount", ":move"),
        {"amount_not_positive", "running_balance_wrong", "constraint_missing"},
    ),
    (
        DROP.format("transfer", "transfer_sides_check")
        + TRANSFER.format("credit_id = debit_id, credit_version = 500", ":last"),
        {"same_account", "constraint_missing", "version_gap", "running_balance_wrong"}
        | {"cached_balance_wrong", "cached_version_wrong", "cached_time_wrong"},
    ),
    (
        "DELETE FROM ledger.account WHERE book_id = :book_id AND id = :there",
        {"account_missing", "unit_unbalanced"},
    ),
]

# Nothing is wrong with the rows; what would refuse the next change is gone.
WEAKENINGS: list[tuple[str, str, str]] = [
    ("ALTER TABLE ledger.transfer DISABLE TRIGGER transfer_append_only", "trigger_missing", "transfer_append_only"),
    ("ALTER TABLE ledger.account ENABLE TRIGGER account_guard", "trigger_missing", "account_guard"),
    ("DROP TRIGGER book_append_only ON ledger.book", "trigger_missing", "book_append_only"),
    ("ALTER TABLE ledger.leaf DROP CONSTRAINT leaf_index_check", "constraint_missing", "leaf_index_check"),
    (
        "ALTER TABLE ledger.leaf DROP CONSTRAINT leaf_index_check;\n"
        "ALTER TABLE ledger.leaf ADD CONSTRAINT leaf_index_check CHECK (index >= 0) NOT VALID",
        "constraint_missing",
        "leaf_index_check",
    ),
    ("DROP INDEX ledger.transfer_group_id_key", "constraint_missing", "transfer_group_id_key"),
    ("DROP FUNCTION ledger.close_accounts", "function_changed", "close_accounts"),
    (
        "CREATE OR REPLACE FUNCTION ledger.refuse_change() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RETURN NEW; END $$",
        "function_changed",
        "refuse_change",
    ),
    (
        "CREATE FUNCTION ledger.post(integer) RETURNS text LANGUAGE sql AS 'SELECT NULL::text';\n"
        "REVOKE ALL ON FUNCTION ledger.post(integer) FROM PUBLIC",
        "function_changed",
        "post",
    ),
    ("GRANT INSERT ON ledger.transfer TO ledger_service", "privilege_too_wide", "transfer"),
    ("GRANT UPDATE ON ledger.account TO PUBLIC", "privilege_too_wide", "account"),
    ("GRANT EXECUTE ON FUNCTION ledger.close_accounts TO PUBLIC", "privilege_too_wide", "close_accounts"),
]


@pytest.mark.parametrize(("statement", "codes"), TAMPERINGS)
async def test_tampering_with_rows_is_found(
    desk: Desk, as_owner: AsyncConnection, statement: str, codes: set[str]
) -> None:
    names = await lived_in(desk)
    await tamper(as_owner, statement, names)

    report = await audit(as_owner, desk.book_id)

    assert {finding.code for finding in report.findings} == codes
    assert not report.passed


@pytest.mark.parametrize(("statement", "code", "subject"), WEAKENINGS)
async def test_a_weakened_guard_is_found(
    desk: Desk, as_owner: AsyncConnection, statement: str, code: str, subject: str
) -> None:
    for part in statement.split(";\n"):
        await as_owner.exec_driver_sql(part)

    report = await audit(as_owner, desk.book_id)

    assert {(finding.code, finding.subject) for finding in report.findings} == {(code, subject)}


async def test_a_book_made_by_its_own_verbs_passes(desk: Desk) -> None:
    await lived_in(desk)
    steps: list[tuple[str, int, int]] = []

    async with desk.engine.connect() as connection:
        report = await audit(connection, desk.book_id, lambda *step: steps.append(step))

    assert report.passed
    assert (report.transfers, report.accounts, report.findings, report.cut_short) == (10, 5, [], [])
    assert steps == [(name, n, len(CHECKS)) for n, name in enumerate([*CHECKS, "done"])]


async def test_one_book_says_nothing_of_another(desk: Desk, as_owner: AsyncConnection) -> None:
    names = await lived_in(desk)
    await as_owner.execute(text("INSERT INTO ledger.book VALUES (2147483646, 'Elsewhere', 'UTC')"))
    await tamper(as_owner, TRANSFER.format("amount = amount + 1", ":move"), names)

    report = await audit(as_owner, 2147483646)

    assert (report.passed, report.transfers, report.accounts) == (True, 0, 0)


async def test_a_finding_says_on_what(desk: Desk, as_owner: AsyncConnection) -> None:
    names = await lived_in(desk)
    await tamper(as_owner, ACCOUNT.format("version = version + 1", ":here"), names)

    (finding,) = (await audit(as_owner, desk.book_id)).findings

    assert finding.code == "cached_version_wrong"
    assert finding.subject == str(names["here"])
    assert str(names["last"]) in finding.detail


async def test_an_audit_takes_its_own_snapshot_or_none(desk: Desk) -> None:
    async with desk.engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
        with pytest.raises(LedgerError) as refused:
            await audit(connection, desk.book_id)
        assert refused.value.code == "snapshot_needed"
    async with desk.engine.connect() as connection:
        with pytest.raises(LedgerError) as refused:
            await audit(connection, 2**31 - 1)
        assert refused.value.code == "book_unknown"


async def test_memory_stays_flat_however_long_the_book(desk: Desk) -> None:
    here = await desk.open(balance=1)
    small = await peak_bytes(desk)
    for _ in range(10):
        await desk.post(*(desk.move(desk.issuance_id, here) for _ in range(1000)))
    assert await peak_bytes(desk) < small + 100_000


async def peak_bytes(desk: Desk) -> int:
    """The most memory that one audit held at a time."""
    tracemalloc.start()
    try:
        async with desk.engine.connect() as connection:
            assert (await audit(connection, desk.book_id)).passed
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


async def test_findings_without_end_are_cut_short(desk: Desk, as_owner: AsyncConnection) -> None:
    here = await desk.open()
    await desk.post(*(desk.move(desk.issuance_id, here) for _ in range(600)))
    await tamper(as_owner, "UPDATE ledger.transfer SET amount = 2 WHERE book_id = :book_id", {"book_id": desk.book_id})

    report = await audit(as_owner, desk.book_id)

    assert len(report.findings) == FINDINGS_PER_CHECK_MAX
    assert report.cut_short == ["chain"]
