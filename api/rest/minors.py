"""Birth dates and guardians, as administrators enter them from papers."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from litestar import Response
from litestar.params import FromPath

from api.auth import member_of
from api.rest.deeds import Doing, doing
from api.rest.operation import Answered, AnyRequest, Body, Operation, give, reading
from api.state import bank_of
from timebank import members, membership, minors, readings


class Guardian(Answered, frozen=True):
    """Who acts for a member under age."""

    id: UUID
    name: str | None
    until: datetime
    """When the member is of age."""


class Birth(Answered, frozen=True):
    """When a member was born, where the bank knows it, and who acts for them."""

    born: date | None
    guardians: list[Guardian]


class BirthEntry(Body, frozen=True):
    """What stands in the papers that were shown."""

    id: UUID
    """UUID version 7, made by the sender and kept until there is an answer."""
    born: date
    guardian_id: UUID | None = None
    """Of who is under 18: a grown-up member of the branch, in place of an earlier guardian, who stays if left out."""


@reading("/members/{member_id:uuid}/birth", Operation(Birth, refusals=("not_found",)))
async def show_birth(request: AnyRequest, member_id: FromPath[UUID]) -> Response[Any]:
    """When a member of the branch was born, and who their guardians are."""
    bank, actor_id, now = bank_of(request), member_of(request).member_id, bank_of(request).clock()
    async with bank.engine.begin() as connection:
        row = await membership.one(connection, bank.book_id, member_id, actor_id=actor_id, now=now)
        born, acting = await minors.of(connection, bank.book_id, bank.keys, row, now)
        names = await members.names(connection, bank.book_id, bank.keys, [each.guardian_id for each in acting])
        await readings.note(connection, bank.book_id, actor_id, [member_id], "file", now)
    found = [Guardian(id=each.guardian_id, name=names.get(each.guardian_id), until=each.until) for each in acting]
    return give(Birth(born=born, guardians=found))


@doing("/members/{member_id:uuid}/birth", BirthEntry)
async def enter_birth(deed: Doing[BirthEntry]) -> None:
    """Enter when a member was born; of who is under 18, with a guardian. Not oneself as either."""
    await minors.record(
        deed.connection,
        deed.bank.book_id,
        deed.bank.keys,
        deed.subject,
        born=deed.body.born,
        guardian_id=deed.body.guardian_id,
        actor_id=deed.actor_id,
        now=deed.now,
    )


handlers = [show_birth, enter_birth.route]
