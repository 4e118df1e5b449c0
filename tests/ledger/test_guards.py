"""Every privilege and every constraint, violated by hand: as the service, and as the owner of the tables."""

from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ledger.book import close_accounts, post, reversal
from ledger.tables import metadata
from tests.ledger.desk import Desk, new_id

PERMISSION_DENIED = "42501"
CHECK, UNIQUE, FOREIGN_KEY, NOT_NULL = "23514", "23505", "23503", "23502"

CHANGES = {
    "book": ["UPDATE ledger.book SET name = 'x'", "DELETE FROM ledger.book", "TRUNCATE ledger.book CASCADE"],
    "account": [
        "UPDATE ledger.account SET balance = balance + 1",
        "UPDATE ledger.account SET version = 0",
        "UPDATE ledger.account SET last_recorded_at = NULL",
        "UPDATE ledger.account SET closed_at = NULL",
        "UPDATE ledger.account SET floor = NULL",
        "UPDATE ledger.account SET unit = 'minute'",
        "DELETE FROM ledger.account",
        "TRUNCATE ledger.account CASCADE",
    ],
    "transfer": [
        "UPDATE ledger.transfer SET amount = amount + 1",
        "UPDATE ledger.transfer SET source = '{}'",
        "DELETE FROM ledger.transfer",
        "TRUNCATE ledger.transfer CASCADE",
    ],
    "leaf": ["UPDATE ledger.leaf SET index = 1", "DELETE FROM ledger.leaf", "TRUNCATE ledger.leaf"],
    "checkpoint": [
        "UPDATE ledger.checkpoint SET size = 1",
        "DELETE FROM ledger.checkpoint",
        "TRUNCATE ledger.checkpoint",
    ],
}
EVERY_CHANGE = [change for changes in CHANGES.values() for change in changes]


async def refused(connection: AsyncConnection, statement: str, **parameters: Any) -> tuple[str, str]:
    """The SQLSTATE and the message with which `statement` is refused; the transaction goes on."""
    async with connection.begin_nested() as savepoint:
        try:
            await connection.execute(text(statement), parameters)
        except DBAPIError as error:
            await savepoint.rollback()
            return error.orig.sqlstate, str(error.orig)  # type: ignore[union-attr]
    raise AssertionError(f"not refused: {statement}")


@pytest.mark.parametrize("change", EVERY_CHANGE)
async def test_the_service_cannot_change_anything(desk: Desk, change: str) -> None:
    await desk.open(balance=5)
    async with desk.engine.connect() as connection:
        sqlstate, message = await refused(connection, change)
    assert sqlstate == PERMISSION_DENIED
    assert "permission denied" in message


@pytest.mark.parametrize("change", EVERY_CHANGE)
async def test_the_owner_is_stopped_by_the_guards(desk: Desk, as_owner: AsyncConnection, change: str) -> None:
    await desk.open(balance=5)
    sqlstate, message = await refused(as_owner, change)
    assert sqlstate == PERMISSION_DENIED
    assert "append-only" in message


@pytest.mark.parametrize("column", ["book_id", "id", "unit", "kind", "system", "floor"])
async def test_even_an_open_guard_keeps_what_an_account_is(desk: Desk, as_owner: AsyncConnection, column: str) -> None:
    await desk.open(balance=5)
    await as_owner.exec_driver_sql("SET LOCAL ledger.posting = 'on'")
    values = {
        "book_id": "book_id + 1",
        "id": "gen_random_uuid()",
        "unit": "'x'",
        "kind": "'x'",
        "system": "NOT system",
        "floor": "-77",
    }
    assert (await refused(as_owner, f"UPDATE ledger.account SET {column} = {values[column]}"))[0] == PERMISSION_DENIED


async def test_the_guard_is_closed_again_after_every_posting(desk: Desk, as_owner: AsyncConnection) -> None:
    here = await desk.open()
    async with desk.engine.connect() as connection:
        await post(connection, desk.book_id, [desk.move(desk.issuance_id, here)], desk.now)
        await close_accounts(connection, desk.book_id, [here], desk.now)
        setting = await connection.exec_driver_sql("SELECT current_setting('ledger.posting', true)")
        assert setting.scalar_one() == "off"


@pytest.mark.parametrize("table", [table.name for table in metadata.tables.values()])
async def test_the_service_reads_and_does_nothing_else(service: AsyncEngine, table: str) -> None:
    async with service.connect() as connection:
        await connection.execute(text(f"SELECT * FROM ledger.{table} LIMIT 1"))
        for statement in (
            f"INSERT INTO ledger.{table} DEFAULT VALUES",
            f"SELECT * FROM ledger.{table} FOR SHARE",
            f"LOCK TABLE ledger.{table}",
            f"ALTER TABLE ledger.{table} DISABLE TRIGGER ALL",
            f"DROP TABLE ledger.{table} CASCADE",
        ):
            assert (await refused(connection, statement))[0] == PERMISSION_DENIED


async def test_the_service_cannot_become_the_owner(service: AsyncEngine) -> None:
    async with service.connect() as connection:
        for statement in (
            "SET ROLE ledger_owner",
            "SET SESSION AUTHORIZATION ledger_owner",
            "CREATE TABLE ledger.mine ()",
            "CREATE FUNCTION ledger.mine() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
            "DROP FUNCTION ledger.post",
            "ALTER FUNCTION ledger.post SECURITY INVOKER",
            "SET session_replication_role = replica",
        ):
            assert (await refused(connection, statement))[0] == PERMISSION_DENIED


async def test_strangers_cannot_even_look(as_owner: AsyncConnection) -> None:
    rows = await as_owner.execute(
        text(
            "SELECT count(*) FROM pg_proc AS f CROSS JOIN LATERAL aclexplode(f.proacl) AS p"
            " WHERE f.pronamespace = 'ledger'::regnamespace AND p.grantee = 0"
        )
    )
    assert rows.scalar_one() == 0
    assert (await as_owner.execute(text("SELECT has_schema_privilege('public', 'ledger', 'USAGE')"))).scalar() is False


async def test_nobody_signs_in_as_the_owner_and_functions_do_not_look_around(as_owner: AsyncConnection) -> None:
    logins = await as_owner.execute(text("SELECT rolname FROM pg_roles WHERE rolname ~ '^ledger_' AND rolcanlogin"))
    assert logins.all() == []
    functions = (
        await as_owner.execute(
            text(
                "SELECT proname, prosecdef, pg_get_userbyid(proowner) AS owner, proconfig::text AS settings"
                " FROM pg_proc WHERE pronamespace = 'ledger'::regnamespace"
            )
        )
    ).all()
    assert {f.proname for f in functions if f.prosecdef} == {"create_book", "open_accounts", "close_accounts", "post"}
    assert {f.owner for f in functions} == {"ledger_owner"}
    assert all("search_path=pg_catalog, pg_temp" in f.settings for f in functions)


TRANSFER = {
    "book_id": ":book_id",
    "id": "gen_random_uuid()",
    "debit_id": ":here",
    "credit_id": ":there",
    "unit": "'point'",
    "amount": "1",
    "code": "'x'",
    "group_id": "NULL",
    "group_size": "1",
    "group_position": "1",
    "reverses_id": "NULL",
    "occurred_at": "now()",
    "recorded_at": "now()",
    "debit_balance": "0",
    "debit_version": "50",
    "credit_balance": "0",
    "credit_version": "50",
    "source": "'{}'",
}
ACCOUNT = {
    "book_id": ":book_id",
    "id": "gen_random_uuid()",
    "unit": "'point'",
    "kind": "'x'",
    "system": "false",
    "floor": "0",
    "balance": "0",
    "version": "0",
}
ROWS: dict[str, dict[str, str]] = {
    "book": {"id": "2147483646", "name": "'x'", "time_zone": "'UTC'"},
    "account": ACCOUNT,
    "transfer": TRANSFER,
    "leaf": {
        "book_id": ":book_id",
        "index": "0",
        "transfer_id": ":posted",
        "hash": "decode(repeat('00', 32), 'hex')",
    },
    "checkpoint": {
        "book_id": ":book_id",
        "size": "0",
        "root": "decode(repeat('00', 32), 'hex')",
        "signature": "''",
        "at": "now()",
    },
}
# For each constraint: the table, what to put into a row that is right otherwise, and how it is refused.
VIOLATIONS: dict[str, tuple[str, dict[str, str], str]] = {
    "book_pkey": ("book", {"id": ":book_id"}, UNIQUE),
    "account_pkey": ("account", {"id": ":here"}, UNIQUE),
    "account_book_id_fkey": ("account", {"book_id": "2147483645"}, FOREIGN_KEY),
    "account_floor_check": ("account", {"floor": "1", "balance": "1"}, CHECK),
    "account_balance_check": ("account", {"balance": "-1"}, CHECK),
    "account_version_check": ("account", {"version": "-1"}, CHECK),
    "transfer_pkey": ("transfer", {"id": ":posted"}, UNIQUE),
    "transfer_debit_version_key": ("transfer", {"debit_id": ":issuance", "debit_version": "1"}, UNIQUE),
    "transfer_credit_version_key": (
        "transfer",
        {"debit_id": ":there", "credit_id": ":here", "credit_version": "1"},
        UNIQUE,
    ),
    "transfer_reverses_id_fkey": ("transfer", {"reverses_id": "gen_random_uuid()"}, FOREIGN_KEY),
    "transfer_reverses_id_key": ("transfer", {"reverses_id": ":reversed"}, UNIQUE),
    "transfer_group_id_key": ("transfer", {"group_id": ":group", "group_size": "2", "group_position": "2"}, UNIQUE),
    "transfer_sides_check": ("transfer", {"credit_id": ":here"}, CHECK),
    "transfer_amount_check": ("transfer", {"amount": "0"}, CHECK),
    "transfer_versions_check": ("transfer", {"debit_version": "0"}, CHECK),
    "transfer_group_check": ("transfer", {"group_size": "2"}, CHECK),
    "transfer_reverses_check": ("transfer", {"id": ":new", "reverses_id": ":new"}, CHECK),
    "leaf_pkey": ("leaf", {"index": "7", "transfer_id": ":reversed"}, UNIQUE),
    "leaf_transfer_id_key": ("leaf", {"transfer_id": ":sealed"}, UNIQUE),
    "leaf_transfer_id_fkey": ("leaf", {"transfer_id": "gen_random_uuid()"}, FOREIGN_KEY),
    "leaf_index_check": ("leaf", {"index": "-1"}, CHECK),
    "leaf_hash_check": ("leaf", {"hash": "'\\x00'"}, CHECK),
    "checkpoint_pkey": ("checkpoint", {"size": "7"}, UNIQUE),
    "checkpoint_book_id_fkey": ("checkpoint", {"book_id": "2147483645"}, FOREIGN_KEY),
    "checkpoint_size_check": ("checkpoint", {"size": "-1"}, CHECK),
    "checkpoint_root_check": ("checkpoint", {"root": "'\\x00'"}, CHECK),
}


def test_no_constraint_is_forgotten() -> None:
    named = {str(constraint.name) for table in metadata.tables.values() for constraint in table.constraints}
    named |= {str(index.name) for table in metadata.tables.values() for index in table.indexes}
    assert named == set(VIOLATIONS)


@pytest.mark.parametrize("constraint", VIOLATIONS)
async def test_every_constraint_refuses_the_owner(desk: Desk, as_owner: AsyncConnection, constraint: str) -> None:
    here, there = await desk.open(balance=9), await desk.open(balance=9)
    group_id = new_id()
    posted = desk.move(here, there)
    grouped = [desk.move(here, there, group_id=group_id) for _ in range(2)]
    await desk.post(posted, *grouped)
    await desk.post(reversal(grouped[0].id, id=new_id(), code="undo", occurred_at=desk.now))
    parameters = {
        "book_id": desk.book_id,
        "here": here,
        "there": there,
        "issuance": desk.issuance_id,
        "posted": posted.id,
        "reversed": grouped[0].id,
        "sealed": grouped[1].id,
        "group": group_id,
        "new": new_id(),
    }
    await insert(as_owner, "leaf", {"index": "7", "transfer_id": ":sealed"}, parameters)
    await insert(as_owner, "checkpoint", {"size": "7"}, parameters)
    table, changes, sqlstate = VIOLATIONS[constraint]

    statement, used = insertion(table, changes, parameters)
    found, message = await refused(as_owner, statement, **used)

    assert found == sqlstate
    assert f'"{constraint}"' in message
    # The same row without the fault is taken: it was the constraint that refused.
    await insert(as_owner, table, {}, parameters)


@pytest.mark.parametrize(
    ("table", "column"),
    [
        (table.name, column.name)
        for table in metadata.tables.values()
        for column in table.columns
        if not column.nullable and column.name in ROWS[table.name]
    ],
)
async def test_what_must_be_known_is(desk: Desk, as_owner: AsyncConnection, table: str, column: str) -> None:
    here, there = await desk.open(), await desk.open()
    posted = desk.move(desk.issuance_id, here)
    await desk.post(posted)
    parameters = {"book_id": desk.book_id, "here": here, "there": there, "posted": posted.id}

    statement, used = insertion(table, {column: "NULL"}, parameters)

    assert (await refused(as_owner, statement, **used))[0] == NOT_NULL


def insertion(table: str, changes: dict[str, str], parameters: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """An INSERT of a row that is right but for `changes`, and the parameters that it uses."""
    row = ROWS[table] | changes
    statement = f"INSERT INTO ledger.{table} ({', '.join(row)}) VALUES ({', '.join(row.values())})"
    return statement, {name: value for name, value in parameters.items() if f":{name}" in row.values()}


async def insert(connection: AsyncConnection, table: str, changes: dict[str, str], parameters: dict[str, Any]) -> None:
    """Insert a row by hand."""
    statement, used = insertion(table, changes, parameters)
    await connection.execute(text(statement), used)


RAW = (
    "SELECT ledger.post(:book_id, now(), {ids}, {debits}, {credits}, {units}, {amounts}, {codes}, {groups},"
    " {reversed}, {occurred}, {sources})"
)
ARRAYS = {
    "ids": "ARRAY[gen_random_uuid(), gen_random_uuid()]",
    "debits": "ARRAY[CAST(:here AS uuid), CAST(:here AS uuid)]",
    "credits": "ARRAY[CAST(:there AS uuid), CAST(:there AS uuid)]",
    "units": "ARRAY['point', 'point']",
    "amounts": "ARRAY[1, 2]::bigint[]",
    "codes": "ARRAY['x', 'x']",
    "groups": "ARRAY[NULL, NULL]::uuid[]",
    "reversed": "ARRAY[NULL, NULL]::uuid[]",
    "occurred": "ARRAY[now(), now()]",
    "sources": "ARRAY['{}', '{}']",
}
GROUP = "'00000000-0000-0000-0000-00000000000a'"
INVALID = "22023"


@pytest.mark.parametrize(
    ("changes", "sqlstate"),
    [
        *(({name: f"({value})[1:1]"}, INVALID) for name, value in ARRAYS.items()),
        ({"amounts": "NULL::bigint[]"}, INVALID),
        ({"amounts": "'[0:1]={1,2}'::bigint[]"}, INVALID),
        ({"ids": "ARRAY[NULL, gen_random_uuid()]"}, NOT_NULL),
        ({"amounts": "ARRAY[NULL, 1]::bigint[]"}, NOT_NULL),
        ({"units": "ARRAY[NULL, 'point']"}, NOT_NULL),
        ({"codes": "ARRAY[NULL, 'x']"}, NOT_NULL),
        ({"occurred": "ARRAY[NULL, now()]"}, NOT_NULL),
        ({"sources": "ARRAY[NULL, '{}']"}, NOT_NULL),
        ({"sources": "ARRAY['{', '{}']"}, "22P02"),
        ({"groups": f"ARRAY[{GROUP}, {GROUP}]::uuid[]", "ids": f"ARRAY[{GROUP}, {GROUP}]::uuid[]"}, INVALID),
        (
            {name: f"{value} || ({value})[1:1]" for name, value in ARRAYS.items() if name != "groups"}
            | {"groups": f"ARRAY[{GROUP}, NULL, {GROUP}]::uuid[]"},
            INVALID,
        ),
    ],
)
async def test_the_function_itself_refuses_what_its_callers_never_send(
    desk: Desk, changes: dict[str, str], sqlstate: str
) -> None:
    here, there = await desk.open(balance=9), await desk.open()
    parameters = {"book_id": desk.book_id, "here": here, "there": there}
    async with desk.engine.connect() as connection:
        await connection.execute(text(RAW.format_map(ARRAYS)), parameters)
        statement = RAW.format_map(ARRAYS | changes)
        used = {name: value for name, value in parameters.items() if f":{name}" in statement}
        assert (await refused(connection, statement, **used))[0] == sqlstate
