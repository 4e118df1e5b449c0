"""The rules of the bank: every version, a new one for days to come, and what it would have come to last month."""

from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Response
from msgspec import Meta

from api.auth import member_of
from api.rest.operation import (
    Answered,
    AnyRequest,
    Body,
    CommandAnswer,
    ListPage,
    Operation,
    body_of,
    choice_query,
    command_id,
    following,
    give,
    limit_of,
    numbered_cursor,
    reading,
    settled,
    writing,
)
from api.state import bank_of
from timebank import policies, policy, purses
from timebank.clock import local_day
from timebank.errors import Invalid, NotAllowed
from timebank.policies import Draft
from timebank.preview import preview

Rate = Annotated[int, Meta(ge=0, le=600)]
Grades = Annotated[str, Meta(max_length=4)]
Code = Annotated[str, Meta(max_length=40)]


class PolicyRules(Body, frozen=True):
    """What decides how records are credited; every field is explained in the reference of the rules."""

    rate_points_per_hour: Annotated[dict[Code, Rate], Meta(max_length=200)]
    """By the code of the kind of service."""
    default_rate: Rate
    """Points for an hour of every other kind."""
    rounding_minutes: Annotated[int, Meta(ge=1, le=60)]
    daily_cap_minutes: Annotated[int, Meta(ge=1, le=1440)]
    point_grades: Grades
    """The evidence grades that earn points, as in "ABC"."""
    fast_track_grades: Grades
    """The grades that may be verified together: none, "A", "B" or "AB"."""
    life_years: Annotated[int, Meta(ge=0, le=10)]
    draw_percent: Annotated[int, Meta(ge=0, le=100)]
    long_day_minutes: Annotated[int, Meta(ge=1, le=1440)]
    top_speed_kmh: Annotated[int, Meta(ge=1, le=1000)]
    shared_phone_hours: Annotated[int, Meta(ge=0, le=720)]
    clock_doubt_minutes: Annotated[int, Meta(ge=0, le=1440)]
    late_per_month: Annotated[int, Meta(ge=0, le=1000)]
    manual_minutes_per_month: Annotated[int, Meta(ge=0, le=60_000)]
    mass_checkout_people: Annotated[int, Meta(ge=2, le=1000)]
    mass_checkout_percent: Annotated[int, Meta(ge=1, le=100)]
    mass_checkout_seconds: Annotated[int, Meta(ge=1, le=3600)]


class PolicyVersion(Answered, frozen=True):
    """One version of the rules."""

    number: int
    starts_on: date
    """Its first local day."""
    rules: PolicyRules
    created_by: UUID | None
    created_at: datetime | None


class PolicyVersions(ListPage, frozen=True):
    """One page of versions, the latest start first; of those with one start, the one that holds first."""

    versions: list[PolicyVersion]


class PolicyDraft(Body, frozen=True):
    """A new version of the rules."""

    id: UUID
    """UUID version 7, made by the sender and kept until there is an answer."""
    starts_on: date
    """A local day after today. A version for the same day that was made before is replaced."""
    rules: PolicyRules


class Trial(Body, frozen=True):
    """Rules to be tried."""

    rules: PolicyRules


class TrialSums(Answered, frozen=True):
    """Records of last month as they were credited and as the rules would have it."""

    records: int
    changed: int
    """How many would differ."""
    minutes_before: int
    minutes_after: int
    points_before: int
    points_after: int


class TrialResult(Answered, frozen=True):
    """Last month under other rules."""

    first_day: date
    last_day: date
    total: TrialSums
    kinds: dict[str, TrialSums]
    """By the code of the kind of service."""


def rules_of(body: PolicyRules) -> policy.Rules:
    """The rules as the bank has them."""
    return policy.Rules(**msgspec.structs.asdict(body))


@reading(
    "/policy-versions",
    Operation(PolicyVersions, refusals=("cursor_invalid", "invalid"), query=("version_state", "cursor", "limit")),
)
async def versions(request: AnyRequest) -> Response[Any]:
    """Every version of the rules."""
    bank, state = bank_of(request), choice_query(request, "version_state", policies.STATES)
    async with bank.engine.connect() as connection:
        known = await policies.versions(connection, bank.book_id)
        today = local_day(bank.clock(), await purses.time_zone(connection, bank.book_id))
    wanted = policies.in_state(known, state, today)
    found, later = policies.part(wanted, numbered_cursor(request), limit_of(request, 50))
    shown = msgspec.convert(found, list[PolicyVersion], from_attributes=True)
    return give(PolicyVersions(versions=shown, following=following(later)))


@writing("/policy-versions", Operation(CommandAnswer, PolicyDraft, 201, ("role_not_allowed", "id_reused")))
async def draft(request: AnyRequest) -> Response[Any]:
    """Make a new version of the rules, for days to come. Takes an administrator of the whole book.

    `data`: `number`, `starts_on`.
    """
    body = await body_of(request, PolicyDraft)
    command = Draft(
        id=command_id(body.id),
        actor_id=member_of(request).member_id,
        starts_on=body.starts_on,
        rules=rules_of(body.rules),
    )
    return settled(command.id, await bank_of(request).commits.draft.submit(command))


@writing("/policy-versions/preview", Operation(TrialResult, Trial, 200, ("role_not_allowed",)))
async def try_rules(request: AnyRequest) -> Response[Any]:
    """What rules would have credited for last month's verified records. Changes nothing."""
    body, bank, actor_id = await body_of(request, Trial), bank_of(request), member_of(request).member_id
    rules, now = rules_of(body.rules), bank.clock()
    if (field := policy.out_of_range(rules)) is not None:
        raise Invalid(field=field, reason="range")
    async with bank.engine.connect() as connection:
        if not await policies.may_draft(connection, bank.book_id, actor_id, now):
            raise NotAllowed()
        found = await preview(connection, bank.book_id, rules, now)
    return give(msgspec.convert(found, TrialResult, from_attributes=True))


handlers = [versions, draft, try_rules]
