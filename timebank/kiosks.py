"""Kiosks: tablets of a station that make its codes by themselves and scan cards there, known by a key of their own.

A kiosk makes its key pair when it is enrolled; the bank has the public half. From then on it needs nobody to be signed
in, and no network for a day. It is revoked by its number.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key
from sqlalchemy import Row, and_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import access, codes, devices
from timebank.codes import CodeExpired
from timebank.errors import Conflict, Invalid, NotFound
from timebank.punches import CARD_ROLES
from timebank.tables import device, station

# How far a kiosk's clock, which goes by the bank's, may be from it.
CLOCK_TOLERANCE = timedelta(minutes=1)


async def enrol(
    connection: AsyncConnection,
    book_id: int,
    *,
    station_id: UUID,
    name: str,
    public_key: bytes,
    id: UUID,
    now: datetime,
    actor_id: UUID,
) -> Row[Any]:
    """Make a tablet a kiosk of a station; answers the device's row. Sent twice, it is one kiosk.

    `public_key` is the tablet's own, an ECDSA key on P-256 as DER (SubjectPublicKeyInfo, RFC 5480).
    Errors: `not_found` (station), `invalid` (public_key, name), `conflict` (id).
    """
    await access.visible_station(connection, book_id, station_id, actor_id=actor_id, roles=CARD_ROLES, now=now)
    key = canonical(public_key)
    query = select(device).where(device.c.book_id == book_id, device.c.id == id)
    known = (await connection.execute(query)).one_or_none()
    if known is not None:
        if (known.station_id, known.public_key) != (station_id, key):
            raise Conflict(field="id")
        return known
    return await devices.add(
        connection,
        book_id,
        station_id=station_id,
        kind="kiosk",
        name=name,
        id=id,
        now=now,
        public_key=key,
        actor_id=actor_id,
    )


def canonical(public_key: bytes) -> bytes:
    """A public key in the one form in which it is kept; `Invalid` unless it is a point on P-256."""
    try:
        key = load_der_public_key(public_key)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise Invalid(field="public_key", reason="type") from None
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
        raise Invalid(field="public_key", reason="unknown")
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


async def revoke(connection: AsyncConnection, book_id: int, device_id: UUID, *, now: datetime, actor_id: UUID) -> None:
    """Refuse whatever a kiosk shows, scans and asks for from now on: by whoever looks after its station. Revoking
    twice changes nothing; `not_found` for what is no kiosk of theirs."""
    query = select(device).where(device.c.book_id == book_id, device.c.id == device_id, device.c.kind == "kiosk")
    row = await access.one(connection, query, "device")
    try:
        await access.visible_station(connection, book_id, row.station_id, actor_id=actor_id, roles=CARD_ROLES, now=now)
    except NotFound:
        raise NotFound(kind="device") from None
    await devices.take_out(connection, book_id, row, now=now, actor_id=actor_id)


async def by_number(connection: AsyncConnection, book_id: int, number: int) -> Row[Any] | None:
    """The kiosk with a device number, revoked or not, and its station: `device_id`, `device_number`, `public_key`,
    `enrolled_at`, `revoked_at`, and the station's `station_id`, `station_number`, `name_zh`, `name_en`, `state`."""
    query = (
        select(
            device.c.id.label("device_id"),
            device.c.number.label("device_number"),
            device.c.public_key,
            device.c.enrolled_at,
            device.c.revoked_at,
            station.c.id.label("station_id"),
            station.c.number.label("station_number"),
            station.c.name_zh,
            station.c.name_en,
            station.c.state,
        )
        .join_from(device, station, and_(station.c.book_id == device.c.book_id, station.c.id == device.c.station_id))
        .where(device.c.book_id == book_id, device.c.number == number, device.c.kind == "kiosk")
        .where(device.c.public_key.is_not(None))
    )
    rows: Sequence[Any] = (await connection.execute(query)).all()
    return rows[0] if rows else None


def scanned_at(scanned: datetime | None, enrolled_at: datetime, now: datetime) -> datetime:
    """The moment that a card scanned at a kiosk counts for: when it was scanned, where that was without a network.

    Raises CodeExpired where that is longer ago than a late code is taken, or before there was this kiosk; `Invalid`
    for what has not happened yet.
    """
    if scanned is None:
        return now
    if scanned > now + CLOCK_TOLERANCE:
        raise Invalid(field="scanned_at", reason="range")
    if scanned < max(enrolled_at - CLOCK_TOLERANCE, now - codes.LATE):
        raise CodeExpired()
    return min(scanned, now)
