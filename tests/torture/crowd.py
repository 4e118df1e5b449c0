"""A crowd at the door: everybody sends everything twice at once, and some hang up."""

import asyncio
from collections import Counter
from typing import Any

from tests.torture.town import Town, Volunteer, new_id
from tests.torture.wire import Reply, send

# Every so many volunteers, a request is also sent by somebody who hangs up.
IMPATIENT_EVERY = 3


async def twice(port: int, volunteer: Volunteer, path: str, body: dict[str, Any], *, impatient: bool) -> Reply:
    """Send the same twice at once, and where asked for, a third and a fourth time without waiting for the answer.

    Answers what both sends got, which has to be the same.
    """
    sends = [send(port, volunteer, path, body), send(port, volunteer, path, body)]
    if impatient:
        sends.insert(0, send(port, volunteer, path, body, hang_up="before the answer"))
        sends.insert(0, send(port, volunteer, path, body, hang_up="in the middle"))
    *_, first, second = await asyncio.gather(*sends)
    assert first is not None, f"{path} got no answer"
    assert first == second, f"{path}: first {first}, then {second}"
    return first


async def come_and_go(port: int, town: Town) -> Counter[str]:
    """Everybody checks in, redeems, and checks out; answers how many of each succeeded."""
    done: Counter[str] = Counter()
    for path in ("/api/v1/check-ins", "/api/v1/redemptions", "/api/v1/check-outs"):

        async def go(number: int, volunteer: Volunteer, path: str = path) -> Reply:
            body: dict[str, Any] = {"id": new_id()}
            if path.endswith("redemptions"):
                body["reward_id"] = str(town.reward_id)
            else:
                body["code"] = town.code()
            return await twice(port, volunteer, path, body, impatient=number % IMPATIENT_EVERY == 0)

        replies = await asyncio.gather(*(go(number, each) for number, each in enumerate(town.volunteers)))
        done[path.rpartition("/")[2]] += sum(reply.status in (201, 202) for reply in replies)
    return done
