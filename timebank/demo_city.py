"""The demo city itself: its regions, stations, funds, people and rewards, as they were before any service."""

import tomllib
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from importlib.resources import files
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import consents, devices, founding, funds, kinds, members, posters, regions, rewards, roles, stations
from timebank.ids import uuid7
from timebank.keys import Keys

BOOK_NAME = "南昌演示时间银行"
TIME_ZONE = "Asia/Shanghai"
# How long before the present the city was set up.
AGE = timedelta(days=35)

CITY = "360100000000"
HOME_STREET = "360102002000"
HOME_COMMUNITY = "360102002005"


@dataclass(frozen=True, slots=True)
class SignIn:
    """One person of the demo whom anybody may sign in as. `role` is a granted role, or "volunteer" for none."""

    role: str
    name: str
    phone: str
    password: str


SIGN_INS = (
    SignIn("volunteer", "甘小荷", "+8613900000001", "lotus-by-the-lake"),
    SignIn("manager", "甘小樟", "+8613900000002", "camphor-at-the-gate"),
    SignIn("clerk", "甘小桂", "+8613900000003", "osmanthus-on-the-sill"),
    SignIn("admin", "赣小枫", "+8613900000004", "maple-over-the-roof"),
    SignIn("auditor", "赣小松", "+8613900000005", "pine-on-the-ridge"),
)

# A name nobody has: a river, "little", and a plant.
RIVERS = "赣抚信饶修锦袁"
PLANTS = "竹兰梅菊莲杏桃李棠蕙芷薇蓉茉蔓苇苔桐"
VOLUNTEERS = 53


@dataclass
class Demo:
    """What the parts of the demo know of each other while it is built."""

    connection: AsyncConnection
    book_id: int
    keys: Keys
    now: datetime
    regions: dict[str, UUID] = field(default_factory=dict)
    funds: dict[str, UUID] = field(default_factory=dict)
    # By number, with each its screen's number.
    stations: dict[int, Any] = field(default_factory=dict)
    screens: dict[int, int] = field(default_factory=dict)
    rewards: list[UUID] = field(default_factory=list)
    # By role; "second manager" looks after the stations outside the first one's street.
    people: dict[str, UUID] = field(default_factory=dict)
    volunteers: list[UUID] = field(default_factory=list)

    @property
    def founded_at(self) -> datetime:
        """When the city was set up."""
        return self.now - AGE


async def found(demo: Demo) -> None:
    """The book, its regions, kinds, funds and stations."""
    plan = tomllib.loads(files("timebank").joinpath("data/demo.toml").read_text(encoding="utf-8"))
    connection, book_id, now = demo.connection, demo.book_id, demo.founded_at
    with files("timebank").joinpath("data/nanchang.csv").open(encoding="utf-8") as lines:
        divisions = regions.read_divisions(lines)
    await founding.found(connection, book_id, name=BOOK_NAME, time_zone=TIME_ZONE, divisions=divisions, now=now)
    rows = await regions.by_codes(connection, book_id, [division.code for division in divisions])
    demo.regions = {code: row.id for code, row in rows.items()}
    kind_ids = await kinds.by_code(connection, book_id)
    for values in plan["funds"]:
        key, points = values.pop("key"), values.pop("points")
        region_id = demo.regions[values.pop("region")]
        demo.funds[key] = await funds.add(connection, book_id, region_id=region_id, id=uuid7(now), now=now, **values)
        await funds.fill(
            connection, book_id, fund_id=demo.funds[key], points=points, id=uuid7(now), now=now, actor_id=None
        )
    for values in plan["stations"]:
        station = await stations.add(
            connection,
            book_id,
            region_id=demo.regions[values.pop("region")],
            fund_id=demo.funds[values.pop("fund")],
            service_kind_id=kind_ids[values.pop("kind")],
            id=uuid7(now),
            now=now,
            **values,
        )
        (screen,) = await devices.of_station(connection, book_id, station.id)
        demo.stations[station.number] = station
        demo.screens[station.number] = screen.number


async def settle_people(demo: Demo) -> None:
    """One person for each sign-in, a second manager, posters, and volunteers in every community that has a station."""
    for sign_in in SIGN_INS:
        demo.people[sign_in.role] = await add_member(
            demo, sign_in.name, sign_in.phone, demo.regions[HOME_COMMUNITY], sign_in.password
        )
    demo.people["second manager"] = await add_member(demo, "涂小柏", "+8613900000006", demo.regions[HOME_COMMUNITY])
    for role, branch in (("manager", HOME_STREET), ("clerk", HOME_STREET), ("admin", CITY), ("auditor", CITY)):
        await grant(demo, demo.people[role], role, region_id=demo.regions[branch])
    for number in (4, 5, 6):
        await grant(demo, demo.people["second manager"], "manager", station_id=demo.stations[number].id)
    for station in demo.stations.values():
        await posters.replace(
            demo.connection,
            demo.book_id,
            station.id,
            id=uuid7(demo.founded_at),
            now=demo.founded_at,
            actor_id=demo.people["admin"],
        )
    demo.volunteers.append(demo.people["volunteer"])
    homes = [station.region_id for station in demo.stations.values()]
    for number in range(VOLUNTEERS):
        name = RIVERS[number % len(RIVERS)] + "小" + PLANTS[number % len(PLANTS)]
        home = homes[(number + 1) % len(homes)]
        born = date(1946 + 7 * number % 55, 1 + number % 12, 1 + number % 28)
        demo.volunteers.append(await add_member(demo, name, f"+86139000001{number:02d}", home, born=born))
        if number % 3:
            await agree_to_be_named(demo, demo.volunteers[-1])


async def agree_to_be_named(demo: Demo, member_id: UUID) -> None:
    """Their own yes to standing on the roll of honour."""
    now, text = demo.founded_at, consents.in_use(consents.HONOUR)
    await consents.answer(
        demo.connection,
        demo.book_id,
        member_id,
        purpose=text.purpose,
        number=text.number,
        agreed=True,
        id=uuid7(now),
        actor_id=member_id,
        now=now,
    )


async def add_member(
    demo: Demo, name: str, phone: str, region_id: UUID, password: str | None = None, *, born: date | None = None
) -> UUID:
    """One person of the demo, from its first day on."""
    now = demo.founded_at
    return await members.add(
        demo.connection,
        demo.book_id,
        demo.keys,
        name=name,
        phone=phone,
        region_id=region_id,
        password=password,
        born=born,
        id=uuid7(now),
        now=now,
    )


async def grant(
    demo: Demo, member_id: UUID, role: str, *, region_id: UUID | None = None, station_id: UUID | None = None
) -> None:
    """One role of the demo, from its first day on, on a branch or on one station."""
    now = demo.founded_at
    await roles.grant(
        demo.connection,
        demo.book_id,
        member_id=member_id,
        role=role,
        region_id=region_id,
        station_id=station_id,
        id=uuid7(now),
        now=now,
    )


async def offer_rewards(demo: Demo) -> None:
    """What points can be exchanged for."""
    plan = tomllib.loads(files("timebank").joinpath("data/demo.toml").read_text(encoding="utf-8"))
    now = demo.founded_at
    for values in plan["rewards"]:
        reward_id = await rewards.add(
            demo.connection,
            demo.book_id,
            region_id=demo.regions[values.pop("region")],
            places=[demo.stations[number].id for number in values.pop("places")],
            hold_minutes=3 * rewards.DAY_MINUTES,
            id=uuid7(now),
            now=now,
            **values,
        )
        demo.rewards.append(reward_id)
