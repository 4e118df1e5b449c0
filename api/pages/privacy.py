"""What is a member's own as a person: what the bank knows, correcting it, what they agree to, being forgotten."""

from collections.abc import Awaitable
from datetime import date
from typing import Any
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath

from api.auth import address_of, sign_in_with
from api.bodies import complaint
from api.language import mark
from api.pages import words
from api.pages.entry import last_code
from api.pages.forms import Form
from api.pages.page import AnyRequest, Shown, go, holds_role, member, show, speaker
from api.pages.trying import Tried, try_form
from api.pages.words import look_words
from api.paper import my_data, press
from api.problems import Problem, problem_of
from api.rest import erasures as erasure_deeds
from api.rest import joining as child_deeds
from api.rest import privacy as deeds
from api.rest.deeds import carry_out
from api.rest.operation import choice_query, text_query
from api.sentences import sentence
from api.state import bank_of
from timebank import (
    consents,
    erasing,
    guardians,
    honours,
    identities,
    joining,
    members,
    minors,
    own,
    own_data,
    read_tokens,
    readings,
    sms,
    vault,
)
from timebank.clock import local_day
from timebank.cursors import Ranked
from timebank.errors import BankError
from timebank.ids import uuid7

WAY = "/privacy"
DONE = {
    "erasure": mark("Your wish is on record. An administrator carries it out; until then you can take it back."),
    "kept": mark("You stay. Nothing was erased."),
    "name": mark("Your name is corrected."),
    "phone": mark("The new number is yours. You sign in with it from now on."),
    "mail": mark("Your sign-in codes come by mail from now on."),
    "no-mail": mark("Your mail address is forgotten. Codes go to your phone from now on."),
    "child": mark("Your child is a member now."),
    "password": mark("Your new password counts from now on. Other devices were signed out."),
    "consent": mark("Your answer counts from now on."),
}
# Why somebody who agreed to be named is not.
UNNAMED = {
    "born_unknown": mark(
        "You are not named yet, because the bank does not know when you were born. Show your papers at the community"
        " office: an administrator enters the date."
    ),
    "under_age": mark("Nobody under 18 is named."),
    "suspended": mark("You are not named while your membership is suspended."),
    "leaving": mark("You are not named, because you are to be erased."),
    "agreed_under_age": mark(
        "This yes was given before the 18th birthday and does not count any more. Please answer again."
    ),
}
LOOKS_SHOWN = 20
NOT_DONE = mark("Nothing was changed")


@get(WAY)
async def privacy(request: AnyRequest) -> Response[Any]:
    """The page, with what became of a form."""
    spoken, words = speaker(request), DONE.get(request.query_params.get("done", ""))
    done = Shown(False, spoken.gettext("Done"), spoken.gettext(words)) if words else None
    return await privacy_page(request, done, before=text_query(request, "before"))


async def privacy_page(
    request: AnyRequest,
    answer: Shown | None,
    *,
    status: int = 200,
    phone: str = "",
    mail: str = "",
    sent: bool = False,
    before: str | None = None,
) -> Response[Any]:
    """What the bank knows of who is signed in, and what they can do about it."""
    session, bank, spoken = member(request), bank_of(request), speaker(request)
    look = choice_query(request, "look", ("", *readings.KINDS))
    async with bank.engine.connect() as connection:
        row = await members.by_id(connection, bank.book_id, session.member_id)
        person = await members.personal(connection, bank.book_id, bank.keys, session.member_id)
        children = await guardians.children(connection, bank.book_id, session.member_id, bank.clock())
        wish = await erasing.waiting(connection, bank.book_id, session.member_id)
        standing = await consents.standing(connection, bank.book_id, session.member_id)
        document = await identities.of(connection, bank.book_id, bank.keys, session.member_id)
        looks = await readings.of(
            connection,
            bank.book_id,
            session.member_id,
            what=look or None,
            before=Ranked.read(before),
            limit=LOOKS_SHOWN,
        )
        names = await members.names(connection, bank.book_id, bank.keys, {look.reader_id for look in looks.rows})
        _, acting = await minors.of(connection, bank.book_id, bank.keys, row, bank.clock())
        guardian_agrees = session.guardian_id is None and await minors.needs_guardian_to_agree(
            connection, bank.book_id, bank.keys, session.member_id, bank.clock()
        )
    born, why = (person or {}).get("born"), None
    for each in standing:
        if each.text.purpose == consents.HONOUR and each.agreed and each.at:
            today = local_day(bank.clock(), spoken.zone)
            why = honours.hindrance(born, each.at, today, spoken.zone, state=row.state, leaving=wish is not None)
    return show(
        request,
        "volunteer/privacy.html",
        status=status,
        way=WAY,
        answer=answer,
        person={"mail": None, **(person or {})},
        has_password=row.password_hash is not None,
        has_office=bool(session.grants),
        has_outside=bool(bank.outside),
        makes_tokens=holds_role(session, *read_tokens.ROLES),
        member_id=session.member_id,
        children=[(row, (vault.unseal(bank.keys, row) or {}).get("name")) for row in children],
        purposes=[consents.in_use(purpose) for purpose in consents.PURPOSES],
        needed=joining.NEEDED,
        wish=wish,
        born=date.fromisoformat(born) if born else None,
        unnamed=spoken.gettext(UNNAMED[why]) if why else None,
        agrees_anew=why == "agreed_under_age",
        guardian_agrees=guardian_agrees,
        guardian_until=acting[-1].until if acting else None,
        standing=standing,
        document=document,
        document_name=words.of(words.DOCUMENTS, spoken, document.kind) if document else "",
        looks=[(look, names.get(look.reader_id), look_words(look.what, spoken)) for look in looks.rows],
        look=look,
        look_kinds=[(kind, look_words(kind, spoken)) for kind in readings.KINDS],
        older=f"{WAY}?{f'look={look}&' if look else ''}before={looks.following}#looks" if looks.following else None,
        newest=before is None,
        phone=phone,
        mail=mail,
        # Without a server for it, an address would be of no use.
        takes_mail=bank.settings.mail_url is not None or bank.settings.demo,
        sent=sent,
        last_code=last_code(bank.sender, phone, mail) if sent else None,
        new_id=lambda: uuid7(bank.clock()),
    )


async def settled(request: AnyRequest, tried: Tried, done: str) -> Response[Any]:
    """Back to the page after a form: what was done, or why not."""
    return go(WAY, done=done) if tried.problem is None else await told(request, tried.problem)


async def told(request: AnyRequest, problem: Problem, **more: Any) -> Response[Any]:
    """The page, saying why nothing was changed."""
    spoken = speaker(request)
    words = sentence(problem.code, spoken.tag, problem.data)
    return await privacy_page(request, Shown(True, spoken.gettext(NOT_DONE), words), status=problem.status, **more)


@get("/privacy/data.pdf")
async def paper(request: AnyRequest) -> Response[Any]:
    """The same in plain words, to read and to print."""
    bank, spoken = bank_of(request), speaker(request)
    found = await deeds.data_of(request)
    async with bank.engine.connect() as connection:
        home = await own_data.home(connection, bank.book_id, member(request).member_id)
    sheet = my_data.data(spoken, found, spoken.pick(home.name_zh, home.name_en), bank.clock())
    return await press.printed("my-data", sheet, "my-data")


@get("/privacy/data.json")
async def data(request: AnyRequest) -> Response[bytes]:
    """Everything that is stored about who is signed in, as a file."""
    found = msgspec.json.format(msgspec.json.encode(await deeds.data_of(request)), indent=2)
    headers = {"Content-Disposition": 'attachment; filename="my-data.json"'}
    return Response(found, media_type="application/json", headers=headers)


@post("/privacy/consents", status_code=303)
async def answer_consent(request: AnyRequest) -> Response[Any]:
    """Agree to something, or withdraw."""
    return await settled(request, await try_form(request, deeds.answer_consent), "consent")


@post("/privacy/children", status_code=303)
async def add_child(request: AnyRequest) -> Response[Any]:
    """Join one's child."""
    form = await Form.of(request)
    body = {"id": form.text("id"), "name": form.text("name"), "born": form.text("born"), "agreed": form.texts("agreed")}
    try:
        taken = msgspec.convert(body, child_deeds.NewChild)
    except msgspec.ValidationError as error:
        return await told(request, Problem("invalid", complaint(str(error))))
    answer = await carry_out(bank_of(request), child_deeds.add_child, member(request).member_id, taken, None)
    return await told(request, Problem(answer.code, answer.data)) if answer.refused else go(WAY, done="child")


@post("/privacy/children/{child_id:uuid}", status_code=303)
async def act_for_child(request: AnyRequest, child_id: FromPath[UUID]) -> Response[Any]:
    """Go on as one's child: a bar on every page says so, and ends it."""
    return sign_in_with(request, go("/"), await child_deeds.begun(request, child_id))


@post("/privacy/name", status_code=303)
async def rename(request: AnyRequest) -> Response[Any]:
    """Correct one's name."""
    return await settled(request, await try_form(request, deeds.rename_me), "name")


@post("/privacy/address", status_code=303)
async def prove(request: AnyRequest) -> Response[Any]:
    """Send digits to a new number or mail address. The answer is a page, as when signing in."""
    session, bank, form = member(request), bank_of(request), await Form.of(request)
    typed = {"phone": form.text("phone"), "mail": form.text("mail")}
    try:
        await own.prove(
            bank.engine,
            bank.book_id,
            bank.keys,
            session.member_id,
            **typed,
            address=address_of(request),
            locale=session.locale,
            now=bank.clock(),
            sender=bank.sender,
        )
    except BankError as error:
        return await told(request, problem_of(error), **typed)
    if bank.settings.demo:
        # Shown on the next page, so it has to be there by then.
        await sms.all_sent()
    return await privacy_page(request, None, phone=typed["phone"], mail=typed["mail"], sent=True)


@post("/privacy/address/proof", status_code=303)
async def change_address(request: AnyRequest) -> Response[Any]:
    """Make a number or a mail address one's own by the digits that were sent to it."""
    session, bank, form = member(request), bank_of(request), await Form.of(request)
    typed = {"phone": form.text("phone"), "mail": form.text("mail")}
    changing = own.change_address(
        bank.engine,
        bank.book_id,
        bank.keys,
        session.member_id,
        **typed,
        digits=form.text("digits").replace(" ", ""),
        address=address_of(request),
        guardian=session.guardian_id is not None,
        now=bank.clock(),
    )
    return await anew(request, changing, "phone" if typed["phone"] else "mail", **typed, sent=True)


@post("/privacy/mail/removal", status_code=303)
async def forget_mail(request: AnyRequest) -> Response[Any]:
    """Take one's mail address away."""
    return await settled(request, await try_form(request, deeds.forget_my_mail), "no-mail")


@post("/privacy/password", status_code=303)
async def change_password(request: AnyRequest) -> Response[Any]:
    """Choose a password."""
    session, bank, form = member(request), bank_of(request), await Form.of(request)
    changing = own.change_password(
        bank.engine,
        bank.book_id,
        bank.keys,
        session.member_id,
        present=form.checked("present", form.fields.get("present", "")),
        password=form.checked("password", form.fields.get("password", "")),
        guardian=session.guardian_id is not None,
        now=bank.clock(),
    )
    return await anew(request, changing, "password")


async def anew(request: AnyRequest, changing: Awaitable[str | None], done: str, **more: Any) -> Response[Any]:
    """Change what signs somebody in, and go on in the session that begins with it, if one does; or say why not."""
    try:
        token = await changing
    except BankError as error:
        return await told(request, problem_of(error), **more)
    return sign_in_with(request, go(WAY, done=done), token) if token else go(WAY, done=done)


@post("/privacy/erasure", status_code=303)
async def ask_to_be_erased(request: AnyRequest) -> Response[Any]:
    """Ask to be erased."""
    return await settled(request, await try_form(request, erasure_deeds.ask_my_erasure), "erasure")


@post("/privacy/erasure/withdrawal", status_code=303)
async def stay(request: AnyRequest) -> Response[Any]:
    """Take the wish back."""
    return await settled(request, await try_form(request, erasure_deeds.withdraw_my_erasure), "kept")


handlers = [
    privacy,
    data,
    paper,
    answer_consent,
    add_child,
    act_for_child,
    rename,
    prove,
    change_address,
    forget_mail,
    change_password,
    ask_to_be_erased,
    stay,
]
