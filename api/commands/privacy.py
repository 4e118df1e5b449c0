"""`timebank erase`: forget who somebody was."""

from uuid import UUID

import click
from rich.console import Console

from api.commands.desk import Desk, at_desk
from timebank import erasing, erasure_list, members
from timebank.errors import NotFound
from timebank.ids import uuid7

console = Console()


@click.command()
@click.option("--member", "member_id", type=click.UUID, help="The member number, from the foot of the member's page.")
@click.option("--phone", help="Or the phone number; one without a country code is of China.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def erase(member_id: UUID | None, phone: str | None, yes: bool) -> None:
    """Forget who a member was, at once and for good. Hours, points and records stay, under an id that names nobody.

    In the office it takes two people; this is for the operator, who needs nobody else.
    """
    if (member_id is None) == (phone is None):
        raise click.UsageError("Give either --member or --phone.")

    async def find(desk: Desk) -> tuple[UUID, str]:
        found = member_id
        if phone is not None:
            row = await members.by_phone(desk.connection, desk.book_id, desk.keys, phone)
            found = row.id if row is not None else None
        if found is None:
            raise NotFound(kind="member")
        fields = await members.personal(desk.connection, desk.book_id, desk.keys, found)
        if fields is None:
            raise NotFound(kind="member")
        return found, fields["name"]

    id, name = at_desk(find)
    if not yes:
        click.confirm(f"Erase {name}, member {id}? There is no way back.", abort=True)

    async def work(desk: Desk) -> None:
        await erasing.by_operator(desk.connection, desk.book_id, id, id=uuid7(desk.now), now=desk.now)

    at_desk(work)
    at_desk(noted)
    console.print(f"Erased: member {id}. Copies of the database from before still hold the name: keep erasures.jsonl")
    console.print("beside your keys, and give it to timebank restore.")


async def noted(desk: Desk) -> int:
    """Put whoever was erased on the list outside the database; the erasure is committed by now."""
    path = desk.settings.data / erasure_list.NAME
    return await erasure_list.note(desk.connection, desk.book_id, path, desk.now)
