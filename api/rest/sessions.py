"""Signing in and out."""

from typing import Annotated, Any
from uuid import UUID

from litestar import Response
from msgspec import Meta

from api.auth import Visitor, address_of, sign_in_with, sign_out_from, visitor_of
from api.rest.operation import Answered, AnyRequest, Body, Operation, body_of, ending, give, writing
from api.state import bank_of
from timebank import signing_in

Phone = Annotated[str, Meta(max_length=40)]


class PasswordSignIn(Body, frozen=True):
    """A phone number and the password that goes with it."""

    phone: Phone
    password: Annotated[str, Meta(max_length=1024)]


class PhoneCodeRequest(Body, frozen=True):
    """The phone that six digits shall be sent to."""

    phone: Phone


class PhoneCodeSignIn(Body, frozen=True):
    """A phone number and the six digits that were sent to it."""

    phone: Phone
    digits: Annotated[str, Meta(pattern="^[0-9]{6}$")]


class SignedIn(Answered, frozen=True):
    """A session has begun; its cookie came with this answer."""

    member_id: UUID
    csrf: str
    """Goes into the header `X-CSRF-Token` of every write of this session."""


class Sent(Answered, frozen=True):
    """If the number belongs to a member, the digits are on their way. Whether it does is not said."""

    seconds: int
    """For how long the digits work."""


@writing("/sessions", Operation(SignedIn, PasswordSignIn, 201, ("sign_in_refused", "try_later")))
async def sign_in(request: AnyRequest) -> Response[Any]:
    """Sign in with phone number and password."""
    body, bank = await body_of(request, PasswordSignIn), bank_of(request)
    token, member_id = await signing_in.sign_in_by_password(
        bank.engine,
        bank.book_id,
        bank.keys,
        phone=body.phone,
        password=body.password,
        address=address_of(request),
        now=bank.clock(),
    )
    return signed_in(request, token, member_id)


@writing("/phone-codes", Operation(Sent, PhoneCodeRequest, 202, ("try_later",)))
async def send_code(request: AnyRequest) -> Response[Any]:
    """Send six digits to a phone, to sign in with."""
    body, bank = await body_of(request, PhoneCodeRequest), bank_of(request)
    await signing_in.send_phone_code(
        bank.engine,
        bank.book_id,
        bank.keys,
        phone=body.phone,
        address=address_of(request),
        now=bank.clock(),
        sender=bank.sender,
    )
    return give(Sent(seconds=int(signing_in.CODE_LIFE.total_seconds())), 202)


@writing("/phone-codes/sessions", Operation(SignedIn, PhoneCodeSignIn, 201, ("sign_in_refused", "try_later")))
async def sign_in_by_code(request: AnyRequest) -> Response[Any]:
    """Sign in with the digits that were sent."""
    body, bank = await body_of(request, PhoneCodeSignIn), bank_of(request)
    token, member_id = await signing_in.sign_in_by_code(
        bank.engine,
        bank.book_id,
        bank.keys,
        phone=body.phone,
        digits=body.digits,
        address=address_of(request),
        now=bank.clock(),
    )
    return signed_in(request, token, member_id)


def signed_in(request: AnyRequest, token: str, member_id: UUID) -> Response[Any]:
    """The answer that begins a session."""
    csrf = Visitor(visitor_of(request).arrival, token=token).csrf
    return sign_in_with(request, give(SignedIn(member_id=member_id, csrf=csrf), 201), token)


@ending("/session", Operation(None, status=204))
async def sign_out(request: AnyRequest) -> Response[None]:
    """End this session."""
    return await sign_out_from(request, Response(None, status_code=204))


handlers = [sign_in, send_code, sign_in_by_code, sign_out]
