"""What Python reads is what the migration made: columns, types, defaults, constraints and indexes alike."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.tables import metadata

SHAPES = {
    "columns": """
        SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
          pg_get_expr(d.adbin, d.adrelid)
        FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
        LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE c.relnamespace = 'ledger'::regnamespace AND c.relkind = 'r' AND a.attnum > 0
        ORDER BY c.relname, a.attnum
    """,
    # 'n', NOT NULL, is among the columns; PostgreSQL 18 lists it here too.
    "constraints": """
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace = 'ledger'::regnamespace AND contype <> 'n' ORDER BY 1, 2
    """,
    "indexes": "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'ledger' ORDER BY indexname",
}


async def shape(connection: AsyncConnection) -> dict[str, list[tuple[object, ...]]]:
    """The schema as PostgreSQL describes it."""
    return {name: [tuple(row) for row in await connection.execute(text(sql))] for name, sql in SHAPES.items()}


async def test_the_tables_are_those_of_the_migration(as_owner: AsyncConnection) -> None:
    migrated = await shape(as_owner)
    await as_owner.exec_driver_sql(
        "DROP TABLE ledger.checkpoint, ledger.leaf, ledger.transfer, ledger.account, ledger.book"
    )
    await as_owner.run_sync(metadata.create_all)

    assert await shape(as_owner) == migrated
