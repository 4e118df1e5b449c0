"""Funds and the audit trail, for administrators and auditors."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath

from api.language import Language
from api.pages import trail_words
from api.pages.forms import as_uuid
from api.pages.office import READERS, all_regions, as_id, asker, cursor_of, office, query_of, reader
from api.pages.page import AnyRequest, go, speaker
from api.pages.trying import Tried, try_form
from api.periods import period_of
from api.rest import funds as deeds
from api.rest.operation import limit_of, numbered_cursor
from api.state import bank_of
from timebank import funds, members, overview, purses, trail

NOTHING = Tried(None, None, {})


@get("/admin/funds")
async def fund_list(request: AnyRequest) -> Response[Any]:
    """The funds of the branch."""
    return await funds_page(request, NOTHING)


async def funds_page(request: AnyRequest, tried: Tried) -> Response[Any]:
    """The list, and the form for a new one."""
    reader(request, *READERS)
    bank, who, chosen = bank_of(request), asker(request, READERS), query_of(request, "region")
    async with bank.engine.connect() as connection:
        page = await funds.listed(
            connection,
            bank.book_id,
            **who,
            region_id=as_id(chosen.get("region")),
            before=cursor_of(request),
            limit=limit_of(request, 30),
        )
        places = await overview.regions(connection, bank.book_id, **who)
        points = await purses.fund_balances(connection, bank.book_id, [row.id for row in page.rows])
        regions = await all_regions(connection, bank, request)
    return office(
        request,
        "admin/funds.html",
        "/admin/funds",
        tried,
        funds=page.rows,
        points=points,
        following=page.following,
        regions=regions,
        places=places,
        chosen=chosen,
    )


@post("/admin/funds", status_code=303)
async def add_fund(request: AnyRequest) -> Response[Any]:
    """Set up a fund."""
    tried = await try_form(request, deeds.add_fund)
    return await funds_page(request, tried) if tried.problem else go(f"/admin/funds/{tried.id}", saved="1")


@get("/admin/funds/{fund_id:uuid}")
async def one_fund(request: AnyRequest, fund_id: FromPath[UUID]) -> Response[Any]:
    """What went into a fund and out of it."""
    return await fund_page(request, fund_id, NOTHING)


async def fund_page(request: AnyRequest, fund_id: UUID, tried: Tried) -> Response[Any]:
    """The statement of a fund, and the form that fills it."""
    reader(request, *READERS)
    bank, chosen = bank_of(request), query_of(request, "since", "until")
    since, until = period_of(chosen.get("since"), chosen.get("until")).moments(bank.settings.time_zone)
    async with bank.engine.connect() as connection:
        row = await funds.require(connection, bank.book_id, fund_id, **asker(request, READERS))
        lines, following = await funds.statement(
            connection,
            bank.book_id,
            fund_id,
            before=numbered_cursor(request),
            limit=limit_of(request, 30),
            since=since,
            until=until,
        )
        points = await purses.fund_balances(connection, bank.book_id, [fund_id])
    return office(
        request,
        "admin/fund.html",
        "/admin/funds",
        tried,
        fund=row,
        points=points[fund_id],
        lines=lines,
        following=following,
        chosen=chosen,
        # The list itself is asked for by moments.
        moments={"since": since and since.isoformat(), "until": until and until.isoformat()},
    )


@post("/admin/funds/{fund_id:uuid}", status_code=303)
async def fill_fund(request: AnyRequest, fund_id: FromPath[UUID]) -> Response[Any]:
    """Put points into a fund."""
    tried = await try_form(request, deeds.fill_fund, fund_id)
    return await fund_page(request, fund_id, tried) if tried.problem else go(f"/admin/funds/{fund_id}", saved="1")


@get("/admin/trail")
async def read_trail(request: AnyRequest) -> Response[Any]:
    """Who changed what in the branch, and when."""
    session, bank, spoken = reader(request, *READERS), bank_of(request), speaker(request)
    chosen = query_of(request, "actor", "action", "subject", "since", "until")
    since, until = day(chosen.get("since"), spoken), day(chosen.get("until"), spoken)
    by, subject_id = as_id(chosen.get("actor")), as_id(chosen.get("subject"))
    # As the list for programs has them.
    asked = {
        "actor_id": by,
        "action": chosen.get("action"),
        "subject_id": subject_id,
        "since": since.isoformat() if since else None,
        "until": (until + timedelta(days=1)).isoformat() if until else None,
    }
    now = bank.clock()
    async with bank.engine.connect() as connection:
        page = await trail.search(
            connection,
            bank.book_id,
            actor_id=session.member_id,
            now=now,
            by=by,
            action=chosen.get("action"),
            subject_id=subject_id,
            since=since,
            until=until + timedelta(days=1) if until else None,
            before=cursor_of(request),
            limit=limit_of(request, 30),
        )
        personal = await trail.personal(
            connection, bank.book_id, bank.keys, page.rows, actor_id=session.member_id, now=now
        )
        mentioned = set(ids_in(page.rows))
        things = await trail.names(connection, bank.book_id, mentioned)
        people = await members.names(connection, bank.book_id, bank.keys, mentioned - set(things))
    named = {id: spoken.pick(*names) for id, names in things.items()} | people
    return office(
        request,
        "admin/trail.html",
        "/admin/trail",
        entries=[trail_words.told(spoken, row, personal.get(row.id), named) for row in page.rows],
        following=page.following,
        chosen=chosen,
        asked=asked,
        actions=[(code, spoken.gettext(words)) for code, words in trail_words.ACTIONS.items()],
    )


def day(text: str | None, spoken: Language) -> datetime | None:
    """The beginning of a day of the community; None for what is no day."""
    try:
        return datetime.strptime(text or "", "%Y-%m-%d").replace(tzinfo=spoken.zone)
    except ValueError:
        return None


def ids_in(entries: Any) -> Iterator[UUID]:
    """Every id that entries speak of."""
    for entry in entries:
        yield entry.subject_id
        if entry.actor_id:
            yield entry.actor_id
        for facts in (entry.before, entry.after):
            for value in (facts or {}).values():
                if isinstance(value, str) and (id := as_uuid(value)):
                    yield id


handlers = [fund_list, add_fund, one_fund, fill_fund, read_trail]
