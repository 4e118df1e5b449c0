"""A volunteer's own records."""

from typing import Any

from litestar import Response, get

from api.pages.office import query_of
from api.pages.page import AnyRequest, member, show
from api.rest.operation import days_query, limit_of, text_query
from api.state import bank_of
from timebank import records
from timebank.cursors import Cursor
from timebank.records import Which
from timebank.tables import GRADES, RECORD_STATES


@get("/records")
async def my_records(request: AnyRequest) -> Response[Any]:
    """A volunteer's own service records, the latest first; in one state, of one grade, of some days."""
    session, bank = member(request), bank_of(request)
    chosen = query_of(request, "state", "grade", "since", "until")
    since, until = days_query(request)
    before = text_query(request, "before")
    async with bank.engine.connect() as connection:
        page = await records.mine(
            connection,
            bank.book_id,
            session.member_id,
            which=Which(state=chosen.get("state"), grade=chosen.get("grade"), since=since, until=until),
            before=Cursor.read(before),
            limit=limit_of(request),
        )
    return show(
        request,
        "volunteer/records.html",
        records=page.rows,
        following=page.following,
        newest=before is None,
        chosen=chosen,
        states=RECORD_STATES,
        grades=GRADES,
    )


handlers = [my_records]
