"""The office's first page: the branch at a glance, for whoever administers or audits it."""

from typing import Any

from litestar import Response, get

from api.pages.office import READERS, asker, office, reader
from api.pages.page import AnyRequest
from api.state import bank_of
from timebank import overview, purses, stations

# As many stations and funds as this; all of them stand on pages of their own.
SHOWN = 50


@get("/admin")
async def admin(request: AnyRequest) -> Response[Any]:
    """Stations, funds and people of the reader's branch."""
    reader(request, *READERS)
    bank, who = bank_of(request), asker(request, READERS)
    async with bank.engine.connect() as connection:
        branches = await overview.branches(connection, bank.book_id, **who)
        sums = await overview.sums(connection, bank.book_id, **who)
        parts = await overview.parts(connection, bank.book_id, **who)
        places = await stations.listed(connection, bank.book_id, **who, limit=SHOWN)
        found = await overview.funds(connection, bank.book_id, **who, limit=SHOWN + 1)
        purse = found[:SHOWN]
        points = await purses.fund_balances(connection, bank.book_id, [row.id for row in purse])
    return office(
        request,
        "admin/overview.html",
        "/admin",
        now=who["now"],
        branches=branches,
        sums=sums,
        parts=parts,
        stations=places.rows,
        more_stations=places.following is not None,
        funds=purse,
        more_funds=len(found) > SHOWN,
        points=points,
    )


handlers = [admin]
