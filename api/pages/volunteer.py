"""A volunteer's records and the balance that explains itself."""

from typing import Any

from litestar import Response, get
from litestar.params import FromQuery

from api.pages.page import AnyRequest, member, show
from api.state import bank_of
from timebank import explain, members, records
from timebank.cursors import Cursor

UNITS = ("point", "minute")


@get("/records")
async def my_records(request: AnyRequest, before: FromQuery[str | None] = None) -> Response[Any]:
    """A volunteer's own service records, the latest first."""
    session, bank = member(request), bank_of(request)
    async with bank.engine.connect() as connection:
        page = await records.mine(connection, bank.book_id, session.member_id, before=Cursor.read(before))
    return show(
        request,
        "volunteer/records.html",
        records=page.rows,
        older=f"/records?before={page.following}" if page.following else None,
        newest=before is None,
    )


@get("/statement")
async def statement(
    request: AnyRequest, unit: FromQuery[str] = "point", before: FromQuery[str | None] = None
) -> Response[Any]:
    """Every line of a balance with what it came from: check-in, check-out, who verified it, under which rules."""
    session, bank, now = member(request), bank_of(request), bank_of(request).clock()
    unit = unit if unit in UNITS else "point"
    async with bank.engine.connect() as connection:
        balance = await explain.balance(connection, bank.book_id, session.member_id, now)
        page = await explain.lines(connection, bank.book_id, session.member_id, unit=unit, before=before)
        verifiers = {line.record.decided_by for line in page.lines if line.record and line.record.decided_by}
        names = await members.names(connection, bank.book_id, bank.keys, verifiers)
    return show(
        request,
        "volunteer/statement.html",
        way="/statement",
        unit=unit,
        balance=balance,
        lines=page.lines,
        names=names,
        older=f"/statement?unit={unit}&before={page.following}" if page.following else None,
    )


handlers = [my_records, statement]
