"""Tokens for reading: which one has, a new one, and the end of one."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from litestar import Response
from msgspec import Meta

from api.auth import member_of
from api.rest.deeds import Doing, doing
from api.rest.members import MemberCommand
from api.rest.operation import (
    Answered,
    AnyRequest,
    Body,
    Operation,
    ShortText,
    body_of,
    command_id,
    give,
    reading,
    writing,
)
from api.state import Bank, bank_of
from timebank import read_tokens


class NewReadToken(Body, frozen=True):
    """A token to be made."""

    id: UUID
    """UUID version 7, made by the sender: the token's. Sent again it is a `conflict`: the secret is not kept."""
    name: ShortText
    """What it is for."""
    scope: Literal["things", "people", "statements", "figures"]
    life_days: Annotated[int, Meta(ge=1, le=366)]


class ReadTokenMade(Answered, frozen=True):
    """The token that was made."""

    id: UUID
    secret: str
    """What `Authorization: Bearer` carries. It is not shown again."""


class ReadToken(Answered, frozen=True):
    """One token, without its secret."""

    id: UUID
    name: str
    scope: str
    made_at: datetime
    expires_at: datetime
    used_at: datetime | None
    """To a quarter of an hour."""


class ReadTokens(Answered, frozen=True):
    """All of one's own that still read, the oldest first; there are at most twenty."""

    tokens: list[ReadToken]


@reading("/me/read-tokens", Operation(ReadTokens))
async def my_read_tokens(request: AnyRequest) -> Response[Any]:
    """One's own tokens."""
    bank = bank_of(request)
    async with bank.engine.connect() as connection:
        found = await read_tokens.of(connection, bank.book_id, bank.keys, member_of(request).member_id, bank.clock())
    return give(
        ReadTokens(
            tokens=[
                ReadToken(
                    id=each.id,
                    name=each.name,
                    scope=each.scope,
                    made_at=each.made_at,
                    expires_at=each.expires_at,
                    used_at=each.used_at,
                )
                for each in found
            ]
        )
    )


async def made(bank: Bank, actor_id: UUID, body: NewReadToken) -> str:
    """Make it; the secret."""
    async with bank.engine.begin() as connection:
        return await read_tokens.make(
            connection,
            bank.book_id,
            bank.keys,
            name=body.name,
            scope=body.scope,
            life_days=body.life_days,
            id=command_id(body.id),
            actor_id=actor_id,
            now=bank.clock(),
        )


@writing("/me/read-tokens", Operation(ReadTokenMade, NewReadToken, 201, ("not_found", "conflict")))
async def make_read_token(request: AnyRequest) -> Response[Any]:
    """Make a token that reads what who is signed in sees, by one scope. Its secret is answered once."""
    body = await body_of(request, NewReadToken)
    secret = await made(bank_of(request), member_of(request).member_id, body)
    return give(ReadTokenMade(id=body.id, secret=secret), 201)


@doing("/me/read-tokens/{token_id:uuid}/revocation", MemberCommand)
async def revoke_read_token(deed: Doing[MemberCommand]) -> None:
    """End one's own token now."""
    await read_tokens.revoke(deed.connection, deed.bank.book_id, deed.subject, actor_id=deed.actor_id, now=deed.now)


handlers = [my_read_tokens, make_read_token, revoke_read_token.route]
