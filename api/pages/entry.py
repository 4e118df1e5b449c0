"""The door: home, signing in and out, the language, the bank's own files."""

from datetime import timedelta
from typing import Annotated, Any

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery, QueryParameter
from litestar.response import Redirect

from api import text_size
from api.auth import address_of, sign_in_with, sign_out_from, visitor_of
from api.language import COOKIE, TAGS
from api.pages import words
from api.pages.assets import FILES, media_type, packed
from api.pages.forms import Form
from api.pages.leaving import offered
from api.pages.page import AnyRequest, go, holds_role, inside, show, speaker
from api.problems import Problem, problem_of
from api.rest.passkeys import has_place
from api.sentences import sentence
from api.state import bank_of
from timebank import (
    cards,
    catalogue,
    consents,
    demo,
    explain,
    inquiries,
    members,
    passkeys,
    records,
    sessions,
    signing_in,
    sms,
)
from timebank.errors import BankError
from timebank.records import QUEUE_ROLES
from timebank.sms import LocalSender

YEAR_SECONDS = 365 * 24 * 3600
ROLE_ICONS = {"volunteer": "person", "manager": "verify", "clerk": "counter", "admin": "city", "auditor": "audit"}
PREVIEW = 3


@get("/static/{digest:str}/{name:str}")
async def own_file(request: AnyRequest, digest: FromPath[str], name: FromPath[str]) -> Response[bytes]:
    """A style sheet, script or picture of ours. `digest` is there for browsers, which may keep the file for ever."""
    if name not in FILES:
        raise Problem("not_found")
    headers = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}
    # The same for everybody and nobody's secret, so that its size may be small.
    small = packed(name) if "gzip" in request.headers.get("accept-encoding", "") else None
    if small is not None:
        headers["Content-Encoding"] = "gzip"
    return Response(small or FILES[name], media_type=media_type(name), headers=headers)


@get("/")
async def home(request: AnyRequest) -> Response[Any]:
    """A volunteer's own page; who is not signed in is welcomed and asked to."""
    session = visitor_of(request).session
    if session is None:
        return sign_in_page(request, following="/")
    bank, now = bank_of(request), bank_of(request).clock()
    async with bank.engine.connect() as connection:
        name = (await members.names(connection, bank.book_id, bank.keys, [session.member_id])).get(session.member_id)
        balance = await explain.balance(connection, bank.book_id, session.member_id, now)
        mine = await records.mine(connection, bank.book_id, session.member_id, limit=PREVIEW)
        stay = await records.open_stay(connection, bank.book_id, session.member_id)
        scans = await cards.to_confirm(connection, bank.book_id, session.member_id)
        codes = await catalogue.to_collect(connection, bank.book_id, session.member_id, now=now)
        standing = await consents.standing(connection, bank.book_id, session.member_id)
        waiting, questions = None, 0
        if holds_role(session, *QUEUE_ROLES):
            waiting = await records.queue_sums(connection, bank.book_id, actor_id=session.member_id, now=now)
            questions = await inquiries.count(connection, bank.book_id, actor_id=session.member_id, now=now)
        # Whoever has an office and has just come in another way is asked to add one.
        asked = bool(session.grants) and not session.by_passkey and now - session.created_at <= passkeys.FRESH
        asked = asked and has_place(request) and not await passkeys.count(connection, bank.book_id, session.member_id)
    return show(
        request,
        "volunteer/home.html",
        way="/",
        name=name or "",
        balance=balance,
        records=mine.rows,
        open=stay,
        open_minutes=(now - stay.started_at) // timedelta(minutes=1) if stay else 0,
        codes=codes,
        scans=[] if session.helper_id else scans.rows,
        text_changed=not session.helper_id and any(each.is_outdated for each in standing),
        waiting=waiting,
        questions=questions,
        asks_for_passkey=asked,
        duties={grant.role for grant in session.grants},
    )


@get("/sign-in")
async def sign_in(
    request: AnyRequest,
    by: FromQuery[str] = "password",
    next_page: Annotated[str, QueryParameter(name="next")] = "/",
) -> Response[Any]:
    """The page to sign in, by password or by a code sent to the phone."""
    if visitor_of(request).session is not None:
        return go(inside(next_page))
    return sign_in_page(request, following=inside(next_page), by=by)


def sign_in_page(
    request: AnyRequest,
    *,
    following: str,
    by: str = "password",
    phone: str = "",
    sent: bool = False,
    error: Exception | None = None,
) -> Response[Any]:
    """The page to sign in, with what went wrong."""
    bank, spoken = bank_of(request), speaker(request)
    problem = problem_of(error) if error else None
    people = [
        {
            "role": words.of(words.ROLES, spoken, person.role),
            "icon": ROLE_ICONS[person.role],
            "name": person.name,
            "phone": person.phone,
            "password": person.password,
        }
        for person in (demo.SIGN_INS if bank.settings.demo else ())
    ]
    return show(
        request,
        "sign_in/sign_in.html",
        takes_passkeys=has_place(request),
        outside=offered(request),
        status=problem.status if problem else 200,
        refusal=sentence(problem.code, spoken.tag, problem.data) if problem else None,
        people=people,
        by=by,
        sent=sent,
        phone=phone,
        next=following,
        last_code=last_code(bank.sender, phone) if sent else None,
    )


def last_code(sender: sms.Sender, phone: str, mail: str = "") -> str | None:
    """The code that was just sent to a phone or by mail, in a demo, where no message arrives anywhere."""
    return sender.last_code(members.normal_phone(phone) if phone else mail) if isinstance(sender, LocalSender) else None


@post("/sign-in", status_code=303)
async def sign_in_by_password(request: AnyRequest) -> Response[Any]:
    """Sign in with phone number and password."""
    form, bank = await Form.of(request), bank_of(request)
    following, phone = inside(form.text("next")), form.text("phone")
    try:
        token, _ = await signing_in.sign_in_by_password(
            bank.engine,
            bank.book_id,
            bank.keys,
            phone=phone,
            password=form.checked("password", form.fields.get("password", "")),
            address=address_of(request),
            now=bank.clock(),
        )
    except BankError as error:
        return sign_in_page(request, following=following, phone=phone, error=error)
    return sign_in_with(request, go(following), token)


@post("/sign-in/code", status_code=303)
async def send_code(request: AnyRequest) -> Response[Any]:
    """Send six digits to a phone. The answer is a page: nothing was changed that reloading would repeat unseen."""
    form, bank = await Form.of(request), bank_of(request)
    following, phone = inside(form.text("next")), form.text("phone")
    try:
        await signing_in.send_phone_code(
            bank.engine,
            bank.book_id,
            bank.keys,
            phone=phone,
            address=address_of(request),
            now=bank.clock(),
            sender=bank.sender,
        )
    except BankError as error:
        return sign_in_page(request, following=following, by="code", phone=phone, error=error)
    if bank.settings.demo:
        # Shown on the next page, so it has to be there by then.
        await sms.all_sent()
    return sign_in_page(request, following=following, by="code", phone=phone, sent=True)


@post("/sign-in/code/check", status_code=303)
async def sign_in_by_code(request: AnyRequest) -> Response[Any]:
    """Sign in with the six digits that were sent."""
    form, bank = await Form.of(request), bank_of(request)
    following, phone = inside(form.text("next")), form.text("phone")
    try:
        token, _ = await signing_in.sign_in_by_code(
            bank.engine,
            bank.book_id,
            bank.keys,
            phone=phone,
            digits=form.text("digits").replace(" ", ""),
            address=address_of(request),
            now=bank.clock(),
        )
    except BankError as error:
        return sign_in_page(request, following=following, by="code", phone=phone, sent=True, error=error)
    return sign_in_with(request, go(following), token)


@post("/sign-out", status_code=303)
async def sign_out(request: AnyRequest) -> Response[Any]:
    """End this browser's session; whoever takes the phone over goes on where it was."""
    form = await Form.of(request)
    return await sign_out_from(request, go(inside(form.text("next"))))


@post("/language", status_code=303)
async def choose_language(request: AnyRequest) -> Redirect:
    """Another language, for this browser and, when signed in, for the member's messages."""
    form, bank = await Form.of(request), bank_of(request)
    tag = form.text("language")
    if tag not in TAGS:
        raise Problem("invalid", {"field": "language", "reason": "unknown"})
    session = visitor_of(request).session
    if session is not None:
        async with bank.engine.begin() as connection:
            await sessions.set_locale(connection, bank.book_id, session.person_id, tag)
    answer = go(inside(form.text("next")))
    answer.set_cookie(COOKIE, tag, max_age=YEAR_SECONDS, path="/", httponly=True, samesite="lax")
    return answer


@post("/text-size", status_code=303)
async def choose_size(request: AnyRequest) -> Redirect:
    """Larger text, or smaller again, for this browser."""
    form = await Form.of(request)
    size = form.text("size")
    if size not in text_size.SIZES:
        raise Problem("invalid", {"field": "size", "reason": "unknown"})
    answer = go(inside(form.text("next")))
    answer.set_cookie(text_size.COOKIE, size, max_age=YEAR_SECONDS, path="/", httponly=True, samesite="lax")
    return answer


@post("/demo/clock", status_code=303)
async def move_clock(request: AnyRequest) -> Redirect:
    """Move the clock of a demo ahead, so that a morning's service need not take a morning."""
    bank, form = bank_of(request), await Form.of(request)
    if not bank.settings.demo:
        raise Problem("not_found")
    minutes = form.integer("minutes", 1, 60 * 24 * 31)
    bank.move_clock(timedelta(minutes=minutes or 120))
    return go(inside(form.text("next")))


handlers = [
    own_file,
    home,
    sign_in,
    sign_in_by_password,
    send_code,
    sign_in_by_code,
    sign_out,
    choose_language,
    choose_size,
    move_clock,
]
