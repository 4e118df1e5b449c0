"""A fresh book with somebody at it: opens accounts and posts, so that a test says only what it is about."""

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from ledger.book import open_accounts, post
from ledger.model import Account, Outcome, Transfer
from ledger.queries import balances

NOON = datetime(2026, 11, 24, 4, 0, tzinfo=UTC)
UNIT = "point"


def new_id() -> UUID:
    """An id of no meaning."""
    return UUID(int=secrets.randbits(128))


@dataclass
class Desk:
    """One book, written as the service."""

    engine: AsyncEngine
    book_id: int
    now: datetime = NOON
    issuance_id: UUID = field(default_factory=new_id)

    async def open(self, floor: int | None = 0, *, unit: str = UNIT, balance: int = 0, system: bool = False) -> UUID:
        """Open an account, and give it a balance out of the issuance."""
        account = Account(id=new_id(), unit=unit, kind="purse", floor=floor, system=system)
        async with self.engine.begin() as connection:
            await open_accounts(connection, self.book_id, [account])
        if balance:
            assert await self.post(self.move(self.issuance_id, account.id, balance)) == ["ok"]
        return account.id

    def move(self, debit_id: UUID, credit_id: UUID, amount: int = 1, **more: Any) -> Transfer:
        """A transfer, not yet posted."""
        content = {"id": new_id(), "unit": UNIT, "code": "test", "occurred_at": NOON, **more}
        return Transfer(debit_id=debit_id, credit_id=credit_id, amount=amount, **content)

    async def post(self, *batch: Transfer, now: datetime | None = None) -> list[Outcome]:
        """Post a batch in a transaction of its own."""
        async with self.engine.begin() as connection:
            return await post(connection, self.book_id, batch, now or self.now)

    async def balance(self, *ids: UUID) -> list[int]:
        """Balances in the order of `ids`."""
        async with self.engine.connect() as connection:
            found = await balances(connection, self.book_id, ids)
        return [found[id_] for id_ in ids]

    async def rows(self, statement: str, **parameters: Any) -> list[Any]:
        """Rows of any statement, as the service reads them; `:book_id` is this book."""
        async with self.engine.connect() as connection:
            result = await connection.execute(text(statement), {"book_id": self.book_id, **parameters})
            return list(result.all())

    def later(self, seconds: float) -> datetime:
        """So many seconds after noon; before it, where below 0."""
        return NOON + timedelta(seconds=seconds)
