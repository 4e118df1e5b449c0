"""Small builders for tests: a book with everything a service needs, written through the real verbs.

city = await build_city(connection, book_id, keys, now)
volunteer = await city.add_member(connection, "林一")
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import devices, funds, kinds, members, purses, regions, rewards, roles, stations
from timebank.ids import uuid7
from timebank.keys import Keys

# A Monday, nine in the morning in Nanchang.
MORNING = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)

PASSWORD = "four herons over the lake"

numbers = count(1)


def new_phone() -> str:
    """A number that no other call has answered, E.164."""
    return f"+86139{next(numbers):08d}"


@dataclass
class City:
    """A book with a region tree of four levels, a full fund, a station with a screen, its manager and a clerk.

    city ▸ district ▸ street ▸ community (the station is here), and a second district with its own community.
    """

    book_id: int
    keys: Keys
    now: datetime
    region_id: UUID = field(init=False)
    district_id: UUID = field(init=False)
    street_id: UUID = field(init=False)
    community_id: UUID = field(init=False)
    other_district_id: UUID = field(init=False)
    other_community_id: UUID = field(init=False)
    kinds: dict[str, UUID] = field(init=False)
    fund_id: UUID = field(init=False)
    station: Row[Any] = field(init=False)
    screen: Row[Any] = field(init=False)
    manager_id: UUID = field(init=False)
    clerk_id: UUID = field(init=False)
    phones: dict[UUID, str] = field(default_factory=dict)

    def new_id(self) -> UUID:
        """A UUIDv7 of the city's time."""
        return uuid7(self.now)

    async def add_region(self, connection: AsyncConnection, level: str, code: str, parent_id: UUID | None) -> UUID:
        """One region below `parent_id`, named after its level."""
        return await regions.add(
            connection,
            self.book_id,
            level=level,
            code=code,
            name_zh=f"试验{code[:6]}",
            name_en=f"Test {level}",
            parent_id=parent_id,
            id=self.new_id(),
            now=self.now,
        )

    async def add_member(self, connection: AsyncConnection, name: str = "林一", **more: Any) -> UUID:
        """A member of the community with a phone number of their own, kept in `phones`; `password=` to sign in."""
        phone = more.pop("phone", None) or new_phone()
        member_id = await members.add(
            connection,
            self.book_id,
            self.keys,
            name=name,
            phone=phone,
            region_id=more.pop("region_id", self.community_id),
            id=self.new_id(),
            now=self.now,
            **more,
        )
        self.phones[member_id] = phone
        return member_id

    async def add_members(self, connection: AsyncConnection, how_many: int) -> list[UUID]:
        """Several members."""
        return [await self.add_member(connection, f"林{number}") for number in range(1, how_many + 1)]

    async def grant(self, connection: AsyncConnection, member_id: UUID, role: str, **scope: UUID) -> UUID:
        """A role from now on, on `region_id=` or `station_id=`."""
        return await roles.grant(
            connection, self.book_id, member_id=member_id, role=role, id=self.new_id(), now=self.now, **scope
        )

    async def add_station(self, connection: AsyncConnection, **more: Any) -> Row[Any]:
        """One more station, in the community unless `region_id` says otherwise."""
        values = {
            "region_id": self.community_id,
            "fund_id": self.fund_id,
            "service_kind_id": self.kinds["help_elderly"],
            "name_zh": "试验志愿服务站",
            "name_en": "Test station",
            "address": "试验路 1 号",
            "organising_unit": "试验社区",
            "person_in_charge": "周负责",
        }
        return await stations.add(connection, self.book_id, id=self.new_id(), now=self.now, **{**values, **more})

    async def add_reward(self, connection: AsyncConnection, **more: Any) -> UUID:
        """A reward for 100 points with 10 in stock, handed over at the station; no monthly limit."""
        values = {
            "kind": "goods",
            "name_zh": "大米",
            "name_en": "Rice",
            "description_zh": "5 公斤",
            "description_en": "5 kg",
            "region_id": self.region_id,
            "price_points": 100,
            "stock": 10,
            "places": [self.station.id],
        }
        return await rewards.add(connection, self.book_id, id=self.new_id(), now=self.now, **{**values, **more})


async def build_city(
    connection: AsyncConnection,
    book_id: int,
    keys: Keys,
    now: datetime = MORNING,
    *,
    fund_points: int = 1_000_000,
) -> City:
    """A fresh `City` in a book that nobody uses yet. The caller commits."""
    city = City(book_id, keys, now)
    await purses.create_book(connection, book_id, "Test city", "Asia/Shanghai", now=now)
    city.kinds = await install_kinds(connection, book_id, now)
    city.region_id = await city.add_region(connection, "city", "360100000000", None)
    city.district_id = await city.add_region(connection, "district", "360102000000", city.region_id)
    city.street_id = await city.add_region(connection, "street", "360102002000", city.district_id)
    city.community_id = await city.add_region(connection, "community", "360102002005", city.street_id)
    city.other_district_id = await city.add_region(connection, "district", "360103000000", city.region_id)
    city.other_community_id = await city.add_region(connection, "community", "360103001002", city.other_district_id)
    city.fund_id = await funds.add(
        connection,
        book_id,
        name_zh="试验基金",
        name_en="Test fund",
        region_id=city.region_id,
        id=city.new_id(),
        now=now,
    )
    city.station = await city.add_station(connection)
    city.screen = (await devices.of_station(connection, book_id, city.station.id))[0]
    city.manager_id = await city.add_member(connection, "周站长")
    city.clerk_id = await city.add_member(connection, "吴核销")
    await city.grant(connection, city.manager_id, "manager", station_id=city.station.id)
    await city.grant(connection, city.clerk_id, "clerk", station_id=city.station.id)
    if fund_points:
        await funds.fill(
            connection, book_id, fund_id=city.fund_id, points=fund_points, id=city.new_id(), now=now, actor_id=None
        )
    return city


async def install_kinds(connection: AsyncConnection, book_id: int, now: datetime) -> dict[str, UUID]:
    """The catalogue of service kinds, by code."""
    await kinds.install(connection, book_id, now=now)
    return await kinds.by_code(connection, book_id)
