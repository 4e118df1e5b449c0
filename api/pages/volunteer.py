"""A volunteer's own records."""

from typing import Any

from litestar import Response, get
from litestar.params import FromQuery

from api.pages.page import AnyRequest, member, show
from api.rest.operation import limit_of
from api.state import bank_of
from timebank import records
from timebank.cursors import Cursor


@get("/records")
async def my_records(request: AnyRequest, before: FromQuery[str | None] = None) -> Response[Any]:
    """A volunteer's own service records, the latest first."""
    session, bank = member(request), bank_of(request)
    async with bank.engine.connect() as connection:
        page = await records.mine(
            connection, bank.book_id, session.member_id, before=Cursor.read(before), limit=limit_of(request)
        )
    return show(
        request,
        "volunteer/records.html",
        records=page.rows,
        older=f"/records?before={page.following}" if page.following else None,
        newest=before is None,
    )


handlers = [my_records]
