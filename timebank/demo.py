"""A small demo city: a part of Nanchang's region tree with made-up people, stations, funds, rewards and past service.

Everything is done through the verbs that a real city uses, at the times it would have happened, so nothing in it
breaks a rule, and its ledger passes the audit.
"""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import demo_city, demo_service, members, regions
from timebank.demo_city import SIGN_INS, SignIn
from timebank.keys import Keys
from timebank.refusal import Refusal

__all__ = ["SIGN_INS", "SignIn", "load"]


async def load(connection: AsyncConnection, book_id: int, keys: Keys, now: datetime) -> bool:
    """Build the demo city in an empty book, in one transaction. False when it is there already: nothing changes.

    Refusal `book_not_empty` when the book holds another city.
    """
    root = await regions.root(connection, book_id)
    if root is not None:
        known = await members.by_phone(connection, book_id, keys, SIGN_INS[0].phone)
        if root.code != demo_city.CITY or known is None:
            raise Refusal("book_not_empty", f"Book {book_id} is in use; the demo city needs an empty one.")
        return False
    demo = demo_city.Demo(connection, book_id, keys, now)
    await demo_city.found(demo)
    await demo_city.settle_people(demo)
    await demo_city.offer_rewards(demo)
    await demo_service.perform(demo)
    return True
