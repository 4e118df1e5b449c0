"""The policy versions of a book: each has a number and a first day, and holds until the next one starts.

Of two that start on the same day the higher number holds: it replaced the other before either was in force.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank.policy import Rules
from timebank.tables import policy_version


@dataclass(frozen=True, slots=True)
class Version:
    """One policy version as stored."""

    number: int
    starts_on: date
    rules: Rules


async def versions(connection: AsyncConnection, book_id: int) -> Sequence[Version]:
    """Every version of the book, the latest start first; of those with the same start, the one that holds first."""
    query = (
        select(policy_version.c.number, policy_version.c.starts_on, policy_version.c.rules)
        .where(policy_version.c.book_id == book_id)
        .order_by(policy_version.c.starts_on.desc(), policy_version.c.number.desc())
    )
    rows = await connection.execute(query)
    return [Version(row.number, row.starts_on, msgspec.convert(row.rules, Rules)) for row in rows]


def on_day(known: Sequence[Version], day: date) -> Version:
    """The version that holds on a local day. A book's first one starts before anything can have happened."""
    return next(version for version in known if version.starts_on <= day)
