"""A stream of commands while the bank is killed again and again, with an account of what was acknowledged."""

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any
from uuid import UUID

from tests.torture.town import Found, Town, Volunteer, new_id
from tests.torture.wire import Reply, send

KINDS = ("check-in", "redeem", "cancel", "check-out")


@dataclass
class Sent:
    """One command, for as long as anybody asks."""

    volunteer: Volunteer
    kind: str
    path: str
    body: dict[str, Any]
    reply: Reply | None = None
    """The first final answer."""

    @property
    def id(self) -> UUID:
        """What it is known by."""
        return UUID(self.body["id"])


@dataclass
class Stream:
    """Volunteers who send one command after another until they are told to stop."""

    town: Town
    port: int
    sent: list[Sent] = field(default_factory=list)
    strange: list[Reply] = field(default_factory=list)
    """Answers that nobody should get: a 5xx that is not `busy`."""
    stopping: bool = False

    async def run(self) -> None:
        """Everybody at once."""
        self.stopping = False
        await asyncio.gather(*(self.live(volunteer) for volunteer in self.town.volunteers))

    async def live(self, volunteer: Volunteer) -> None:
        """Check in, redeem, give that up, check out, and so on. What got no answer is left for `settle`."""
        redemption: str | None = None
        for kind in cycle(KINDS):
            if self.stopping:
                return
            body: dict[str, Any] = {"id": new_id()}
            path = f"/api/v1/{kind}s"
            if kind.startswith("check"):
                body["code"] = self.town.code()
            elif kind == "redeem":
                path, redemption = "/api/v1/redemptions", None
                body["reward_id"] = str(self.town.reward_id)
            elif redemption is None:
                continue
            else:
                path = f"/api/v1/redemptions/{redemption}/cancellation"
            each = Sent(volunteer, kind, path, body)
            self.sent.append(each)
            reply = await self.try_once(each)
            if reply is None or not reply.is_final:
                # The bank is away: no storm of new connections.
                await asyncio.sleep(0.05 + random.random() / 10)
            elif kind == "redeem" and reply.status == 201:
                redemption = reply.body["data"]["redemption_id"]

    async def try_once(self, each: Sent) -> Reply | None:
        """Send a command, and keep its answer if it is final."""
        reply = await send(self.port, each.volunteer, each.path, each.body)
        if reply is None:
            return None
        if not reply.is_final:
            if not reply.is_busy:
                self.strange.append(reply)
            return reply
        if each.reply is None:
            each.reply = reply
        assert reply == each.reply, f"{each.kind} {each.id}: first {each.reply}, then {reply}"
        return reply

    def check(self, found: Found) -> Counter[str]:
        """Hold the account against the database; answers how many were acknowledged, unknown but there, and absent."""
        counted: Counter[str] = Counter()
        for each in self.sent:
            assert found.is_whole(each.kind, each.id), f"{each.kind} {each.id} is there in part"
            if each.reply is not None and each.reply.status < 300:
                answer = found.answers.get(each.id)
                assert answer is not None, f"{each.kind} {each.id} was acknowledged and is lost"
                assert answer["code"] == each.reply.body["code"], (answer, each.reply)
                counted["acknowledged"] += 1
            elif each.reply is None:
                counted["unknown, there" if each.id in found.answers else "unknown, absent"] += 1
            else:
                counted["refused"] += 1
        return counted

    async def settle(self, at_once: int = 16) -> None:
        """Send again whatever has no answer yet, until it has one; then a part of everything: the answers stay."""
        gate = asyncio.Semaphore(at_once)

        async def ask(each: Sent, times: int) -> None:
            async with gate:
                for _ in range(times):
                    for _ in range(600):
                        reply = await self.try_once(each)
                        if reply is not None and reply.is_final:
                            break
                        await asyncio.sleep(0.05)
                    else:
                        raise AssertionError(f"{each.kind} {each.id} never got an answer")

        unknown = [each for each in self.sent if each.reply is None]
        known = [each for each in self.sent if each.reply is not None]
        await asyncio.gather(*(ask(each, 2) for each in unknown))
        await asyncio.gather(*(ask(each, 1) for each in random.sample(known, min(len(known), 100))))
