"""A bank that is killed again and again while a stream of commands comes in, and started again each time."""

import asyncio
import os
import signal
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path

from tests.service.processes import Service, free_port, is_gone, wait_until
from tests.torture.stream import Stream
from tests.torture.town import Town, look, prove
from timebank import postgres

# What is killed, in turn. A worker only now and then: granian takes several within seconds for a broken program.
VICTIMS = ("PostgreSQL", "the service", "everything", "PostgreSQL", "a worker")
# A kill in the middle of a stream: so many answers have come since the last one.
ANSWERS_BEFORE_A_KILL = 60


class Killed:
    """The service of `data`, whoever of it lives at the moment."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.port = free_port()
        self.service = self.begin()

    def begin(self) -> Service:
        """Start it."""
        return Service.begin(self.data, port=self.port, log_level="error")

    def start_again(self) -> None:
        """As whoever supervises a service does: start it until it stays."""

        def ready() -> bool:
            if self.service.process.poll() is not None:
                self.service = self.begin()
            return self.service.is_ready()

        wait_until(ready, "the service is ready again")

    def kill(self, victim: str) -> None:
        """Without a warning, and wait until it is gone."""
        main, workers, postmaster = self.service.process, self.service.workers, self.service.postmaster
        numbers = {
            "PostgreSQL": [postmaster],
            "the service": [main.pid],
            "everything": [main.pid, *workers, postmaster],
            "a worker": workers[:1],
        }[victim]
        for number in numbers:
            os.kill(number, signal.SIGKILL)
        if main.pid in numbers:
            main.wait()
        wait_until(lambda: all(map(is_gone, numbers)), f"{victim} is gone")

    def stop(self) -> None:
        """In good order."""
        self.service.end()


async def kill_in_the_middle(town: Town, killed: Killed, kills: int, say: Callable[[str], None]) -> Stream:
    """Kill the bank so many times, each time in the middle of a stream, and hold the account against the database.

    Afterwards every command has its answer, and the book passes the audit.
    """
    stream = Stream(town, killed.port)
    for number, victim in enumerate(islice(cycle(VICTIMS), kills), start=1):
        wanted = sum(each.reply is not None for each in stream.sent) + ANSWERS_BEFORE_A_KILL
        running = asyncio.create_task(stream.run())
        async with asyncio.timeout(120):
            while sum(each.reply is not None for each in stream.sent) < wanted:
                assert not running.done(), running
                await asyncio.sleep(0.005)
        await asyncio.to_thread(killed.kill, victim)
        stream.stopping = True
        await running
        await asyncio.to_thread(killed.start_again)
        with postgres.reach(killed.data) as server:
            counted = stream.check(await look(server.service_url, town))
            say(f"kill {number}, {victim}: {dict(counted)}")
            await stream.settle()
            stream.check(await look(server.service_url, town))
    with postgres.reach(killed.data) as server:
        await prove(server.service_url, town)
    return stream
