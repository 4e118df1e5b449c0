"""The last four weeks of service in the demo city, carried out by the same commands that phones send.

Twelve days of service; on each, volunteers scan in at their stations, scan out, and managers verify in the evening.
In between some redeem and are handed what they chose. What is left for a visitor to do: the last days' records wait
in the manager's queue, one volunteer is still in, and one redemption waits at the counter.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import select

from timebank import checkins, codes, counter, redemptions, verification
from timebank.commands import Answer
from timebank.counter import Fulfil
from timebank.demo_city import TIME_ZONE, Demo
from timebank.ids import uuid7
from timebank.punches import Punch
from timebank.redemptions import Redeem
from timebank.tables import record
from timebank.verification import Verify

ZONE = ZoneInfo(TIME_ZONE)
# Mondays, Wednesdays and Saturdays of the last four weeks.
WEEKDAYS = (0, 2, 5)
DAYS = 28
# On this many of the last days of service, the first manager has not come round to verifying yet.
WAITING_DAYS = 2
MORNING, NOON = time(9, 0), time(11, 20)
AFTERNOON, EVENING = time(14, 0), time(16, 40)
VERIFYING = time(18, 30)


class Broken(Exception):
    """A command of the demo was refused: the demo no longer fits the rules."""


@dataclass
class Diary:
    """Who came where, as the weeks go by."""

    demo: Demo
    phones: dict[UUID, UUID] = field(default_factory=dict)

    def station_of(self, member_id: UUID) -> int:
        """The number of the station where a volunteer helps: near home, so that every station has its people."""
        return self.demo.volunteers.index(member_id) % len(self.demo.stations) + 1

    def phone_of(self, member_id: UUID) -> UUID:
        """The random number that a volunteer's browser keeps."""
        return self.phones.setdefault(member_id, uuid7(self.demo.founded_at))


async def perform(demo: Demo) -> None:
    """Let the weeks pass, in order: the ledger's times only go forward."""
    diary = Diary(demo)
    days = list(service_days(demo.now))
    for position, day in enumerate(days):
        await serve(diary, shift(demo.volunteers, position), at(day, MORNING), at(day, NOON))
        await serve(diary, shift(demo.volunteers, position + 2), at(day, AFTERNOON), at(day, EVENING))
        await verify_day(diary, at(day, VERIFYING), left_to_do=position >= len(days) - WAITING_DAYS)
        if position in (5, 8):
            await hand_out(diary, at(day, VERIFYING) + timedelta(minutes=30), demo.volunteers[position : position + 6])
    await leave_something(diary)


def service_days(now: datetime) -> Iterator[date]:
    """The days of service before today, oldest first."""
    today = now.astimezone(ZONE).date()
    for back in range(DAYS, 0, -1):
        day = today - timedelta(days=back)
        if day.weekday() in WEEKDAYS:
            yield day


def at(day: date, clock: time) -> datetime:
    """A local time of the demo city."""
    return datetime.combine(day, clock, ZONE)


def shift(volunteers: Sequence[UUID], number: int) -> list[UUID]:
    """A third of the volunteers, another one each time."""
    return [volunteer for index, volunteer in enumerate(volunteers) if (index + number) % 3 == 0]


async def serve(diary: Diary, volunteers: Sequence[UUID], begin: datetime, end: datetime) -> None:
    """Check volunteers in and, later, out; each scans at a moment of their own within ten minutes."""
    connection, book_id = diary.demo.connection, diary.demo.book_id
    arriving = [punch(diary, "in", member_id, begin, index) for index, member_id in enumerate(volunteers)]
    draw = diary.demo.keys.draw
    expect(await checkins.check_in(connection, book_id, arriving, begin + timedelta(minutes=10), draw=draw))
    leaving = [punch(diary, "out", member_id, end, index) for index, member_id in enumerate(volunteers)]
    expect(await checkins.check_out(connection, book_id, leaving, end + timedelta(minutes=10), draw=draw))


def punch(diary: Diary, kind: str, member_id: UUID, around: datetime, index: int) -> Punch:
    """What a phone sends after scanning the code that the station's screen showed at that moment."""
    demo, number = diary.demo, diary.station_of(member_id)
    moment = around + timedelta(seconds=37 * index % 600)
    code = codes.station_code(demo.keys.station, number, demo.screens[number], codes.slot_at(moment))
    return Punch(
        id=uuid7(moment),
        actor_id=member_id,
        kind="in" if kind == "in" else "out",
        code=code,
        scan=codes.read_station_code(demo.keys.station, code, moment),
        refusal=None,
        phone_id=diary.phone_of(member_id),
        phone_time=moment,
    )


async def verify_day(diary: Diary, now: datetime, *, left_to_do: bool) -> None:
    """Managers verify what waits: all at once where nothing is held, one by one where something is.

    One record in a while is shortened or rejected, with the reason. `left_to_do` leaves the first manager's alone.
    """
    demo = diary.demo
    query = (
        select(record.c.id, record.c.station_id, record.c.holds, record.c.measured_minutes)
        .where(record.c.book_id == demo.book_id, record.c.state == "waiting")
        .order_by(record.c.started_at, record.c.id)
    )
    numbers = {station.id: number for number, station in demo.stations.items()}
    commands = []
    for index, row in enumerate((await demo.connection.execute(query)).all()):
        first = numbers[row.station_id] <= 3
        if first and left_to_do:
            continue
        verdict: Literal["verify", "adjust", "reject"] = "verify"
        minutes, reason = None, None
        if index == 7:
            verdict, minutes, reason = "adjust", row.measured_minutes - 20, "提前离开，本人确认"
        if index == 23:
            verdict, reason = "reject", "未参加服务，本人确认"
        commands.append(
            Verify(
                id=uuid7(now),
                actor_id=demo.people["manager" if first else "second manager"],
                record_id=row.id,
                verdict=verdict,
                minutes=minutes,
                reason=reason,
                bulk=not row.holds and verdict == "verify",
            )
        )
    expect(await verification.verify(demo.connection, demo.book_id, commands, now))


async def hand_out(diary: Diary, now: datetime, members: Sequence[UUID]) -> None:
    """Some volunteers redeem, and the clerk hands it over the next morning."""
    demo = diary.demo
    # Eggs, the blood pressure check, the postcard: each is handed over at the first station.
    choices = [demo.rewards[number] for number in (1, 4, 5)]
    asked = [
        Redeem(id=uuid7(now), actor_id=member_id, reward_id=choices[index % len(choices)])
        for index, member_id in enumerate(members)
    ]
    held = expect(await redemptions.redeem(demo.connection, demo.book_id, asked, now, secret=demo.keys.redemption))
    morning = now + timedelta(hours=14)
    handed = [
        Fulfil(
            id=uuid7(morning),
            actor_id=demo.people["clerk"],
            station_id=demo.stations[1].id,
            number=answer.data["number"],
            digits=None,
        )
        for answer in held
    ]
    expect(await counter.fulfil(demo.connection, demo.book_id, handed, morning))


async def leave_something(diary: Diary) -> None:
    """One redemption of the volunteer waits to be picked up; somebody else has been in since half an hour ago."""
    demo = diary.demo
    redeem = Redeem(id=uuid7(demo.now), actor_id=demo.people["volunteer"], reward_id=demo.rewards[1])
    ago = demo.now - timedelta(minutes=40)
    expect(
        await checkins.check_in(
            demo.connection,
            demo.book_id,
            [punch(diary, "in", demo.volunteers[6], ago, 0)],
            ago + timedelta(minutes=1),
            draw=demo.keys.draw,
        )
    )
    asked = demo.now - timedelta(minutes=5)
    expect(await redemptions.redeem(demo.connection, demo.book_id, [redeem], asked, secret=demo.keys.redemption))


def expect(answers: list[Answer]) -> list[Answer]:
    """The answers, none of which is a refusal."""
    for answer in answers:
        if answer.refused:
            raise Broken(answer.code, answer.data)
    return answers
