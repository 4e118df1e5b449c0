"""The office's first page: the branch at a glance, for whoever administers or audits it."""

from typing import Any

from litestar import Response, get

from api.pages.office import READERS, asker, office, reader
from api.pages.page import AnyRequest
from api.state import bank_of
from timebank import overview, purses, stations


@get("/admin")
async def admin(request: AnyRequest) -> Response[Any]:
    """Stations, funds and people of the reader's branch."""
    reader(request, *READERS)
    bank, who = bank_of(request), asker(request, READERS)
    async with bank.engine.connect() as connection:
        branches = await overview.branches(connection, bank.book_id, **who)
        sums = await overview.sums(connection, bank.book_id, **who)
        parts = await overview.parts(connection, bank.book_id, **who)
        places = await stations.listed(connection, bank.book_id, **who, limit=50)
        purse = await overview.funds(connection, bank.book_id, **who)
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
        points=points,
    )


handlers = [admin]
