"""What people agree to: each purpose by itself, with the text it was given to and the day, and each can be withdrawn.

Every answer is kept for ever, the latest counts. Recording service and keeping the phone of a scan go on until somebody
says no, because paper forms said yes for those who joined before; being named in public needs a yes.
"""

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import access, members, retention, trail
from timebank.errors import Invalid, NotFound
from timebank.tables import CONSENT_PURPOSES, consent, guardian, member

PURPOSES = CONSENT_PURPOSES
# To be named in public.
HONOUR = "honour"
# From this text on, with the places where one serves.
WITH_PLACES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """One version of what somebody agrees to."""

    purpose: str
    number: int
    title_zh: str
    title_en: str
    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class Standing:
    """Where somebody stands on one purpose: the text in use, and the latest answer, if any."""

    text: Text
    agreed: bool | None
    number: int | None
    at: datetime | None
    by: UUID | None

    @property
    def is_current(self) -> bool:
        """Whether the answer was given to the text in use."""
        return self.number == self.text.number

    @property
    def is_outdated(self) -> bool:
        """Whether a yes was given to an earlier text than the one in use."""
        return bool(self.agreed) and not self.is_current


@cache
def texts() -> dict[tuple[str, int], Text]:
    """Every text that was ever in use, by purpose and number."""
    plan = tomllib.loads(files("timebank").joinpath("data/consents.toml").read_text(encoding="utf-8"))
    found = [Text(**values) for values in plan["text"]]
    return {(text.purpose, text.number): text for text in found}


def in_use(purpose: str) -> Text:
    """The newest text of a purpose."""
    return max((text for text in texts().values() if text.purpose == purpose), key=lambda text: text.number)


async def answer(
    connection: AsyncConnection,
    book_id: int,
    member_id: UUID,
    *,
    purpose: str,
    number: int,
    agreed: bool,
    id: UUID,
    actor_id: UUID | None,
    now: datetime,
) -> None:
    """Keep an answer: the member's own or a guardian's, or one on paper that an administrator enters. It takes effect
    at once.

    Errors: `invalid` (purpose; number, reason `unknown`: one agrees to the text in use only, and may withdraw from
    any), `not_found`, `role_not_allowed`.
    """
    if purpose not in PURPOSES:
        raise Invalid(field="purpose", reason="unknown")
    if (purpose, number) not in texts() or (agreed and number != in_use(purpose).number):
        raise Invalid(field="number", reason="unknown")
    acts = select(guardian.c.guardian_id).where(
        guardian.c.book_id == book_id, guardian.c.child_id == member_id, guardian.c.until > now
    )
    if actor_id != member_id and actor_id not in set(await connection.scalars(acts)):
        await members.require(connection, book_id, member_id, actor_id, now)
        if actor_id is not None:
            await access.require_over(connection, book_id, member_id, actor_id=actor_id, now=now)
    query = select(member).where(member.c.book_id == book_id, member.c.id == member_id).with_for_update()
    row = (await connection.execute(query)).one_or_none()
    if row is None or row.state in members.GONE:
        raise NotFound(kind="member")
    await connection.execute(
        insert(consent).values(
            book_id=book_id,
            id=id,
            member_id=member_id,
            purpose=purpose,
            number=number,
            agreed=agreed,
            answered_by=actor_id,
            answered_at=now,
        )
    )
    refused = sorted({*row.refused, purpose} - ({purpose} if agreed else set()))
    await connection.execute(
        update(member)
        .where(member.c.book_id == book_id, member.c.id == member_id)
        .values(refused=refused, version=member.c.version + 1)
    )
    if purpose == "location" and not agreed:
        await retention.forget_phones_of(connection, book_id, member_id)
    await trail.write(
        connection,
        book_id,
        actor_id=actor_id,
        action="consent.give" if agreed else "consent.withdraw",
        subject_kind="member",
        subject_id=member_id,
        after={"purpose": purpose, "number": number},
        now=now,
    )


async def standing(connection: AsyncConnection, book_id: int, member_id: UUID) -> list[Standing]:
    """Where a member stands on each purpose, in the order of the purposes."""
    query = (
        select(consent)
        .where(consent.c.book_id == book_id, consent.c.member_id == member_id)
        .order_by(consent.c.answered_at, consent.c.id)
    )
    latest: dict[str, Row[Any]] = {row.purpose: row for row in await connection.execute(query)}
    return [
        Standing(in_use(purpose), row.agreed, row.number, row.answered_at, row.answered_by)
        if (row := latest.get(purpose))
        else Standing(in_use(purpose), None, None, None, None)
        for purpose in PURPOSES
    ]


async def may_be_named(connection: AsyncConnection, book_id: int, ids: Iterable[UUID]) -> dict[UUID, Row[Any]]:
    """Which of these members agreed to be named in public: whose latest answer to `honour` is yes, by `answered_at` and
    the `number` of the text.

    It is not enough to name them: see `honours.hindrance`.
    """
    query: Select[Any] = (
        select(consent.c.member_id, consent.c.agreed, consent.c.answered_at, consent.c.number)
        .where(consent.c.book_id == book_id, consent.c.purpose == HONOUR, consent.c.member_id.in_(set(ids)))
        .order_by(consent.c.answered_at, consent.c.id)
    )
    rows: Sequence[Row[Any]] = (await connection.execute(query)).all()
    latest = {row.member_id: row for row in rows}
    return {member_id: row for member_id, row in latest.items() if row.agreed}
