"""One view of the whole book, while posting goes on: what an audit and an export read from."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.model import LedgerError


async def take_snapshot(connection: AsyncConnection) -> None:
    """One snapshot from here to the end of the transaction, no writing, and as long as it takes.

    LedgerError `snapshot_needed` where the transaction has begun already and is no REPEATABLE READ.
    """
    if not connection.in_transaction():
        await connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
    isolation = (await connection.execute(text("SHOW transaction_isolation"))).scalar_one()
    if isolation not in ("repeatable read", "serializable"):
        raise LedgerError("snapshot_needed")
    for setting in ("statement_timeout = 0", "work_mem = '64MB'", "jit = off"):
        await connection.execute(text(f"SET LOCAL {setting}"))
