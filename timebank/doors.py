"""One-time codes for home visits: eight digits that a resident reads out at the door.

A manager issues one for a resident and a station. Whoever checks in with it first has it; it ends with their check-out,
or a day after it was issued.
"""

import hashlib
import hmac
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy import Row, and_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import access, trail
from timebank.codes import Scan
from timebank.errors import NotFound
from timebank.keys import Keys
from timebank.tables import door_code, member, region

DOOR_ROLES = ("manager", "admin")
LIFE = timedelta(hours=24)
DIGITS = 8


class Visiting(Protocol):
    """What is asked of a command that brings a door code."""

    @property
    def kind(self) -> str: ...
    @property
    def actor_id(self) -> UUID: ...


def digits_hash(secret: bytes, book_id: int, digits: str) -> bytes:
    """Under what the table knows a door code."""
    return hmac.new(secret, f"door\0{book_id}\0{digits}".encode(), hashlib.sha256).digest()


def digits_of(secret: bytes, id: UUID, attempt: int) -> str:
    """The eight digits of a door code, the same whenever its request is repeated; `attempt` counts collisions."""
    digest = hmac.new(secret, f"digits\0{id}\0{attempt}".encode(), hashlib.sha256).digest()
    return f"{int.from_bytes(digest[:8]) % 10**DIGITS:08d}"


async def issue(
    connection: AsyncConnection,
    book_id: int,
    keys: Keys,
    *,
    station_id: UUID,
    resident_id: UUID,
    id: UUID,
    now: datetime,
    actor_id: UUID,
) -> tuple[str, datetime]:
    """A one-time code for a visit to a resident: its eight digits, and when it ends. Sent twice, it is one code.

    The actor looks after the station; whoever lives elsewhere, or is erased, is `not_found`.
    """
    place = await access.visible_station(connection, book_id, station_id, actor_id=actor_id, roles=DOOR_ROLES, now=now)
    query = (
        select(member.c.id, region.c.path)
        .join_from(member, region, and_(region.c.book_id == member.c.book_id, region.c.id == member.c.region_id))
        .where(member.c.book_id == book_id, member.c.id == resident_id, member.c.state != "erased")
    )
    resident = (await connection.execute(query)).one_or_none()
    if resident is None or place.region_id not in resident.path:
        raise NotFound(kind="member")
    query = select(door_code).where(door_code.c.book_id == book_id, door_code.c.id == id)
    known = (await connection.execute(query)).one_or_none()
    for attempt in range(100):
        digits = digits_of(keys.door, id, attempt)
        hashed = digits_hash(keys.door, book_id, digits)
        if known is not None:
            if known.digits_hash == hashed and (known.station_id, known.resident_id) == (station_id, resident_id):
                return digits, known.expires_at
            continue
        added = await connection.execute(
            insert(door_code)
            .values(
                book_id=book_id,
                id=id,
                digits_hash=hashed,
                station_id=station_id,
                resident_id=resident_id,
                issued_by=actor_id,
                issued_at=now,
                expires_at=now + LIFE,
            )
            .on_conflict_do_nothing(index_elements=["book_id", "digits_hash"])
            .returning(door_code.c.id)
        )
        if added.one_or_none() is None:
            continue
        await trail.write(
            connection,
            book_id,
            actor_id=actor_id,
            action="door_code.issue",
            subject_kind="member",
            subject_id=resident_id,
            after={"door_code_id": str(id), "station_id": str(station_id)},
            now=now,
        )
        return digits, now + LIFE
    raise NotFound(kind="member")


async def named(
    connection: AsyncConnection, book_id: int, secret: bytes, scans: Mapping[UUID, Scan]
) -> dict[UUID, Row[Any]]:
    """The door codes whose digits were typed, locked, by the id that they came under; no statement without any.

    Rows of `door_code` with `member_id`, `household_id` and `path` of the resident.
    """
    hashes = {
        id: digits_hash(secret, book_id, scan.digits)
        for id, scan in scans.items()
        if scan.source == "door" and scan.digits is not None
    }
    if not hashes:
        return {}
    rows = await connection.execute(
        select(door_code, member.c.id.label("member_id"), member.c.household_id, region.c.path)
        .join_from(
            door_code, member, and_(member.c.book_id == door_code.c.book_id, member.c.id == door_code.c.resident_id)
        )
        .join(region, and_(region.c.book_id == member.c.book_id, region.c.id == member.c.region_id))
        .where(door_code.c.book_id == book_id, door_code.c.digits_hash.in_(set(hashes.values())))
        .order_by(door_code.c.id)
        .with_for_update(key_share=True, of=door_code)
    )
    found = {row.digits_hash: row for row in rows}
    return {id: found[hashed] for id, hashed in hashes.items() if hashed in found}


def is_open(
    row: Row[Any], command: Visiting, used: Mapping[UUID, UUID], ended: Collection[UUID], now: datetime
) -> bool:
    """Whether a door code still opens: to anybody until it is used, then to who used it, until they have left.

    Who is in may leave after the code's day is over.
    """
    user_id = used.get(row.id, row.used_by)
    if row.ended_at is not None or row.id in ended:
        return False
    if command.kind == "out":
        return bool(user_id == command.actor_id)
    return bool(now < row.expires_at) and user_id in (None, command.actor_id)


USE = text("""
    UPDATE timebank.door_code AS d SET used_by = u.member_id, used_at = :now
    FROM unnest(CAST(:ids AS uuid[]), CAST(:member_ids AS uuid[])) AS u (id, member_id)
    WHERE d.book_id = :book_id AND d.id = u.id AND d.used_by IS NULL
""")


async def keep(
    connection: AsyncConnection, book_id: int, used: Mapping[UUID, UUID], ended: Collection[UUID], now: datetime
) -> None:
    """Write who uses which code from now on, and which are over. The rows are locked by `named`."""
    if used:
        await connection.execute(
            USE, {"book_id": book_id, "now": now, "ids": list(used), "member_ids": list(used.values())}
        )
    if ended:
        await connection.execute(
            update(door_code).where(door_code.c.book_id == book_id, door_code.c.id.in_(ended)).values(ended_at=now)
        )
