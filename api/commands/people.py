"""Commands of the operator who sets a city up: its book, regions, funds, stations, people and roles; the demo city."""

from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import click
from rich.console import Console
from rich.table import Table
from sqlalchemy import select

from api.commands.desk import Desk, at_desk, spoken
from timebank import demo, founding, funds, kinds, members, regions, roles, stations
from timebank.errors import NotFound
from timebank.ids import uuid7
from timebank.tables import ROLES, station

console = Console()


@click.group("book")
def book_group() -> None:
    """The book: one city's region tree, catalogue, policy and ledger."""


@book_group.command("create")
@click.option("--name", required=True, help="The city's name, kept in the ledger.")
@click.option(
    "--regions",
    "file",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="CSV with the columns code, name, level, parent and, if you like, name_en: national division codes.",
)
def book_create(name: str, file: Path) -> None:
    """Create the book with its region tree, the catalogue of service kinds and the first policy.

    Doing it again adds the regions that are new in the file and changes nothing else.
    """

    # The byte order mark that spreadsheet programs write is taken off.
    with spoken(), file.open(encoding="utf-8-sig", newline="") as lines:
        divisions = regions.read_divisions(lines)

    async def work(desk: Desk) -> int:
        return await founding.found(
            desk.connection,
            desk.book_id,
            name=name,
            time_zone=str(desk.settings.time_zone),
            divisions=divisions,
            now=desk.now,
        )

    console.print(f"{at_desk(work, founds=True)} regions added.")


@click.group("fund")
def fund_group() -> None:
    """Funds: the budgets behind every point."""


@fund_group.command("add")
@click.option("--name-zh", required=True)
@click.option("--name-en", required=True)
@click.option("--region", required=True, help="Division code of the region that the fund belongs to.")
@click.option("--points", type=click.IntRange(min=0), default=0, show_default=True, help="What it starts with.")
def fund_add(name_zh: str, name_en: str, region: str, points: int) -> None:
    """Set up a fund and put points into it."""

    async def work(desk: Desk) -> UUID:
        fund_id = await funds.add(
            desk.connection,
            desk.book_id,
            name_zh=name_zh,
            name_en=name_en,
            region_id=await region_of(desk, region),
            id=uuid7(desk.now),
            now=desk.now,
        )
        if points:
            await funds.fill(
                desk.connection,
                desk.book_id,
                fund_id=fund_id,
                points=points,
                id=uuid7(desk.now),
                now=desk.now,
                actor_id=None,
            )
        return fund_id

    console.print(f"Fund {at_desk(work)} with {points} points.")


@click.group("station")
def station_group() -> None:
    """Stations, where service happens."""


@station_group.command("add")
@click.option("--name-zh", required=True)
@click.option("--name-en", required=True)
@click.option("--region", required=True, help="Division code of the community that the station is in.")
@click.option("--address", required=True)
@click.option("--organising-unit", required=True, help="Named on records and certificates.")
@click.option("--person-in-charge", required=True, help="Named on records and certificates.")
@click.option(
    "--kind",
    type=click.Choice([kind.code for kind in kinds.CATALOGUE]),
    default="help_elderly",
    show_default=True,
    help="What is done there unless the volunteer says otherwise.",
)
@click.option("--fund", type=click.UUID, help="The fund that pays; by default the nearest at the region or above it.")
@click.option("--cap-minutes", type=click.IntRange(1, 1440), default=240, show_default=True)
def station_add(region: str, kind: str, fund: UUID | None, **values: Any) -> None:
    """Open a station. Its screen can show the rotating code at once."""

    async def work(desk: Desk) -> int:
        region_id = await region_of(desk, region)
        kind_ids = await kinds.by_code(desk.connection, desk.book_id)
        row = await stations.add(
            desk.connection,
            desk.book_id,
            region_id=region_id,
            fund_id=fund or await funds.nearest(desk.connection, desk.book_id, region_id),
            service_kind_id=kind_ids[kind],
            id=uuid7(desk.now),
            now=desk.now,
            **values,
        )
        return int(row.number)

    console.print(f"Station number {at_desk(work)}.")


@click.group("user")
def user_group() -> None:
    """Members of the bank."""


@user_group.command("add")
@click.option("--name", required=True)
@click.option("--phone", required=True, help="A number without a country code is one of China.")
@click.option("--region", help="Division code of the region they live in; by default the whole city.")
@click.option(
    "--password",
    prompt=True,
    prompt_required=False,
    hide_input=True,
    confirmation_prompt=True,
    help="Without a value it is asked for, which keeps it out of the shell's history. Left out, the member signs in "
    "by phone code.",
)
@click.option("--locale", type=click.Choice(members.LOCALES), default="zh-CN", show_default=True)
def user_add(name: str, phone: str, region: str | None, password: str | None, locale: str) -> None:
    """Add a member."""

    async def work(desk: Desk) -> UUID:
        return await members.add(
            desk.connection,
            desk.book_id,
            desk.keys,
            name=name,
            phone=phone,
            region_id=await region_of(desk, region),
            password=password,
            locale=locale,
            id=uuid7(desk.now),
            now=desk.now,
        )

    console.print(f"Member {at_desk(work)}.")


@click.command()
@click.argument("role", type=click.Choice(ROLES))
@click.option("--phone", required=True, help="The member's phone number.")
@click.option("--region", help="Division code: the role covers everything below it.")
@click.option("--station", "number", type=int, help="Station number: the role covers this station alone.")
@click.option("--days", type=click.IntRange(min=1), help="How long it holds; without it, until it is ended.")
def grant(role: str, phone: str, region: str | None, number: int | None, days: int | None) -> None:
    """Give a member a ROLE on one region or on one station."""

    async def work(desk: Desk) -> UUID:
        row = await members.by_phone(desk.connection, desk.book_id, desk.keys, phone)
        if row is None:
            raise NotFound(kind="member")
        return await roles.grant(
            desk.connection,
            desk.book_id,
            member_id=row.id,
            role=role,
            region_id=await region_of(desk, region) if region else None,
            station_id=await station_of(desk, number) if number else None,
            ends_at=desk.now + timedelta(days=days) if days else None,
            id=uuid7(desk.now),
            now=desk.now,
        )

    console.print(f"Role {at_desk(work)}.")


@click.group("demo")
def demo_group() -> None:
    """A small city to try out."""


@demo_group.command("load")
def demo_load() -> None:
    """Fill an empty book with the demo city. Done twice, the second time changes nothing."""

    async def work(desk: Desk) -> bool:
        return await demo.load(desk.connection, desk.book_id, desk.keys, desk.now)

    with console.status("Loading the demo city …"):
        loaded = at_desk(work, founds=True)
    console.print("The demo city is loaded." if loaded else "The demo city was there already.")
    table = Table("sign in as", "name", "phone", "password")
    for sign_in in demo.SIGN_INS:
        table.add_row(sign_in.role, sign_in.name, sign_in.phone, sign_in.password)
    console.print(table)


async def region_of(desk: Desk, code: str | None) -> UUID:
    """The region with this division code, or the root of the tree."""
    if code is None:
        row = await regions.root(desk.connection, desk.book_id)
    else:
        row = (await regions.by_codes(desk.connection, desk.book_id, [code])).get(code)
    if row is None:
        raise NotFound(kind="region")
    region_id: UUID = row.id
    return region_id


async def station_of(desk: Desk, number: int) -> UUID:
    """The station with this number."""
    query = select(station.c.id).where(station.c.book_id == desk.book_id, station.c.number == number)
    station_id: UUID | None = await desk.connection.scalar(query)
    if station_id is None:
        raise NotFound(kind="station")
    return station_id
