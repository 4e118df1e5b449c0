"""Certificates of service (志愿服务记录证明): issued free, of verified records alone, and checked by anybody.

The fields of a record and of a certificate are those of the Ministry of Civil Affairs' Order 67. A certificate keeps
what each record came to when it was issued. Whoever checks it is told whether that still holds.
"""

import secrets
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, and_, exists, insert, not_, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from timebank import access, codes, limits, members, outbox, purses, readings, trail, vault
from timebank.cards import ISSUING_ROLES
from timebank.cursors import Cursor, Page, falling
from timebank.errors import BankError, Invalid, NotFound
from timebank.keys import Keys
from timebank.limits import Limit
from timebank.periods import Period
from timebank.tables import certificate, certificate_record, record, service_kind

NUMBER_BITS = 40
# More than three services a day for a year; a longer life takes several certificates.
RECORD_LIMIT = 1200
# What the sealed name is bound to.
PURPOSE = "certificate"
STATES = ("stands", "changed")
# Far more than an office checks, far less than somebody needs who tries numbers.
CHECKS_BY_ADDRESS = Limit("certificate_check", 60, timedelta(minutes=10))


class NothingToCertify(BankError):
    """No verified record lies in the period."""

    code = "nothing_to_certify"


@dataclass(frozen=True)
class Certificate:
    """A certificate as issued. `name` is None where the person was erased since: then it says nothing of anybody.

    `lines` are its records, the first first, with the fields of the Order, `minutes` as certified, and `stands`:
    whether the record still says so.
    """

    id: UUID
    number: int
    member_id: UUID
    name: str | None
    period: Period
    unit: str
    issued_at: datetime
    lines: Sequence[Row[Any]]

    @cached_property
    def minutes(self) -> int:
        """What it certifies in all."""
        return sum(line.minutes for line in self.lines)

    @cached_property
    def grades(self) -> dict[str, int]:
        """The minutes of each evidence grade that is there."""
        found: Counter[str] = Counter()
        for line in self.lines:
            found[line.grade] += line.minutes
        return dict(sorted(found.items()))

    @cached_property
    def days(self) -> tuple[date, date]:
        """The first and the last day of service on it."""
        return min(line.local_day for line in self.lines), max(line.local_day for line in self.lines)

    @property
    def stands(self) -> bool:
        """Whether every record on it is still what it was."""
        return all(line.stands for line in self.lines)


# A record that is no more what a certificate says of it.
STANDS = and_(
    record.c.state == "verified",
    record.c.credited_minutes == certificate_record.c.minutes,
    record.c.correction_id.is_not_distinct_from(certificate_record.c.correction_id),
)


async def issue(
    connection: AsyncConnection,
    book_id: int,
    keys: Keys,
    *,
    member_id: UUID,
    period: Period,
    id: UUID,
    now: datetime,
    actor_id: UUID,
) -> UUID:
    """Certify the verified records of a member whose local day lies in a period; answers the certificate's id.

    By the member, or by who serves them. Sent twice, it is one. Errors: `nothing_to_certify`; `invalid` (since, reason
    `too_long`) past `RECORD_LIMIT` records; `not_found` (member); `id_reused` is `not_found` for another's id.
    """
    if actor_id != member_id:
        await access.served_member(connection, book_id, member_id, actor_id=actor_id, roles=ISSUING_ROLES, now=now)
    known = await row_of(connection, book_id, id)
    if known is not None:
        if (known.member_id, known.since, known.until) != (member_id, period.since, period.until):
            raise NotFound(kind="certificate")
        return id
    rows = (await connection.execute(to_certify(book_id, member_id, period).limit(RECORD_LIMIT + 1))).all()
    if not rows:
        raise NothingToCertify()
    if len(rows) > RECORD_LIMIT:
        raise Invalid(field="since", reason="too_long")
    person = await members.by_id(connection, book_id, member_id)
    fields = vault.unseal(keys, person)
    if fields is None:
        raise NotFound(kind="member")
    number = await numbered(
        connection,
        {
            "book_id": book_id,
            "id": id,
            "member_id": member_id,
            "sealed_name": vault.seal_beside(keys, person, PURPOSE, {"name": fields["name"]}),
            "since": period.since,
            "until": period.until,
            "unit": await purses.book_name(connection, book_id),
            "issued_at": now,
            "issued_by": actor_id,
        },
    )
    await connection.execute(
        insert(certificate_record),
        [
            {
                "book_id": book_id,
                "certificate_id": id,
                "record_id": row.id,
                "minutes": row.credited_minutes,
                "correction_id": row.correction_id,
            }
            for row in rows
        ],
    )
    await outbox.tell(connection, book_id, "certificate.issued", [id], now)
    await readings.note(connection, book_id, actor_id, [member_id], "record", now)
    await trail.write(
        connection,
        book_id,
        actor_id=actor_id,
        action="certificate.issue",
        subject_kind="member",
        subject_id=member_id,
        after={"number": number, "records": len(rows), "minutes": sum(row.credited_minutes for row in rows)},
        now=now,
    )
    return id


def to_certify(book_id: int, member_id: UUID, period: Period) -> Select[Any]:
    """The records that a certificate of a period holds: verified, and worth some minutes."""
    query = select(record.c.id, record.c.credited_minutes, record.c.correction_id).where(
        record.c.book_id == book_id,
        record.c.member_id == member_id,
        record.c.state == "verified",
        record.c.credited_minutes > 0,
    )
    if period.since:
        query = query.where(record.c.local_day >= period.since)
    if period.until:
        query = query.where(record.c.local_day <= period.until)
    # As they stand while it is made: a correction waits, or is seen.
    return query.order_by(record.c.started_at, record.c.id).with_for_update(key_share=True)


async def numbered(connection: AsyncConnection, values: dict[str, Any]) -> int:
    """Keep a certificate under a number that no other has."""
    while True:
        number = secrets.randbits(NUMBER_BITS)
        added = await connection.execute(
            upsert(certificate)
            .values(**values, number=number)
            .on_conflict_do_nothing(index_elements=["book_id", "number"])
            .returning(certificate.c.number)
        )
        if added.one_or_none() is not None:
            return number


async def row_of(connection: AsyncConnection, book_id: int, id: UUID) -> Row[Any] | None:
    """A certificate's own row."""
    query = select(certificate).where(certificate.c.book_id == book_id, certificate.c.id == id)
    row: Row[Any] | None = (await connection.execute(query)).one_or_none()
    return row


async def own(connection: AsyncConnection, book_id: int, keys: Keys, id: UUID, *, member_id: UUID) -> Certificate:
    """One of a member's own certificates; `not_found` for anybody else's."""
    row = await row_of(connection, book_id, id)
    if row is None or row.member_id != member_id:
        raise NotFound(kind="certificate")
    return await whole(connection, keys, row)


async def of_served(
    connection: AsyncConnection, book_id: int, keys: Keys, id: UUID, *, actor_id: UUID, now: datetime
) -> Certificate:
    """A certificate of a member whom the actor serves, to print it for them; `not_found` otherwise."""
    row = await row_of(connection, book_id, id)
    if row is None:
        raise NotFound(kind="certificate")
    await access.served_member(connection, book_id, row.member_id, actor_id=actor_id, roles=ISSUING_ROLES, now=now)
    return await whole(connection, keys, row)


async def mine(
    connection: AsyncConnection,
    book_id: int,
    member_id: UUID,
    *,
    state: str | None = None,
    before: Cursor | None = None,
    limit: int = 50,
) -> Page:
    """A member's own certificates, the latest first: `id`, `number`, `since`, `until`, `issued_at`, `stands`.

    `state`, one of `STATES`, leaves only those whose records all still say so, or those of which one does not.
    """
    changed = exists().where(
        certificate_record.c.book_id == certificate.c.book_id,
        certificate_record.c.certificate_id == certificate.c.id,
        record.c.book_id == certificate_record.c.book_id,
        record.c.id == certificate_record.c.record_id,
        not_(STANDS),
    )
    query = select(
        certificate.c.id,
        certificate.c.number,
        certificate.c.since,
        certificate.c.until,
        certificate.c.issued_at,
        not_(changed).label("stands"),
    ).where(certificate.c.book_id == book_id, certificate.c.member_id == member_id)
    if state is not None:
        query = query.where(changed if state == "changed" else not_(changed))
    return await falling(connection, query, certificate.c.issued_at, certificate.c.id, before, limit)


async def count_check(engine: AsyncEngine, book_id: int, keys: Keys, address: str, now: datetime) -> None:
    """Count one check from a network address, in a transaction of its own; `try_later` when there were enough."""
    await limits.count_from(engine, book_id, keys, address, now, CHECKS_BY_ADDRESS)


async def check(connection: AsyncConnection, book_id: int, keys: Keys, text: str) -> Certificate:
    """The certificate that a code stands on, for whoever holds the paper.

    Errors: `code_malformed`, `code_forged`, `not_found` (a genuine code of another book).
    """
    number = codes.read_certificate_code(keys.certificate, text)
    query = select(certificate).where(certificate.c.book_id == book_id, certificate.c.number == number)
    row = await access.one(connection, query, "certificate")
    return await whole(connection, keys, row)


async def whole(connection: AsyncConnection, keys: Keys, row: Row[Any]) -> Certificate:
    """A certificate with its name and its records."""
    query: Select[Any] = (
        select(
            record.c.id,
            record.c.local_day,
            record.c.activity_zh,
            record.c.activity_en,
            record.c.place,
            record.c.content,
            service_kind.c.name_zh.label("kind_zh"),
            service_kind.c.name_en.label("kind_en"),
            record.c.organising_unit,
            record.c.person_in_charge,
            record.c.started_at,
            record.c.grade,
            certificate_record.c.minutes,
            STANDS.label("stands"),
        )
        .join_from(
            certificate_record,
            record,
            and_(
                record.c.book_id == certificate_record.c.book_id,
                record.c.id == certificate_record.c.record_id,
            ),
        )
        .join(
            service_kind,
            and_(service_kind.c.book_id == record.c.book_id, service_kind.c.id == record.c.service_kind_id),
        )
        .where(certificate_record.c.book_id == row.book_id, certificate_record.c.certificate_id == row.id)
        .order_by(record.c.started_at, record.c.id)
    )
    lines: Sequence[Row[Any]] = (await connection.execute(query)).all()
    person = await members.by_id(connection, row.book_id, row.member_id)
    name = None
    if person.data_key is not None:
        name = vault.unseal_beside(keys, person, PURPOSE, row.sealed_name)["name"]
    return Certificate(
        id=row.id,
        number=row.number,
        member_id=row.member_id,
        name=name,
        period=Period(row.since, row.until),
        unit=row.unit,
        issued_at=row.issued_at,
        lines=lines,
    )
