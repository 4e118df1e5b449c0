"""What administrators do, once for programs and for forms: the same command, the same checks, the same memory.

A deed is a function that calls one verb of the bank. It runs in a transaction of its own, under an id that its sender
made; its answer is remembered, so that sending it again does nothing a second time.
"""

import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

import msgspec
from litestar import Response
from litestar.handlers import HTTPRouteHandler
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from api.auth import member_of
from api.problems import Problem, answered
from api.rest.operation import AnyRequest, Body, CommandAnswer, Operation, body_of, command_id, give, writing
from api.state import Bank, bank_of
from timebank.commands import Answer, Order, once
from timebank.errors import Busy

B = TypeVar("B", bound=Body)
# Another session was in between: the same id is sent again, and finds what that one did.
AGAIN = ("23505", "40001", "40P01")
TRIES = 4


@dataclass(slots=True)
class Doing(Generic[B]):
    """One deed under way. `subject_id` is the thing that the address names; `afterwards` runs once it is committed."""

    connection: AsyncConnection
    bank: Bank
    actor_id: UUID
    now: datetime
    body: B
    subject_id: UUID | None
    afterwards: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    guardian_id: UUID | None = None
    """Who does it as the actor, their child."""

    @property
    def subject(self) -> UUID:
        """The thing that the address names."""
        if self.subject_id is None:
            raise Problem("not_found")
        return self.subject_id

    @property
    def id(self) -> UUID:
        """The command's id, made by its sender; what is made gets it too."""
        found: UUID = self.body.id  # type: ignore[attr-defined]  # every body of a deed has one
        return found


Act = Callable[[Doing[Any]], Awaitable[dict[str, Any] | None]]


@dataclass(frozen=True, slots=True)
class Deed:
    """One thing that can be done, and the route by which programs do it."""

    kind: str
    takes: type[Body]
    act: Act
    route: HTTPRouteHandler


def doing(
    path: str, takes: type[Body], *, gives: Any = CommandAnswer, refusals: tuple[str, ...] = ()
) -> Callable[[Act], Deed]:
    """Make a deed of a function; programs do it by POST to `path`, whose one parameter is the deed's subject."""

    def made(act: Act) -> Deed:
        kind: str = act.__name__

        async def handler(request: AnyRequest) -> Response[Any]:
            body = await body_of(request, takes)
            subject_id = next(iter(request.path_params.values()), None)
            session = member_of(request)
            answer = answered(
                await carry_out(bank_of(request), deed, session.member_id, body, subject_id, session.guardian_id)
            )
            found = {"id": body.id, "code": answer.code, "data": answer.data}  # type: ignore[attr-defined]
            return give(msgspec.convert(found if gives is CommandAnswer else {**found, **answer.data}, gives), 201)

        handler.__name__, handler.__doc__ = kind, act.__doc__
        operation = Operation(
            gives, takes, 201, tuple(dict.fromkeys(("not_found", "id_reused", "conflict", *refusals)))
        )
        deed = Deed(kind, takes, act, writing(path, operation)(handler))
        return deed

    return made


async def carry_out(
    bank: Bank, deed: Deed, actor_id: UUID, body: Body, subject_id: UUID | None, guardian_id: UUID | None = None
) -> Answer:
    """Do it, or recall what it was answered."""
    chosen = msgspec.to_builtins(body)
    id = command_id(UUID(chosen.pop("id")))
    # Under a key: names and phone numbers stand in some bodies, and could be guessed from a plain hash.
    plain = msgspec.json.encode([deed.kind, str(subject_id), chosen])
    order = Order(id=id, actor_id=actor_id, chosen=(hmac.new(bank.keys.name_index, plain, "sha256").hexdigest(),))
    for _ in range(TRIES):
        now = bank.clock()
        try:
            async with bank.engine.begin() as connection:
                under_way = Doing(connection, bank, actor_id, now, body, subject_id, guardian_id=guardian_id)

                async def act(under_way: Doing[Any] = under_way) -> dict[str, Any]:
                    return await deed.act(under_way) or {}

                answer = await once(connection, bank.book_id, deed.kind, order, now, act)
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) not in AGAIN:
                raise
            continue
        if not answer.refused:
            for then in under_way.afterwards:
                await then()
        return answer
    raise Busy()
