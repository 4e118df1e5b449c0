"""Ways in for whoever is new: joining from a station's poster, and the first password with a code on paper."""

from datetime import date
from typing import Any

from litestar import Response, get, post

from api.auth import address_of, sign_in_with, visitor_of
from api.pages.entry import last_code
from api.pages.forms import Form
from api.pages.page import AnyRequest, go, show, speaker
from api.pages.scanned import kept
from api.problems import problem_of
from api.sentences import sentence
from api.state import bank_of
from timebank import activations, consents, joining, sms
from timebank.errors import BankError, Invalid
from timebank.joining import Newcomer


@get("/join")
async def join_form(request: AnyRequest) -> Response[Any]:
    """The form to join, for whoever scanned a poster."""
    if visitor_of(request).session is not None:
        return go("/")
    return await join_page(request, kept(request, "poster"), {})


async def join_page(
    request: AnyRequest, code: str, typed: dict[str, Any], *, sent: bool = False, error: Exception | None = None
) -> Response[Any]:
    """The form, with what was typed and what was wrong with it; or the field for the digits."""
    bank, spoken = bank_of(request), speaker(request)
    async with bank.engine.connect() as connection:
        place = await joining.place_of(connection, bank.book_id, bank.keys, code, bank.clock())
    problem = problem_of(error) if error else None
    return show(
        request,
        "joining/join.html",
        status=problem.status if problem else 200,
        refusal=sentence(problem.code, spoken.tag, problem.data) if problem else None,
        station=spoken.pick(place.name_zh, place.name_en),
        code=code,
        typed={"name": "", "phone": "", "born": "", "agreed": [], **typed},
        purposes=[consents.in_use(purpose) for purpose in consents.PURPOSES],
        needed=joining.NEEDED,
        sent=sent,
        last_code=last_code(bank.sender, typed["phone"]) if sent else None,
    )


async def read(request: AnyRequest) -> tuple[Form, str, dict[str, Any]]:
    """The form, the poster's code, and what was typed."""
    form = await Form.of(request)
    typed = {name: form.text(name) for name in ("name", "phone", "born")}
    return form, form.text("code"), {**typed, "agreed": form.texts("agreed")}


def newcomer(request: AnyRequest, typed: dict[str, Any]) -> Newcomer:
    """Who wants to join; `invalid` for a day that is none."""
    try:
        born = date.fromisoformat(typed["born"][:10])
    except ValueError:
        raise Invalid(field="born", reason="type") from None
    return Newcomer(
        name=typed["name"],
        phone=typed["phone"],
        born=born,
        agreed=typed["agreed"],
        locale=speaker(request).tag,
    )


@post("/join", status_code=200)
async def ask(request: AnyRequest) -> Response[Any]:
    """Check what was typed, and send digits to the number. The answer is a page, as when signing in."""
    bank, (_, code, typed) = bank_of(request), await read(request)
    try:
        await joining.ask(
            bank.engine,
            bank.book_id,
            bank.keys,
            newcomer(request, typed),
            code=code,
            address=address_of(request),
            now=bank.clock(),
            sender=bank.sender,
        )
    except BankError as error:
        return await join_page(request, code, typed, error=error)
    if bank.settings.demo:
        # Shown on the next page, so it has to be there by then.
        await sms.all_sent()
    return await join_page(request, code, typed, sent=True)


@post("/join/check", status_code=303)
async def join(request: AnyRequest) -> Response[Any]:
    """Join with the digits that came; whoever is a member already is signed in."""
    bank, (form, code, typed) = bank_of(request), await read(request)
    try:
        token, _, _ = await joining.join(
            bank.engine,
            bank.book_id,
            bank.keys,
            newcomer(request, typed),
            code=code,
            digits=form.text("digits").replace(" ", ""),
            address=address_of(request),
            now=bank.clock(),
        )
    except BankError as error:
        return await join_page(request, code, typed, sent=True, error=error)
    return sign_in_with(request, go("/"), token)


@get("/activate")
async def activate_form(request: AnyRequest) -> Response[Any]:
    """The form for a code on paper."""
    if visitor_of(request).session is not None:
        return go("/")
    return activate_page(request, "", None)


def activate_page(request: AnyRequest, phone: str, error: Exception | None) -> Response[Any]:
    """The form, with what was wrong."""
    problem, spoken = problem_of(error) if error else None, speaker(request)
    return show(
        request,
        "joining/activate.html",
        status=problem.status if problem else 200,
        refusal=sentence(problem.code, spoken.tag, problem.data) if problem else None,
        phone=phone,
    )


@post("/activate", status_code=303)
async def activate(request: AnyRequest) -> Response[Any]:
    """Choose the first password with a code on paper."""
    bank, form = bank_of(request), await Form.of(request)
    try:
        token, _ = await activations.use(
            bank.engine,
            bank.book_id,
            bank.keys,
            phone=form.text("phone"),
            code=form.text("code"),
            password=form.checked("password", form.fields.get("password", "")),
            address=address_of(request),
            now=bank.clock(),
        )
    except BankError as error:
        return activate_page(request, form.text("phone"), error)
    return sign_in_with(request, go("/"), token)


handlers = [join_form, ask, join, activate_form, activate]
