"""What members see of what is stored about them, correct, agree to and withdraw."""

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from litestar import Response
from msgspec import Meta

from api.auth import address_of, member_of, visitor_of
from api.rest.deeds import Doing, doing
from api.rest.members import MemberCommand, Phone
from api.rest.operation import (
    Answered,
    AnyRequest,
    Body,
    ListPage,
    Operation,
    ShortText,
    body_of,
    choice_query,
    following,
    give,
    limit_of,
    ranked_cursor,
    reading,
    writing,
)
from api.rest.sessions import Sent, SignedIn, signed_in
from api.state import bank_of
from timebank import consents, members, minors, own, own_data, readings, signing_in
from timebank.consents import Standing
from timebank.errors import Invalid

Purpose = Literal["service", "location", "honour"]
Password = Annotated[str, Meta(max_length=1024)]


class Consent(Answered, frozen=True):
    """One thing that a person may agree to, and where they stand on it."""

    purpose: str
    number: int
    """Of the text in use."""
    title_zh: str
    title_en: str
    text_zh: str
    text_en: str
    agreed: bool | None
    """null: never asked."""
    answered_number: int | None
    """Of the text that was answered."""
    answered_at: datetime | None


class Consents(Answered, frozen=True):
    """Everything that a person may agree to, each by itself."""

    consents: list[Consent]


class ConsentAnswer(Body, frozen=True):
    """Yes or no to one purpose."""

    id: UUID
    """UUID version 7, made by the sender and kept until there is an answer."""
    purpose: Purpose
    agreed: bool
    number: Annotated[int, Meta(ge=1, le=1000)] | None = None
    """Which version of the text was read. Who agrees names it, and agrees to the one in use alone; who withdraws may
    leave it out."""


class NewName(Body, frozen=True):
    """What a member is really called."""

    id: UUID
    """UUID version 7, made by the sender and kept until there is an answer."""
    name: ShortText


class NewAddress(Body, frozen=True):
    """The number, or the mail address, that shall be the member's: one of the two."""

    phone: Phone = ""
    mail: ShortText = ""


class ProvedAddress(Body, frozen=True):
    """The number or the mail address, and the digits that were sent to it."""

    digits: Annotated[str, Meta(pattern="^[0-9]{6}$")]
    phone: Phone = ""
    mail: ShortText = ""


class NewPassword(Body, frozen=True):
    """A password, and the one before where there is one."""

    password: Password
    present: Password = ""


class Look(Answered, frozen=True):
    """Somebody of the staff looked at a person's data; once a day for each reader and kind."""

    day: date
    reader: str | None
    what: str
    """file, search, record or statement."""


class Looks(ListPage, frozen=True):
    """One page of who looked, the latest day first."""

    looks: list[Look]


class MyData(Answered, frozen=True):
    """Everything that is stored about a person; what is in it is in the page about privacy."""

    data: dict[str, Any]


def shaped(standing: Standing) -> Consent:
    """Where somebody stands, for a program."""
    text = standing.text
    return Consent(
        purpose=text.purpose,
        number=text.number,
        title_zh=text.title_zh,
        title_en=text.title_en,
        text_zh=text.zh,
        text_en=text.en,
        agreed=standing.agreed,
        answered_number=standing.number,
        answered_at=standing.at,
    )


@reading("/me/data", Operation(MyData))
async def my_data(request: AnyRequest) -> Response[Any]:
    """Everything that the bank stores about who is signed in."""
    return give(MyData(data=await data_of(request)))


async def data_of(request: AnyRequest) -> dict[str, Any]:
    """What is stored about who is signed in, from one moment."""
    bank, member_id = bank_of(request), member_of(request).member_id
    async with bank.engine.connect() as connection:
        await connection.execution_options(isolation_level="REPEATABLE READ")
        return await own_data.gathered(connection, bank.book_id, bank.keys, member_id, bank.clock())


@reading("/me/looks", Operation(Looks, refusals=("cursor_invalid", "invalid"), query=("look", "cursor", "limit")))
async def my_looks(request: AnyRequest) -> Response[Any]:
    """Who of the staff looked at the data of who is signed in."""
    bank, member_id = bank_of(request), member_of(request).member_id
    async with bank.engine.connect() as connection:
        page = await readings.of(
            connection,
            bank.book_id,
            member_id,
            what=choice_query(request, "look", readings.KINDS),
            before=ranked_cursor(request),
            limit=limit_of(request),
        )
        names = await members.names(connection, bank.book_id, bank.keys, {row.reader_id for row in page.rows})
    looks = [Look(day=row.day, reader=names.get(row.reader_id), what=row.what) for row in page.rows]
    return give(Looks(looks=looks, following=following(page.following)))


@reading("/me/consents", Operation(Consents))
async def my_consents(request: AnyRequest) -> Response[Any]:
    """What one may agree to, and what one did."""
    bank, member_id = bank_of(request), member_of(request).member_id
    async with bank.engine.connect() as connection:
        found = await consents.standing(connection, bank.book_id, member_id)
    return give(Consents(consents=[shaped(each) for each in found]))


@doing("/me/consents", ConsentAnswer, refusals=("guardian_answers",))
async def answer_consent(deed: Doing[ConsentAnswer]) -> None:
    """Agree to something, or withdraw. It takes effect at once; a yes says the `number` of the text that was read. Of
    who is under 14, a guardian agrees."""
    if deed.body.agreed and deed.guardian_id is None:
        await minors.require_own_yes(deed.connection, deed.bank.book_id, deed.bank.keys, deed.actor_id, deed.now)
    await answered(deed, deed.actor_id, deed.guardian_id or deed.actor_id)


@doing("/members/{member_id:uuid}/consents", ConsentAnswer)
async def enter_consent(deed: Doing[ConsentAnswer]) -> None:
    """Enter what a member signed on paper; a yes says the `number` of the text."""
    await answered(deed, deed.subject, deed.actor_id)


async def answered(deed: Doing[ConsentAnswer], member_id: UUID, by: UUID) -> None:
    """Keep an answer. `invalid` (number, reason `missing`) for a yes that does not say which text was read."""
    if deed.body.agreed and deed.body.number is None:
        raise Invalid(field="number", reason="missing")
    await consents.answer(
        deed.connection,
        deed.bank.book_id,
        member_id,
        purpose=deed.body.purpose,
        number=deed.body.number or consents.in_use(deed.body.purpose).number,
        agreed=deed.body.agreed,
        id=deed.id,
        actor_id=by,
        now=deed.now,
    )


@doing("/me/name", NewName)
async def rename_me(deed: Doing[NewName]) -> None:
    """Correct one's own name."""
    await own.rename(deed.connection, deed.bank.book_id, deed.bank.keys, deed.actor_id, deed.body.name, now=deed.now)


@writing("/me/address-proofs", Operation(Sent, NewAddress, 202, ("try_later",)))
async def prove(request: AnyRequest) -> Response[Any]:
    """Send six digits to the number or the mail address that shall be one's own."""
    body, bank, session = await body_of(request, NewAddress), bank_of(request), member_of(request)
    await own.prove(
        bank.engine,
        bank.book_id,
        bank.keys,
        session.member_id,
        phone=body.phone,
        mail=body.mail,
        address=address_of(request),
        locale=session.locale,
        now=bank.clock(),
        sender=bank.sender,
    )
    return give(Sent(seconds=int(signing_in.CODE_LIFE.total_seconds())), 202)


@writing("/me/address", Operation(SignedIn, ProvedAddress, 201, ("sign_in_refused", "try_later", "phone_taken")))
async def change_address(request: AnyRequest) -> Response[Any]:
    """Make a number or a mail address one's own by the digits that were sent to it. Every session ends, and a new one
    begins; a guardian, who changes a child's, goes on in the present one."""
    body, bank, member_id = await body_of(request, ProvedAddress), bank_of(request), member_of(request).member_id
    token = await own.change_address(
        bank.engine,
        bank.book_id,
        bank.keys,
        member_id,
        phone=body.phone,
        mail=body.mail,
        digits=body.digits,
        address=address_of(request),
        guardian=member_of(request).guardian_id is not None,
        now=bank.clock(),
    )
    return signed_in(request, token or visitor_of(request).token or "", member_id)


@doing("/me/mail-removal", MemberCommand)
async def forget_my_mail(deed: Doing[MemberCommand]) -> None:
    """Take one's mail address away: codes go to the phone from now on."""
    await own.forget_mail(deed.connection, deed.bank.book_id, deed.bank.keys, deed.actor_id, now=deed.now)


@writing("/me/password", Operation(SignedIn, NewPassword, 201, ("sign_in_refused", "try_later", "password_weak")))
async def change_password(request: AnyRequest) -> Response[Any]:
    """Choose a password. Every session ends, and a new one begins; a guardian, who chooses a child's, goes on in the
    present one."""
    body, bank, member_id = await body_of(request, NewPassword), bank_of(request), member_of(request).member_id
    token = await own.change_password(
        bank.engine,
        bank.book_id,
        bank.keys,
        member_id,
        present=body.present,
        password=body.password,
        guardian=member_of(request).guardian_id is not None,
        now=bank.clock(),
    )
    return signed_in(request, token or visitor_of(request).token or "", member_id)


DEEDS = (answer_consent, enter_consent, rename_me, forget_my_mail)
handlers = [
    my_data,
    my_looks,
    my_consents,
    prove,
    change_address,
    change_password,
    *(deed.route for deed in DEEDS),
]
