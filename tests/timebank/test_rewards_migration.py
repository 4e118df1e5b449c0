"""What the migration of rewards makes of a bank that was served before it: its limits, and its hand-overs."""

import asyncio
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from alembic import command
from sqlalchemy import Connection

from tests.conftest import Database, make
from timebank import schema
from timebank.database import plain_url

REGION, MEMBER, STATION, FUND, KIND, LIMITED, UNLIMITED, DONE, HELD = (UUID(int=number) for number in range(1, 10))
MOMENT = "2026-03-02T01:00:00Z"

OLD = f"""
INSERT INTO timebank.region (book_id, id, level, path, name_zh, created_at)
VALUES (1, '{REGION}', 'city', ARRAY['{REGION}']::uuid[], '试验', '{MOMENT}');
INSERT INTO timebank.service_kind (book_id, id, code, catalogue, name_zh, name_en, position)
VALUES (1, '{KIND}', 'patrol', 'community', '巡逻', 'Patrol', 1);
INSERT INTO timebank.fund (book_id, id, name_zh, name_en, region_id, account_id, created_at)
VALUES (1, '{FUND}', '基金', 'Fund', '{REGION}', '{FUND}', '{MOMENT}');
INSERT INTO timebank.station (book_id, id, number, region_id, fund_id, service_kind_id, name_zh, name_en, address,
  organising_unit, person_in_charge, state, created_at)
VALUES (1, '{STATION}', 1, '{REGION}', '{FUND}', '{KIND}', '站', 'Station', '路', '社区', '周', 'open', '{MOMENT}');
INSERT INTO timebank.member (book_id, id, region_id, locale, state, joined_at)
VALUES (1, '{MEMBER}', '{REGION}', 'zh-CN', 'active', '{MOMENT}');
INSERT INTO timebank.reward (book_id, id, kind, name_zh, name_en, description_zh, description_en, region_id,
  price_points, stock, limit_per_month, starts_at, hold_minutes, state, created_at)
SELECT 1, id, 'goods', '米', 'Rice', '', '', '{REGION}', 1, 1, pieces, '{MOMENT}', 60, 'open', '{MOMENT}'
FROM (VALUES ('{LIMITED}'::uuid, 2), ('{UNLIMITED}'::uuid, NULL)) AS r (id, pieces);
INSERT INTO timebank.redemption (book_id, id, number, digits, member_id, reward_id, points, state, held_at, expires_at,
  ended_at, ended_by, station_id)
VALUES
  (1, '{DONE}', 1, '00000001', '{MEMBER}', '{LIMITED}', 1, 'fulfilled', '{MOMENT}', '{MOMENT}', '{MOMENT}', '{MEMBER}',
   '{STATION}'),
  (1, '{HELD}', 2, '00000002', '{MEMBER}', '{LIMITED}', 1, 'held', '{MOMENT}', '{MOMENT}', NULL, NULL, NULL);
"""


@pytest.fixture
def old(server: dict[str, str], worker_name: str) -> Iterator[Database]:
    """A database in which the ledger is all there is."""
    yield from make(server, f"timebank_old_{worker_name}", ("ledger",))


def up_to_the_core(connection: Connection) -> None:
    """Migrate the bank's branch as far as it went before."""
    config = schema.configuration()
    config.attributes["connection"] = connection
    command.upgrade(config, "bank_2026_11_24_core")


async def rows_after(url: str, query: str, *before: str) -> list[tuple[Any, ...]]:
    """Carry out statements as the owner; the rows of the query after them."""
    connection = await asyncpg.connect(plain_url(url))
    try:
        for statement in before:
            await connection.execute(statement)
        return [tuple(row) for row in await connection.fetch(query)]
    finally:
        await connection.close()


def test_limits_and_hand_overs_from_before_are_kept(old: Database) -> None:
    async def served_before() -> None:
        async with schema.alone(old.owner_url) as connection:
            await schema.prepare_roles(connection, schema.BRANCHES)
            await connection.run_sync(up_to_the_core)

    asyncio.run(served_before())
    count = "SELECT count(*) FROM timebank.redemption"
    assert asyncio.run(rows_after(old.owner_url, count, OLD)) == [(2,)]
    asyncio.run(schema.migrate(old.owner_url))
    limits = "SELECT id, limit_pieces, limit_period FROM timebank.reward ORDER BY id"
    assert asyncio.run(rows_after(old.owner_url, limits)) == [(LIMITED, 2, "month"), (UNLIMITED, None, None)]
    # Under the redemption's id, because the id of the posting followed from it then, as it follows from this one now.
    handed = "SELECT id, redemption_id, station_id, clerk_id FROM timebank.fulfilment"
    assert asyncio.run(rows_after(old.owner_url, handed)) == [(DONE, DONE, STATION, MEMBER)]
