"""Rows that are people: members, the cards that they are to have, and whom a row of hours or points is about."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any
from uuid import UUID

from sqlalchemy import cast, column, func, select, true
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import cards, members, regions, texts, vault
from timebank.errors import BankError, NotFound
from timebank.imports.outcomes import Import, Outcome, Refused, Row, refusal
from timebank.imports.places import find_regions, only
from timebank.members import GONE, NAME_LIMIT
from timebank.rows import binary, insert_rows
from timebank.tables import card, member

# So many members of one name are too many to know which is meant.
AMBIGUOUS = 2


async def settle_members(connection: AsyncConnection, run: Import, rows: Sequence[Row], now: datetime) -> list[Outcome]:
    """Add members. Whose phone number a member has already is that member, and stays as they are.

    Without a region they belong to the whole city. Nobody gets a password: they sign in by code, or by a slip.
    """
    places = await find_regions(connection, run, [row.values.get("region") for row in rows])
    root = await regions.root(connection, run.book_id)
    if root is None:
        raise NotFound(kind="region")
    indices: dict[UUID, bytes | None] = {}
    outcomes: dict[UUID, Outcome] = {}
    for row in rows:
        try:
            phone = row.values.get("phone")
            indices[row.id] = run.phone_index(phone) if phone else None
        except BankError as error:
            outcomes[row.id] = refusal(row, error)
    known: dict[bytes, UUID] = run.known.setdefault("phones", {})
    query = select(member.c.id, member.c.phone_index).where(
        member.c.book_id == run.book_id, member.c.phone_index.in_([index for index in indices.values() if index])
    )
    known |= {found.phone_index: found.id for found in await connection.execute(query)}
    added = []
    for row in rows:
        if row.id in outcomes:
            continue
        index = indices[row.id]
        if index in known:
            outcomes[row.id] = Outcome(row.number, "same", subject_id=known[index])
            continue
        try:
            region_id = only(places, row.values["region"]) if row.values.get("region") else root.id
            added.append(member_of(run, row, region_id, index, now))
        except BankError as error:
            outcomes[row.id] = refusal(row, error)
            continue
        if index is not None:
            known[index] = row.subject_id
        outcomes[row.id] = Outcome(row.number, "added", subject_id=row.subject_id)
    if not run.dry:
        await insert_rows(connection, member, added)
    return [outcomes[row.id] for row in rows]


def member_of(run: Import, row: Row, region_id: UUID, index: bytes | None, now: datetime) -> dict[str, Any]:
    """The row of a member who is new."""
    name, phone = texts.line("name", row.values["name"], NAME_LIMIT), row.values.get("phone")
    fields = {"name": name, "phone": run.phone(phone)[0] if phone else None}
    sealed = vault.seal(run.keys, run.book_id, row.subject_id, fields)
    return {
        "book_id": run.book_id,
        "id": row.subject_id,
        "region_id": region_id,
        "key_id": sealed.key_id,
        "data_key": binary(sealed.data_key),
        "personal": binary(sealed.personal),
        "phone_index": binary(index) if index else None,
        "name_index": binary(members.name_index(run.keys, name)),
        "locale": "zh-CN",
        "state": "active",
        "version": 1,
        "joined_at": now,
    }


@dataclass(frozen=True, slots=True)
class People:
    """The members whom some rows name, by the keyed hashes of their numbers and names."""

    by_phone: dict[bytes, Any]
    by_name: dict[bytes, list[Any]]

    def of(self, run: Import, row: Row) -> Any:
        """Whom a row is about. By phone number, and then the name has to be theirs; else by a name that one member has.

        Refused `member_unknown`, `member_name_differs`, `member_ambiguous`.
        """
        name = members.name_index(run.keys, row.values["name"])
        if phone := row.values.get("phone"):
            found = self.by_phone.get(run.phone_index(phone))
            if found is None:
                raise Refused("member_unknown", "phone")
            if found.name_index != name:
                raise Refused("member_name_differs", "name")
            return found
        found = self.by_name.get(name, [])
        if len(found) != 1:
            raise Refused("member_ambiguous" if found else "member_unknown", "name")
        return found[0]


async def find_people(connection: AsyncConnection, run: Import, rows: Sequence[Row]) -> People:
    """The members of these rows, who are not gone.

    A number names one member. A name may be that of thousands in a city, so it is asked for only where it is all that a
    row says, and of its members two are enough to know that it names nobody.
    """
    phones, names = set(), set()
    for row in rows:
        try:
            if phone := row.values.get("phone"):
                phones.add(run.phone_index(phone))
            else:
                names.add(members.name_index(run.keys, row.values["name"]))
        except BankError:
            # Said of the row itself, when it is asked whom it is about.
            continue
    columns = (member.c.id, member.c.phone_index, member.c.name_index, member.c.household_id)
    query = select(*columns).where(member.c.book_id == run.book_id, member.c.state.not_in(GONE))
    by_phone = await connection.execute(query.where(member.c.phone_index.in_(phones)))
    named = func.unnest(cast(list(names), ARRAY(BYTEA))).table_valued(column("name_index", BYTEA)).render_derived()
    two = query.where(member.c.name_index == named.c.name_index).limit(AMBIGUOUS).lateral()
    by_name: dict[bytes, list[Any]] = {}
    for each in await connection.execute(select(two).select_from(named.join(two, true()))):
        by_name.setdefault(each.name_index, []).append(each)
    return People({each.phone_index: each for each in by_phone}, by_name)


async def settle_cards(connection: AsyncConnection, run: Import, rows: Sequence[Row], now: datetime) -> list[Outcome]:
    """Give members cards, to be printed; whoever has one keeps it."""
    people = await find_people(connection, run, rows)
    query = select(card.c.member_id).where(card.c.book_id == run.book_id, card.c.revoked_at.is_(None))
    known: set[UUID] = run.known.setdefault("cards", set())
    named = {each.id for each in chain(people.by_phone.values(), *people.by_name.values())}
    known |= set(await connection.scalars(query.where(card.c.member_id.in_(named))))
    outcomes = []
    for row in rows:
        try:
            person = people.of(run, row)
            state = "same" if person.id in known else "added"
            if state == "added" and not run.dry:
                actor_id = run.actor_id or person.id
                await cards.issue(connection, run.book_id, person.id, id=row.subject_id, now=now, actor_id=actor_id)
            known.add(person.id)
            outcomes.append(Outcome(row.number, state, subject_id=person.id))  # type: ignore[arg-type]  # of the two
        except BankError as error:
            outcomes.append(refusal(row, error))
    return outcomes
