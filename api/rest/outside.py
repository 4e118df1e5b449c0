"""Accounts that a member has elsewhere, and signs in by."""

from datetime import datetime
from typing import Any
from uuid import UUID

from litestar import Response

from api.auth import member_of
from api.rest.deeds import Doing, doing
from api.rest.members import MemberCommand
from api.rest.operation import Answered, AnyRequest, Operation, give, reading, shaped
from api.state import bank_of
from timebank import outside


class OutsideAccount(Answered, frozen=True):
    """One account elsewhere. What it is called there is not kept."""

    id: UUID
    issuer: str
    linked_at: datetime
    used_at: datetime | None


class OutsideAccounts(Answered, frozen=True):
    """All of a member's, the oldest first."""

    accounts: list[OutsideAccount]


@reading("/me/outside-accounts", Operation(OutsideAccounts))
async def my_accounts(request: AnyRequest) -> Response[Any]:
    """The accounts elsewhere that one signs in by. They are linked on a page, in the browser that signs in there."""
    bank = bank_of(request)
    async with bank.engine.connect() as connection:
        rows = await outside.of(connection, bank.book_id, member_of(request).member_id)
    return give(OutsideAccounts(accounts=[shaped(row, OutsideAccount) for row in rows]))


@doing("/me/outside-accounts/{account_id:uuid}/removal", MemberCommand)
async def unlink_account(deed: Doing[MemberCommand]) -> None:
    """Unlink an account elsewhere: it signs nobody in from now on."""
    await outside.unlink(deed.connection, deed.bank.book_id, deed.subject, actor_id=deed.actor_id, now=deed.now)


handlers = [my_accounts, unlink_account.route]
