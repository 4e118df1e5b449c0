"""The audit trail: one entry for every change to who may do what and how the bank is set up."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank.ids import uuid7
from timebank.tables import audit_entry


async def write(
    connection: AsyncConnection,
    book_id: int,
    *,
    actor_id: UUID | None,
    action: str,
    subject_kind: str,
    subject_id: UUID,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    now: datetime,
    personal: bytes | None = None,
    request_id: str | None = None,
) -> None:
    """Keep what was changed, in the change's own transaction: there is never one without the other.

    `actor_id` is None for the operator at the command line. `before` and `after` hold JSON values and no personal
    field; those belong in `personal`, sealed under the subject's own data key.
    """
    await connection.execute(
        insert(audit_entry).values(
            book_id=book_id,
            id=uuid7(now),
            at=now,
            actor_id=actor_id,
            action=action,
            subject_kind=subject_kind,
            subject_id=subject_id,
            before=before,
            after=after,
            personal=personal,
            request_id=request_id,
        )
    )
