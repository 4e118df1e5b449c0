"""Who a session's token belongs to, for everybody who asks at once.

Whoever asks while a question is at the database waits for the next one, which asks for all of them: in a rush hour,
looking sessions up costs one query and not one for each request. Answers are believed for a moment.
"""

import asyncio
from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncEngine

from timebank import sessions
from timebank.clock import Clock
from timebank.sessions import Session

# How many sessions are remembered at once; how many are asked for in one query.
SEEN_LIMIT = 20_000
BATCH_LIMIT = 500
# For how long a session is believed without asking again. What a member may do to a thing is looked up with the thing
# every time; this spares a busy screen the same question several times a second.
SEEN_SECONDS = 2.0

Answer = asyncio.Future[Session | None]


@dataclass
class Recognition:
    """Looks sessions up, batch by batch."""

    engine: AsyncEngine
    book_id: int
    clock: Clock
    seconds: float = SEEN_SECONDS
    # By the hash of the token: the session, and until when on the event loop's clock it is believed.
    seen: dict[bytes, tuple[Session, float]] = field(default_factory=dict)
    waiting: list[tuple[str, Answer]] = field(default_factory=list)
    running: asyncio.Task[None] | None = None

    async def session_of(self, token: str) -> Session | None:
        """The session of a token; None when it has ended, or never was."""
        loop = asyncio.get_running_loop()
        found = self.seen.get(sessions.token_hash(token))
        if found is not None and found[1] > loop.time():
            return found[0]
        answer: Answer = loop.create_future()
        self.waiting.append((token, answer))
        if self.running is None:
            self.running = asyncio.create_task(self.drain())
        return await answer

    def forget(self, token: str) -> None:
        """Believe nothing of this token any more: its session has just ended."""
        self.seen.pop(sessions.token_hash(token), None)

    async def drain(self) -> None:
        """Ask for whoever waits, again and again, until nobody does."""
        try:
            while self.waiting:
                batch, self.waiting = self.waiting[:BATCH_LIMIT], self.waiting[BATCH_LIMIT:]
                await self.settle(batch)
        finally:
            self.running = None

    async def settle(self, batch: list[tuple[str, Answer]]) -> None:
        """Ask for one batch. Its failure is everybody's: it is the database's, no token's."""
        try:
            async with self.engine.connect() as connection:
                tokens = [token for token, _ in batch]
                found = await sessions.find_all(connection, self.book_id, tokens, self.clock())
                # Mostly only a question was asked, and no transaction has begun.
                if connection.in_transaction():
                    await connection.commit()
        except Exception as error:
            for _, answer in batch:
                if not answer.done():
                    answer.set_exception(error)
            return
        until = asyncio.get_running_loop().time() + self.seconds
        if len(self.seen) >= SEEN_LIMIT:
            self.seen.clear()
        for (token, answer), session in zip(batch, found, strict=True):
            if session is not None and self.seconds:
                self.seen[sessions.token_hash(token)] = session, until
            if not answer.done():
                answer.set_result(session)
