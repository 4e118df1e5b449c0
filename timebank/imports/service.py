"""Rows that are what people did before: hours, as records of grade D; and points, out of a fund.

Imported hours rest on a list that somebody kept, and on nothing else. They are credited by whoever imports them, under
their own name, never to themselves or their household, and earn no points. Every record names the file and the row.
"""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import policies, policy, postings, purses, texts
from timebank.clock import local_day
from timebank.earnings import Earning, earn
from timebank.errors import BankError, NotAllowed
from timebank.imports.outcomes import Import, Outcome, Refused, Row, refusal
from timebank.imports.people import People, find_people
from timebank.imports.places import kind_of, station_of
from timebank.postings import Opening
from timebank.rows import insert_all
from timebank.tables import attendance, decision, fund, member, punch, record

TEXT_LIMIT = 200
SOURCE_LIMIT = 300
DAY = timedelta(days=1)
EARLIEST = date(2000, 1, 1)


async def settle_hours(connection: AsyncConnection, run: Import, rows: Sequence[Row], now: datetime) -> list[Outcome]:
    """Credit hours. A row without a date, or of more than a day, is what was carried over until that day."""
    if run.actor_id is None:
        raise NotAllowed()
    people = await find_people(connection, run, rows)
    zone = await purses.time_zone(connection, run.book_id)
    versions = await policies.versions(connection, run.book_id)
    household_id = await household(connection, run)
    parts: dict[Any, list[dict[str, Any]]] = {punch: [], attendance: [], record: [], decision: []}
    earnings: list[Earning] = []
    outcomes = []
    for row in rows:
        try:
            person = other_person(run, people, row, household_id)
            place = await station_of(connection, run, row.values.get("station"))
            kind_id = await kind_of(connection, run, row.values.get("kind")) if row.values.get("kind") else None
            started_at, ended_at = stay(row, zone, now)
            day = local_day(started_at, zone)
            number = policies.on_day(versions, day).number
            values = record_of(run, row, person, place, kind_id or place.service_kind_id, day, now)
            values |= {"started_at": started_at, "ended_at": ended_at, "policy_number": number}
        except BankError as error:
            outcomes.append(refusal(row, error))
            continue
        write(run, row, values, parts, now)
        earnings.append(earning_of(run, row, values, place.fund_id))
        outcomes.append(Outcome(row.number, "added", subject_id=row.subject_id))
    if earnings and not run.dry:
        await lock(connection, run, {each.member_id for each in earnings})
        await insert_all(connection, parts)
        await earn(connection, run.book_id, earnings, now)
    return outcomes


async def household(connection: AsyncConnection, run: Import) -> UUID | None:
    """The household of whoever imports."""
    query = select(member.c.household_id).where(member.c.book_id == run.book_id, member.c.id == run.actor_id)
    found: UUID | None = await connection.scalar(query)
    return found


def other_person(run: Import, people: People, row: Row, household_id: UUID | None) -> Any:
    """Whom a row credits. Refused `own_record` for whoever imports, and their household."""
    person = people.of(run, row)
    if person.id == run.actor_id or (household_id is not None and person.household_id == household_id):
        raise Refused("own_record", "name")
    return person


async def lock(connection: AsyncConnection, run: Import, ids: set[UUID]) -> None:
    """Lock the members whose accounts grow, in order of their ids, as every decision does."""
    query = select(member.c.id).where(member.c.book_id == run.book_id, member.c.id.in_(ids))
    await connection.execute(query.order_by(member.c.id).with_for_update(key_share=True))


def stay(row: Row, zone: ZoneInfo, now: datetime) -> tuple[datetime, datetime]:
    """When it was, as well as the row says. Refused `date_impossible`."""
    length = timedelta(minutes=row.values["minutes"])
    if "date" not in row.values:
        return now, now
    day, at = row.values["date"]
    started_at = datetime.combine(day, at or time(), zone)
    if day < EARLIEST or started_at > now:
        raise Refused("date_impossible", "date")
    ended_at = started_at + length if length <= DAY else started_at
    return started_at, min(ended_at, now)


def record_of(
    run: Import, row: Row, person: Any, place: Any, kind_id: UUID, day: date, now: datetime
) -> dict[str, Any]:
    """The record of a row, verified by whoever imports it."""
    said = {
        name: texts.line(name, row.values[name], TEXT_LIMIT)
        for name in ("activity", "place", "content", "organising_unit", "person_in_charge")
        if row.values.get(name)
    }
    return {
        "book_id": run.book_id,
        "id": row.subject_id,
        "member_id": person.id,
        "station_id": place.id,
        "service_kind_id": kind_id,
        "activity_zh": said.get("activity", place.name_zh),
        "activity_en": said.get("activity", place.name_en),
        "place": said.get("place", place.address),
        "content": said.get("content", said.get("activity", place.name_zh)),
        "organising_unit": said.get("organising_unit", place.organising_unit),
        "person_in_charge": said.get("person_in_charge", place.person_in_charge),
        "local_day": day,
        "measured_minutes": row.values["minutes"],
        "grade": policy.source_grade("import"),
        "holds": [],
        "state": "verified",
        "credited_minutes": row.values["minutes"],
        "points": 0,
        "points_state": "none",
        "decided_by": run.actor_id,
        "decided_at": now,
        "recorded_at": now,
    }


def write(run: Import, row: Row, values: dict[str, Any], parts: dict[Any, list[dict[str, Any]]], now: datetime) -> None:
    """The evidence, the stay, the record and the decision of one row."""
    own = {name: values[name] for name in ("book_id", "member_id", "station_id")}
    ends = (("in", row.subject_id, values["started_at"]), ("out", uuid5(row.subject_id, "out"), values["ended_at"]))
    for kind, id_, at in ends:
        parts[punch].append(
            own
            | {
                "id": id_,
                "kind": kind,
                "source": "import",
                "entered_by": run.actor_id,
                "reason": source_of(run, row),
                "occurred_at": at,
                "recorded_at": now,
                "holds": [],
            }
        )
    stay_of = {name: values[name] for name in ("service_kind_id", "started_at", "ended_at")}
    punches = {"in_punch_id": ends[0][1], "out_punch_id": ends[1][1]}
    parts[attendance].append(own | {"id": row.subject_id, "state": "closed"} | stay_of | punches)
    parts[record].append(values)
    parts[decision].append(
        {
            "book_id": run.book_id,
            "id": uuid5(row.subject_id, "decision"),
            "record_id": row.subject_id,
            "actor_id": run.actor_id,
            "verdict": "verify",
            "minutes": values["credited_minutes"],
            "holds": [],
            "decided_at": now,
        }
    )


def source_of(run: Import, row: Row) -> str:
    """Where a row comes from, in words: what it says itself, the file, and the row."""
    said = row.values.get("source")
    return texts.line(
        "source", f"{f'{said} · ' if said else ''}{run.source}, {row.number}"[:SOURCE_LIMIT], SOURCE_LIMIT
    )


def earning_of(run: Import, row: Row, values: dict[str, Any], fund_id: UUID) -> Earning:
    """What the ledger is told: minutes, and no points."""
    assert run.actor_id is not None  # noqa: S101  asked first
    return Earning(
        record_id=row.subject_id,
        member_id=values["member_id"],
        fund_id=fund_id,
        in_punch_id=row.subject_id,
        out_punch_id=uuid5(row.subject_id, "out"),
        verifier_id=run.actor_id,
        policy_number=values["policy_number"],
        occurred_at=values["started_at"],
        minutes=values["credited_minutes"],
        points=0,
        expires_on=values["local_day"],
    )


async def settle_points(connection: AsyncConnection, run: Import, rows: Sequence[Row], now: datetime) -> list[Outcome]:
    """Pay opening points out of a fund, good as long as points earned today. What a fund cannot pay is refused."""
    if run.actor_id is None:
        raise NotAllowed()
    people = await find_people(connection, run, rows)
    today = local_day(now, await purses.time_zone(connection, run.book_id))
    version = policies.on_day(await policies.versions(connection, run.book_id), today)
    expires_on = policy.expires_on(version.rules, today)
    household_id = await household(connection, run)
    outcomes: dict[UUID, Outcome] = {}
    batch: list[tuple[Row, UUID, UUID]] = []
    for row in rows:
        try:
            if row.values["points"] <= 0:
                raise Refused("points_not_positive", "points")
            person = other_person(run, people, row, household_id)
            batch.append((row, person.id, await fund_of(connection, run, row.values.get("fund"))))
        except BankError as error:
            outcomes[row.id] = refusal(row, error)
    left = await left_in(connection, run, {fund_id for _, _, fund_id in batch})
    payable: list[Row] = []
    openings = []
    for row, member_id, fund_id in batch:
        if row.values["points"] > left[fund_id]:
            outcomes[row.id] = Outcome(row.number, "refused", "fund_dry", "points")
            continue
        left[fund_id] -= row.values["points"]
        payable.append(row)
        openings.append(opening(run, row, member_id, fund_id, expires_on))
        outcomes[row.id] = Outcome(row.number, "added", subject_id=member_id)
    if openings and not run.dry:
        await lock(connection, run, {each.member_id for each in openings})
        for row, paid in zip(payable, await postings.open_points(connection, run.book_id, openings, now), strict=True):
            # Somebody else may have spent of the fund a moment ago.
            if not paid:
                outcomes[row.id] = Outcome(row.number, "refused", "fund_dry", "points")
    return [outcomes[row.id] for row in rows]


async def left_in(connection: AsyncConnection, run: Import, fund_ids: set[UUID]) -> dict[UUID, int]:
    """What each fund can still pay; in a dry run, less what the rows before would have taken."""
    if not run.dry:
        return await purses.fund_balances(connection, run.book_id, sorted(fund_ids))
    left: dict[UUID, int] = run.known.setdefault("left", {})
    left |= await purses.fund_balances(connection, run.book_id, sorted(fund_ids - set(left)))
    return left


def opening(run: Import, row: Row, member_id: UUID, fund_id: UUID, expires_on: date) -> Opening:
    """Points out of a fund into a purse, and which row of which import says so."""
    source = {"import_id": str(run.id), "row": row.number, "actor_id": str(run.actor_id)}
    return Opening(uuid5(row.subject_id, "points"), member_id, fund_id, expires_on, row.values["points"], source)


async def fund_of(connection: AsyncConnection, run: Import, named: str | None) -> UUID:
    """A fund by its name; the import's own where nothing is said. Refused `fund_unknown`."""
    cache: dict[str, UUID | None] = run.known.setdefault("funds", {})
    key = named or str(run.fund_id or "")
    if key not in cache:
        query = select(fund.c.id).where(fund.c.book_id == run.book_id)
        query = query.where(
            (fund.c.name_zh == named) | (fund.c.name_en == named) if named else fund.c.id == run.fund_id
        )
        found = (await connection.scalars(query.limit(2))).all()
        cache[key] = found[0] if len(found) == 1 else None
    chosen = cache[key]
    if chosen is None:
        raise Refused("fund_unknown", "fund")
    return chosen
