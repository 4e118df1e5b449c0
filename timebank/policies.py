"""The policy versions of a book: each has a number and a first day, and holds until the next one starts.

A version is drafted for a day that has not begun, and never changes. Of two that start on the same day the higher
number holds: it replaced the other before either was in force. What has been in force stays for ever, so that any
record can be worked out again by the rules of its day.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import bindparam, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import access, policy, purses, regions, trail
from timebank.clock import local_day
from timebank.commands import Answer, settle
from timebank.errors import Invalid
from timebank.policy import Rules
from timebank.rows import Query
from timebank.tables import policy_version, region, service_kind

# Rules bind everybody in the book, so they are made where the whole region tree is administered.
ROLES = ("admin",)
STATES = ("in_force", "to_come", "past", "replaced")


@dataclass(frozen=True, slots=True)
class Version:
    """One policy version as stored."""

    number: int
    starts_on: date
    rules: Rules
    created_by: UUID | None = None
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """New rules from the beginning of `starts_on`, a local day after today."""

    id: UUID
    actor_id: UUID
    starts_on: date
    rules: Rules

    def content(self) -> tuple[object, ...]:
        """What the administrator chose."""
        return (self.starts_on, asdict(self.rules))


async def versions(connection: AsyncConnection, book_id: int) -> Sequence[Version]:
    """Every version of the book, the latest start first; of those with the same start, the one that holds first."""
    rows = await VERSIONS.rows(connection, book_id=book_id)
    return [
        Version(row.number, row.starts_on, msgspec.convert(row.rules, Rules), row.created_by, row.created_at)
        for row in rows
    ]


VERSIONS = Query(
    select(
        policy_version.c.number,
        policy_version.c.starts_on,
        policy_version.c.rules,
        policy_version.c.created_by,
        policy_version.c.created_at,
    )
    .where(policy_version.c.book_id == bindparam("book_id"))
    .order_by(policy_version.c.starts_on.desc(), policy_version.c.number.desc())
)


def part(known: Sequence[Version], after: int | None, limit: int) -> tuple[Sequence[Version], int | None]:
    """Some of the versions, in their order, from behind the one with the number `after`; and the number of the last
    of them, where there are more."""
    numbers = [version.number for version in known]
    first = numbers.index(after) + 1 if after in numbers else 0 if after is None else len(known)
    found = known[first : first + limit]
    return found, found[-1].number if first + limit < len(known) else None


def state_on(known: Sequence[Version], version: Version, today: date) -> str:
    """Whether a version is `in_force`, `to_come`, `past`, or was `replaced` before it came into force."""
    if on_day(known, version.starts_on) != version:
        return "replaced"
    if version.starts_on > today:
        return "to_come"
    return "in_force" if on_day(known, today) == version else "past"


def in_state(known: Sequence[Version], state: str | None, today: date) -> Sequence[Version]:
    """The versions that are so; without a state, all of them."""
    return [version for version in known if state in (None, state_on(known, version, today))]


def on_day(known: Sequence[Version], day: date) -> Version:
    """The version that holds on a local day. A book's first one starts before anything can have happened."""
    return next(version for version in known if version.starts_on <= day)


async def draft(connection: AsyncConnection, book_id: int, commands: Sequence[Draft], now: datetime) -> list[Answer]:
    """Make new versions, one after the other. `ok` carries `number` and `starts_on`.

    Refused: `role_not_allowed` (administers less than the whole book), `invalid` (starts_on, or a field of the rules),
    `id_reused`.
    """

    async def decide(fresh: list[Draft]) -> list[Answer]:
        return [await draft_one(connection, book_id, command, now) for command in fresh]

    return await settle(connection, book_id, "draft_policy", commands, now, decide)


async def draft_one(connection: AsyncConnection, book_id: int, command: Draft, now: datetime) -> Answer:
    """One new version. Should another process take its number at this moment, the insert fails and it is sent again."""
    if not await may_draft(connection, book_id, command.actor_id, now):
        return Answer("role_not_allowed")
    try:
        await check(connection, book_id, command.starts_on, command.rules, now)
    except Invalid as error:
        return Answer(error.code, error.data)
    known = await versions(connection, book_id)
    number = max(version.number for version in known) + 1
    rules = asdict(command.rules)
    await connection.execute(
        insert(policy_version).values(
            book_id=book_id,
            number=number,
            starts_on=command.starts_on,
            rules=rules,
            created_by=command.actor_id,
            created_at=now,
        )
    )
    replaced = on_day(known, command.starts_on)
    await trail.write(
        connection,
        book_id,
        actor_id=command.actor_id,
        action="policy.draft",
        subject_kind="policy_version",
        subject_id=command.id,
        before={"number": replaced.number, "starts_on": replaced.starts_on.isoformat(), **asdict(replaced.rules)},
        after={"number": number, "starts_on": command.starts_on.isoformat(), **rules},
        now=now,
    )
    return Answer("ok", {"number": number, "starts_on": command.starts_on.isoformat()})


async def may_draft(connection: AsyncConnection, book_id: int, actor_id: UUID, now: datetime) -> bool:
    """Whether somebody administers the root of the region tree, and so the whole book."""
    top = await regions.root(connection, book_id)
    if top is None:
        return False
    query = select(region.c.id).where(
        region.c.book_id == book_id, region.c.id == top.id, access.covers_region(actor_id, ROLES, now)
    )
    return (await connection.execute(query)).one_or_none() is not None


async def check(connection: AsyncConnection, book_id: int, starts_on: date, rules: Rules, now: datetime) -> None:
    """Raise `Invalid` for a day that has begun or is out of reach, for a kind of service that there is not, and for
    rules that cannot be."""
    today = local_day(now, await purses.time_zone(connection, book_id))
    if not today < starts_on <= today.replace(year=today.year + 10, day=1):
        raise Invalid(field="starts_on", reason="range")
    codes = set(await connection.scalars(select(service_kind.c.code).where(service_kind.c.book_id == book_id)))
    if not rules.rate_points_per_hour.keys() <= codes:
        raise Invalid(field="rate_points_per_hour", reason="unknown")
    if (field := policy.out_of_range(rules)) is not None:
        raise Invalid(field=field, reason="range")


def differences(rules: Rules, earlier: Rules) -> dict[str, tuple[Any, Any]]:
    """What differs between two sets of rules: field to (earlier, later). Rates differ kind by kind, as `rate:` and the
    kind's code; None stands for the usual rate."""
    before, after = flat(earlier), flat(rules)
    return {
        name: (before.get(name), after.get(name))
        for name in [*after, *(name for name in before if name not in after)]
        if before.get(name) != after.get(name)
    }


def flat(rules: Rules) -> dict[str, Any]:
    """The rules as single values."""
    values = asdict(rules)
    rates = values.pop("rate_points_per_hour")
    return {**values, **{f"rate:{code}": rate for code, rate in sorted(rates.items())}}
