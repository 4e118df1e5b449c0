"""Scans that were kept and led to nothing: shown to who looks after the station, and decided."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from litestar import Response
from litestar.params import FromPath

from api.auth import member_of
from api.rest.desk import Reason
from api.rest.operation import (
    Answered,
    AnyRequest,
    Body,
    CommandAnswer,
    ListPage,
    Moment,
    Operation,
    body_of,
    command_id,
    cursor_of,
    following,
    give,
    id_query,
    limit_of,
    moment,
    reading,
    settled,
    shaped,
    writing,
)
from api.state import bank_of
from timebank import astray, members
from timebank.astray import Settle

SETTLED = (
    "not_found",
    "own_record",
    "member_suspended",
    "already_decided",
    "reason_missing",
    "minutes_invalid",
    "id_reused",
)


class Astray(Answered, frozen=True):
    """A scan that was kept and led to nothing by itself."""

    id: UUID
    member_id: UUID
    member_name: str | None
    station_number: int
    station_zh: str
    station_en: str
    kind: str
    source: str
    occurred_at: datetime
    holds: list[str]


class AstrayScans(ListPage, frozen=True):
    """One page of what waits for this manager, the oldest first."""

    scans: list[Astray]


class AstrayDecision(Body, frozen=True):
    """What becomes of a scan."""

    id: UUID
    """UUID version 7, made by the sender and kept until there is an answer."""
    verdict: Literal["enter", "dismiss"]
    """`enter`: it is one end of a service, whose other end is `other_at`. `dismiss`: it is laid aside."""
    reason: Reason
    other_at: Moment | None = None


@reading(
    "/astray-scans",
    Operation(AstrayScans, refusals=("cursor_invalid", "invalid"), query=("station_id", "cursor", "limit")),
)
async def astray_scans(request: AnyRequest) -> Response[Any]:
    """Scans of the branch that were kept and led to nothing by themselves."""
    bank, actor_id = bank_of(request), member_of(request).member_id
    async with bank.engine.connect() as connection:
        page = await astray.queue(
            connection,
            bank.book_id,
            actor_id=actor_id,
            now=bank.clock(),
            station_id=id_query(request, "station_id"),
            after=cursor_of(request),
            limit=limit_of(request, 50),
        )
        names = await members.names(connection, bank.book_id, bank.keys, [row.member_id for row in page.rows])
    scans = [shaped(row, Astray, member_name=names.get(row.member_id)) for row in page.rows]
    return give(AstrayScans(scans=scans, following=following(page.following)))


@writing("/astray-scans/{punch_id:uuid}/decision", Operation(CommandAnswer, AstrayDecision, 201, SETTLED))
async def settle_astray(request: AnyRequest, punch_id: FromPath[UUID]) -> Response[Any]:
    """Decide what becomes of such a scan. `data`: `punch_id`; when entered also `attendance_id`, `minutes`, `grade`."""
    body = await body_of(request, AstrayDecision)
    command = Settle(
        id=command_id(body.id),
        actor_id=member_of(request).member_id,
        punch_id=punch_id,
        verdict=body.verdict,
        reason=body.reason,
        other_at=moment("other_at", body.other_at),
    )
    return settled(command.id, await bank_of(request).commits.settle.submit(command))


handlers = [astray_scans, settle_astray]
