"""Everything that the bank stores about one person, for that person: whole, in one piece, for programs and for people.

What is sealed stands open in it. Ids of other people stay ids, but for the names of those who looked at the person's
data. Times are UTC.
"""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Table, and_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import consents, explain, identities, members, passkeys, pins, private, readings, trail, vault
from timebank.corrections import PURPOSE as CORRECTION
from timebank.inquiries import ANSWER, QUESTION
from timebank.keys import Keys
from timebank.manual import unseal as manual_reason
from timebank.tables import (
    activation,
    attendance,
    audit_entry,
    card,
    certificate,
    correction,
    decision,
    erasure,
    helping,
    inquiry,
    member,
    outside_account,
    punch,
    punch_decision,
    read_token,
    record,
    redemption,
    region,
    role_grant,
    session,
    shift_feed,
)

# Rows of these hold nothing that is sealed, and nothing of a secret.
PLAIN: dict[str, tuple[Table, tuple[str, ...]]] = {
    "attendances": (attendance, ("id", "station_id", "service_kind_id", "started_at", "ended_at", "state")),
    "cards": (card, ("number", "issued_at", "revoked_at")),
    "certificates": (certificate, ("id", "number", "since", "until", "unit", "issued_at", "issued_by")),
    "erasure_wishes": (erasure, ("asked_by", "asked_at", "state", "ended_at")),
    "helpers": (
        helping,
        ("id", "helper_id", "starts_at", "ends_at", "vouched", "granted_by", "granted_at", "ended_at", "ended_by"),
    ),
    "outside_accounts": (outside_account, ("id", "issuer", "linked_at", "used_at")),
    "printed_codes": (activation, ("issued_by", "issued_at", "expires_at")),
    "redemptions": (
        redemption,
        ("id", "reward_id", "points", "state", "held_at", "expires_at", "ended_at", "station_id"),
    ),
    "programs": (read_token, ("id", "scope", "made_at", "expires_at", "used_at")),
    "roles": (role_grant, ("role", "region_id", "station_id", "starts_at", "ends_at")),
    "sessions": (session, ("created_at", "seen_at", "expires_at", "by_passkey")),
    "shift_calendar": (shift_feed, ("made_at",)),
}
# Lines of a statement that are read at once.
LINES_AT_ONCE = 100


async def gathered(
    connection: AsyncConnection, book_id: int, keys: Keys, member_id: UUID, now: datetime
) -> dict[str, Any]:
    """What is stored about a member, by kind, as values that JSON can hold. `not_found` for no such member."""
    row = await members.by_id(connection, book_id, member_id)
    found: dict[str, Any] = {
        "made_at": now,
        "person": {
            "member_id": member_id,
            **(vault.unseal(keys, row) or {}),
            "region_id": row.region_id,
            "household_id": row.household_id,
            "locale": row.locale,
            "state": row.state,
            "joined_at": row.joined_at,
            "has_password": row.password_hash is not None,
            "card_pin": await pins.is_set(connection, book_id, member_id),
        },
        "consents": [
            {
                "purpose": each.text.purpose,
                "agreed": each.agreed,
                "text_number": each.number,
                "answered_at": each.at,
                "text_zh": consents.texts()[each.text.purpose, each.number].zh if each.number else None,
            }
            for each in await consents.standing(connection, book_id, member_id)
        ],
        "balance": await explain.balance(connection, book_id, member_id, now),
        "identity_check": asdict(seen) if (seen := await identities.of(connection, book_id, keys, member_id)) else None,
        "passkeys": [asdict(each) for each in await passkeys.of(connection, book_id, keys, member_id)],
    }
    for name, (table, columns) in PLAIN.items():
        found[name] = [plain(each) for each in await theirs(connection, book_id, member_id, table, columns)]
    found |= await of_service(connection, book_id, keys, row)
    for unit in ("minute", "point"):
        found[f"statement_{unit}s"] = await statement(connection, book_id, member_id, unit)
    found["changes"] = await changes(connection, book_id, keys, row)
    looks = await readings.all_of(connection, book_id, member_id)
    names = await members.names(connection, book_id, keys, {each.reader_id for each in looks})
    found["looks"] = [{**plain(each), "reader": names.get(each.reader_id)} for each in looks]
    return found


async def home(connection: AsyncConnection, book_id: int, member_id: UUID) -> Row[Any]:
    """The region that a member lives in: `name_zh`, `name_en`."""
    there = and_(region.c.book_id == member.c.book_id, region.c.id == member.c.region_id)
    query = select(region).join(member, there).where(member.c.book_id == book_id, member.c.id == member_id)
    found: Row[Any] = (await connection.execute(query)).one()
    return found


def plain(row: Row[Any]) -> dict[str, Any]:
    """A row by the names of its columns."""
    return {str(name): value for name, value in row._mapping.items()}


async def theirs(
    connection: AsyncConnection, book_id: int, member_id: UUID, table: Table, columns: Sequence[str]
) -> Sequence[Row[Any]]:
    """These columns of a member's rows, the oldest first as far as ids tell."""
    query = (
        select(*(table.c[name] for name in columns))
        .where(table.c.book_id == book_id, table.c.member_id == member_id)
        .order_by(*table.primary_key.columns)
    )
    rows: Sequence[Row[Any]] = (await connection.execute(query)).all()
    return rows


async def of_service(connection: AsyncConnection, book_id: int, keys: Keys, person: Row[Any]) -> dict[str, Any]:
    """Scans, records, what was decided and corrected and asked, with every text about the person open."""
    scans = await theirs(connection, book_id, person.id, punch, [column.name for column in punch.c])
    records = await theirs(connection, book_id, person.id, record, [column.name for column in record.c])
    ids = [row.id for row in records]

    async def about(table: Table) -> list[dict[str, Any]]:
        query = select(table).where(table.c.book_id == book_id, table.c.record_id.in_(ids)).order_by(table.c.id)
        return [plain(row) for row in await connection.execute(query)]

    corrections, asked = await about(correction), await about(inquiry)
    for each in corrections:
        each["reason"] = private.opened(keys, person, CORRECTION, each["reason"])
    for each in asked:
        # Somebody who was merged into this member asked under a key of their own.
        own = each["member_id"] == person.id
        each["question"] = private.opened(keys, person, QUESTION, each["question"]) if own else None
        each["answer"] = private.opened(keys, person, ANSWER, each["answer"]) if own else None
    settled = await theirs_of_scans(connection, book_id, person.id)
    return {
        "scans": [without(row, manual_reason(keys, person, row.sealed_reason)) for row in scans],
        "scan_decisions": [without(row, manual_reason(keys, person, row.sealed_reason)) for row in settled],
        "records": [plain(row) for row in records],
        "decisions": await about(decision),
        "corrections": corrections,
        "questions": asked,
    }


def without(scan: Row[Any], reason: str | None) -> dict[str, Any]:
    """A scan, or what was decided about it, with its reason open."""
    found = plain(scan)
    del found["sealed_reason"]
    return {**found, "reason": reason or found.get("reason")}


async def theirs_of_scans(connection: AsyncConnection, book_id: int, member_id: UUID) -> Sequence[Row[Any]]:
    """What was decided about a member's scans that led to nothing by themselves."""
    query = (
        select(punch_decision)
        .join(punch, and_(punch.c.book_id == punch_decision.c.book_id, punch.c.id == punch_decision.c.punch_id))
        .where(punch_decision.c.book_id == book_id, punch.c.member_id == member_id)
        .order_by(punch_decision.c.id)
    )
    rows: Sequence[Row[Any]] = (await connection.execute(query)).all()
    return rows


async def statement(connection: AsyncConnection, book_id: int, member_id: UUID, unit: str) -> list[dict[str, Any]]:
    """Every line of the ledger that is the member's, the latest first."""
    found, before = [], None
    while True:
        page = await explain.lines(connection, book_id, member_id, unit=unit, before=before, limit=LINES_AT_ONCE)
        found += [
            {
                "transfer_id": line.transfer_id,
                "kind": line.kind,
                "recorded_at": line.recorded_at,
                "amount": line.amount,
                "expires_on": line.expires_on,
            }
            for line in page.lines
        ]
        if page.following is None:
            return found
        before = str(page.following)


async def changes(connection: AsyncConnection, book_id: int, keys: Keys, person: Row[Any]) -> list[dict[str, Any]]:
    """What was changed about the person, by whom and when."""
    query = (
        select(audit_entry)
        .where(
            audit_entry.c.book_id == book_id,
            audit_entry.c.subject_id == person.id,
            audit_entry.c.subject_kind == "member",
        )
        .order_by(audit_entry.c.at, audit_entry.c.id)
    )
    return [
        {
            "at": entry.at,
            "action": entry.action,
            "actor_id": entry.actor_id,
            "before": entry.before,
            "after": entry.after,
            "personal": vault.unseal_beside(keys, person, trail.PURPOSE, entry.personal) if entry.personal else None,
        }
        for entry in await connection.execute(query)
    ]
