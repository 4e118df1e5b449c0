"""The audit trail: one entry for every change to who may do what and how the bank is set up."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Row, Select, Text, Uuid, and_, any_, exists, insert, literal, or_, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import access, vault
from timebank.cursors import Cursor, Page, falling
from timebank.ids import uuid7
from timebank.keys import Keys
from timebank.tables import (
    audit_entry,
    device,
    fulfilment,
    fund,
    member,
    record,
    region,
    reward,
    role_grant,
    service_kind,
    station,
)

# Who reads the trail, each of their branch.
READERS = ("admin", "auditor")
# What sealed fields of an entry are bound to.
PURPOSE = "audit"


def of_station(table: Any) -> Select[Any]:
    """The region of the station that rows of a table belong to."""
    at_station = and_(station.c.book_id == table.c.book_id, station.c.id == table.c.station_id)
    return select(table.c.book_id, table.c.id, station.c.region_id).join_from(table, station, at_station)


# By kind of subject: the region whose people an entry concerns. Other kinds concern the whole book.
REGION_OF: dict[str, Select[Any]] = {
    "device": of_station(device),
    "fulfilment": of_station(fulfilment),
    "fund": select(fund.c.book_id, fund.c.id, fund.c.region_id),
    "member": select(member.c.book_id, member.c.id, member.c.region_id),
    "record": of_station(record),
    "region": select(region.c.book_id, region.c.id, region.c.id.label("region_id")),
    "reward": select(reward.c.book_id, reward.c.id, reward.c.region_id),
    "station": select(station.c.book_id, station.c.id, station.c.region_id),
}


async def write(
    connection: AsyncConnection,
    book_id: int,
    *,
    actor_id: UUID | None,
    action: str,
    subject_kind: str,
    subject_id: UUID,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    now: datetime,
    personal: bytes | None = None,
    request_id: str | None = None,
    region_id: UUID | None = None,
) -> None:
    """Keep what was changed, in the change's own transaction: there is never one without the other.

    `actor_id` is None for the operator at the command line. `before` and `after` hold JSON values and no personal
    field; those belong in `personal`, sealed under the subject's own data key. `region_id` says whose branch it
    concerns where that is not the subject's own region.
    """
    if region_id is None and subject_kind in REGION_OF:
        place = REGION_OF[subject_kind].subquery()
        query = select(place.c.region_id).where(place.c.book_id == book_id, place.c.id == subject_id)
        region_id = await connection.scalar(query)
    await connection.execute(
        insert(audit_entry).values(
            book_id=book_id,
            id=uuid7(now),
            at=now,
            actor_id=actor_id,
            action=action,
            subject_kind=subject_kind,
            subject_id=subject_id,
            before=before,
            after=after,
            personal=personal,
            request_id=request_id,
            region_id=region_id,
        )
    )


async def write_added(
    connection: AsyncConnection,
    book_id: int,
    *,
    actor_id: UUID | None,
    subject_kind: str,
    added: Mapping[UUID, dict[str, Any]],
    now: datetime,
) -> None:
    """Keep that several things of no region were added, by their ids, at once; see `write`."""
    entries = [
        {
            "book_id": book_id,
            "id": uuid7(now),
            "at": now,
            "actor_id": actor_id,
            "action": f"{subject_kind}.add",
            "subject_kind": subject_kind,
            "subject_id": id,
            "after": after,
        }
        for id, after in added.items()
    ]
    if entries:
        await connection.execute(insert(audit_entry), entries)


async def write_own(
    connection: AsyncConnection,
    book_id: int,
    member_id: UUID,
    *,
    action: str,
    now: datetime,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    """Keep what a member did with what is their own; see `write`."""
    await write(
        connection,
        book_id,
        actor_id=member_id,
        action=action,
        subject_kind="member",
        subject_id=member_id,
        before=before,
        after=after,
        now=now,
    )


def visible(actor_id: UUID, now: datetime) -> Any:
    """The condition that an entry, joined to its `region`, concerns the actor's branch.

    Entries of no region concern the whole book: they are seen by who reads at its root.
    """
    root = region.alias()
    reads_all = exists().where(
        root.c.book_id == audit_entry.c.book_id,
        root.c.parent_id.is_(None),
        role_grant.c.book_id == root.c.book_id,
        role_grant.c.region_id == root.c.id,
        role_grant.c.member_id == actor_id,
        role_grant.c.role.in_(READERS),
        access.in_force(now),
    )
    return or_(access.covers_region(actor_id, READERS, now), and_(audit_entry.c.region_id.is_(None), reads_all))


async def search(
    connection: AsyncConnection,
    book_id: int,
    *,
    actor_id: UUID,
    now: datetime,
    by: UUID | None = None,
    action: str | None = None,
    subject_id: UUID | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    before: Cursor | None = None,
    limit: int = 50,
) -> Page:
    """The entries of the reader's branch, the latest first: `by` whom, of which `action`, about what, when.

    `action` is a whole one, `member.edit`, or its first part, `member`. `since` is included, `until` is not.
    """
    at_region = and_(region.c.book_id == audit_entry.c.book_id, region.c.id == audit_entry.c.region_id)
    query: Select[Any] = (
        select(audit_entry)
        .join_from(audit_entry, region, at_region, isouter=True)
        .where(audit_entry.c.book_id == book_id, visible(actor_id, now))
    )
    if by is not None:
        query = query.where(audit_entry.c.actor_id == by)
    if action is not None:
        query = query.where(
            or_(audit_entry.c.action == action, audit_entry.c.action.startswith(f"{action}.", autoescape=True))
        )
    if subject_id is not None:
        query = query.where(audit_entry.c.subject_id == subject_id)
    if since is not None:
        query = query.where(audit_entry.c.at >= since)
    if until is not None:
        query = query.where(audit_entry.c.at < until)
    return await falling(connection, query, audit_entry.c.at, audit_entry.c.id, before, limit)


async def personal(
    connection: AsyncConnection, book_id: int, keys: Keys, entries: Iterable[Row[Any]], *, actor_id: UUID, now: datetime
) -> dict[UUID, dict[str, Any]]:
    """By entry: the personal fields `before` and `after`, of members whom the reader administers. Others stay sealed.

    What belonged to somebody who was erased cannot be opened any more.
    """
    sealed = [entry for entry in entries if entry.personal is not None]
    if not sealed:
        return {}
    of_home = and_(region.c.book_id == member.c.book_id, region.c.id == member.c.region_id)
    query: Select[Any] = (
        select(member)
        .join_from(member, region, of_home)
        .where(
            member.c.book_id == book_id,
            member.c.id == among([entry.subject_id for entry in sealed]),
            member.c.data_key.is_not(None),
            access.covers_region(actor_id, ("admin",), now),
        )
    )
    people = {row.id: row for row in await connection.execute(query)}
    return {
        entry.id: vault.unseal_beside(keys, people[entry.subject_id], PURPOSE, entry.personal)
        for entry in sealed
        if entry.subject_id in people
    }


async def names(connection: AsyncConnection, book_id: int, ids: Iterable[UUID]) -> dict[UUID, tuple[str, str | None]]:
    """What the things that entries speak of are called now, in Chinese and English; of members nothing."""
    wanted = list(set(ids))
    if not wanted:
        return {}
    each: Sequence[Select[Any]] = [
        select(table.c.id, table.c.name_zh, table.c.name_en).where(
            table.c.book_id == book_id, table.c.id == among(wanted)
        )
        for table in (region, station, fund, service_kind, reward)
    ]
    # A device is called by its station and its number, as on the station's page.
    mark = literal(" · ") + device.c.number.cast(Text)
    devices: Select[Any] = (
        select(device.c.id, station.c.name_zh + mark, station.c.name_en + mark)
        .join(station, (station.c.book_id == device.c.book_id) & (station.c.id == device.c.station_id))
        .where(device.c.book_id == book_id, device.c.id == among(wanted))
    )
    return {row.id: (row.name_zh, row.name_en) for row in await connection.execute(union_all(*each, devices))}


def among(ids: Sequence[UUID]) -> Any:
    """Any of these ids, as one parameter."""
    return any_(literal(list(ids), ARRAY(Uuid)))
