"""The region tree: national codes, levels in order, one root, imported again without harm."""

import random
from importlib.resources import files

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.factories import MORNING, build_city
from timebank import regions
from timebank.errors import Conflict, Invalid, NotFound
from timebank.ids import uuid7
from timebank.keys import Keys
from timebank.regions import Division
from timebank.tables import LEVELS, region


def shipped() -> list[Division]:
    """The part of the national list that comes with the bank."""
    with files("timebank").joinpath("data/nanchang.csv").open(encoding="utf-8") as lines:
        return regions.read_divisions(lines)


async def test_the_shipped_tree_is_imported_whole_and_once(connection: AsyncConnection, new_book: int) -> None:
    divisions = shipped()
    random.Random(7).shuffle(divisions)
    assert await regions.import_divisions(connection, new_book, divisions, now=MORNING) == len(divisions) == 59
    assert await regions.import_divisions(connection, new_book, divisions, now=MORNING) == 0
    rows = list(await connection.execute(select(region).where(region.c.book_id == new_book)))
    by_id = {row.id: row for row in rows}
    assert len(rows) == 59
    for row in rows:
        assert row.path[-1] == row.id
        above = [by_id[id_] for id_ in row.path]
        assert [LEVELS.index(ancestor.level) for ancestor in above] == list(range(len(above)))
        assert row.parent_id == (row.path[-2] if len(above) > 1 else None)
    root = await regions.root(connection, new_book)
    assert root is not None
    assert (root.name_zh, root.name_en) == ("南昌市", "Nanchang")


async def test_a_part_can_be_added_to_what_is_there(connection: AsyncConnection, new_book: int) -> None:
    divisions = shipped()
    upper = [division for division in divisions if division.level in ("city", "district")]
    lower = [division for division in divisions if division.level not in ("city", "district")]
    assert await regions.import_divisions(connection, new_book, upper, now=MORNING) == 3
    assert await regions.import_divisions(connection, new_book, lower, now=MORNING) == 56
    community = (await regions.by_codes(connection, new_book, ["360102002005"]))["360102002005"]
    assert len(community.path) == 4


CITY = Division(code="360100000000", name="南昌市", level="city", parent=None)
DISTRICT = Division(code="360102000000", name="东湖区", level="district", parent="360100000000")


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (Division(code="36010200000", name="东湖区", level="district", parent="360100000000"), "code"),
        (Division(code="３60102000000", name="东湖区", level="district", parent="360100000000"), "code"),
        (Division(code="360102000001", name="东湖区", level="district", parent="360100000000"), "code"),
        (Division(code="360102000000", name="东湖区", level="province", parent="360100000000"), "code"),
        (Division(code="360102000000", name="东湖区", level="grid", parent="360100000000"), "code"),
        (Division(code="450102000000", name="兴宁区", level="district", parent="360100000000"), "outside_parent"),
        (Division(code="360102002000", name="滕王阁街道", level="street", parent="360102000000"), "unknown"),
        (Division(code="360102000000", name="东湖区", level="street", parent="360100000000"), None),
        (Division(code="360102000000", name="东\x00湖区", level="district", parent="360100000000"), "characters"),
    ],
)
async def test_a_wrong_line_stops_the_import(
    connection: AsyncConnection, new_book: int, wrong: Division, reason: str | None
) -> None:
    if reason is None:
        # Skipping a level is allowed: a city may have streets and no districts.
        assert await regions.import_divisions(connection, new_book, [CITY, wrong], now=MORNING) == 2
        return
    with pytest.raises(Invalid) as caught:
        await regions.import_divisions(connection, new_book, [CITY, wrong], now=MORNING)
    assert caught.value.data["reason"] == reason
    count = select(func.count()).select_from(region).where(region.c.book_id == new_book)
    assert await connection.scalar(count) == 0


async def test_a_tree_has_one_root(connection: AsyncConnection, new_book: int) -> None:
    other = Division(code="450100000000", name="南宁市", level="city", parent=None)
    with pytest.raises(Conflict):
        await regions.import_divisions(connection, new_book, [CITY, other], now=MORNING)
    await regions.import_divisions(connection, new_book, [CITY], now=MORNING)
    with pytest.raises(Conflict):
        await regions.import_divisions(connection, new_book, [other], now=MORNING)


async def test_a_level_stands_below_a_higher_one(connection: AsyncConnection, new_book: int) -> None:
    twin = Division(code="360100000000", name="南昌市", level="city", parent="360100000000")
    with pytest.raises(Invalid):
        await regions.import_divisions(connection, new_book, [twin], now=MORNING)
    below_itself = Division(code="360102000000", name="东湖区", level="district", parent="360102000000")
    with pytest.raises(Invalid):
        await regions.import_divisions(connection, new_book, [CITY, below_itself], now=MORNING)
    await regions.import_divisions(connection, new_book, [CITY, DISTRICT], now=MORNING)
    low = Division(code="360103000000", name="西湖区", level="community", parent="360100000000")
    await regions.import_divisions(connection, new_book, [low], now=MORNING)
    high = Division(code="360103001000", name="南浦街道", level="street", parent="360103000000")
    with pytest.raises(Invalid) as caught:
        await regions.import_divisions(connection, new_book, [high], now=MORNING)
    assert caught.value.data["reason"] == "not_below_parent"
    nested = Division(code="360102000000", name="东湖区", level="district", parent="360102000000")
    assert await regions.import_divisions(connection, new_book, [nested], now=MORNING) == 0


def test_a_list_without_its_header_is_refused() -> None:
    with pytest.raises(Invalid) as caught:
        regions.read_divisions(["360100000000,南昌市,city,", "x"])
    assert caught.value.data["columns"] == ["code", "level", "name", "parent"]
    with pytest.raises(Invalid):
        regions.read_divisions([])
    assert regions.read_divisions(["code,name,level,parent", "360100000000,南昌市,city,"]) == [CITY]


async def test_grids_grow_below_communities(connection: AsyncConnection, new_book: int, keys: Keys) -> None:
    city = await build_city(connection, new_book, keys)
    admin = await city.add_member(connection, "社区管理员")
    await city.grant(connection, admin, "admin", region_id=city.community_id)
    above = city.community_id
    for level in ("grid", "building", "unit"):
        above = await regions.add(
            connection,
            new_book,
            level=level,
            name_zh=f"一号{level}",
            parent_id=above,
            id=city.new_id(),
            now=MORNING,
            actor_id=admin,
        )
    path = await connection.scalar(select(region.c.path).where(region.c.id == above))
    assert len(path) == 7
    assert path[:4] == [city.region_id, city.district_id, city.street_id, city.community_id]


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"level": "province"}, Invalid),
        ({"level": "street"}, Invalid),
        ({"level": "community"}, Invalid),
        ({"level": "grid", "code": "360102002005"}, Invalid),
        ({"level": "grid", "name_zh": ""}, Invalid),
        ({"level": "city", "parent_id": None}, Conflict),
    ],
)
async def test_what_does_not_fit_the_tree_is_refused(
    connection: AsyncConnection, new_book: int, keys: Keys, values: dict[str, str], error: type[Exception]
) -> None:
    city = await build_city(connection, new_book, keys)
    given = {"name_zh": "试验", "parent_id": city.community_id, "id": city.new_id(), "now": MORNING, **values}
    with pytest.raises(error):
        await regions.add(connection, new_book, **given)  # type: ignore[arg-type]


async def test_a_code_is_used_once(connection: AsyncConnection, new_book: int, keys: Keys) -> None:
    city = await build_city(connection, new_book, keys)
    with pytest.raises(Conflict):
        await city.add_region(connection, "community", "360102002005", city.street_id)
    with pytest.raises(Invalid):
        await city.add_region(connection, "community", "360103001001", city.street_id)


async def test_nobody_grows_a_branch_that_is_not_theirs(connection: AsyncConnection, new_book: int, keys: Keys) -> None:
    city = await build_city(connection, new_book, keys)
    admin = await city.add_member(connection, "区管理员")
    await city.grant(connection, admin, "admin", region_id=city.district_id)
    for parent_id, error in ((city.other_district_id, NotFound), (None, Conflict), (uuid7(MORNING), NotFound)):
        with pytest.raises(error):
            await regions.add(
                connection,
                new_book,
                level="grid",
                name_zh="网格",
                parent_id=parent_id,
                id=city.new_id(),
                now=MORNING,
                actor_id=admin,
            )
