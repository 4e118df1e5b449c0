"""What is in lists, and somebody who fills them."""

from typing import Any

from tests.api.people import Person

ROOT = "/api/v1"


def items_of(answer: dict[str, Any]) -> list[Any]:
    """The list in an answer."""
    (found,) = [value for value in answer.values() if isinstance(value, list)]
    return found


async def redeem(person: Person) -> None:
    """One of each reward."""
    for each in (await person.get(f"{ROOT}/rewards")).json()["rewards"]:
        body = {"id": person.new_id(), "reward_id": each["id"]}
        assert (await person.send(f"{ROOT}/redemptions", body)).status_code == 201
