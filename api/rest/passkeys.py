"""Passkeys: signing in by one, and a member's own."""

import base64
import binascii
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from litestar import Response
from msgspec import Meta

from api.arrival import parsed
from api.auth import address_of, member_of, visitor_of
from api.problems import Problem
from api.rest.deeds import Doing, doing
from api.rest.members import MemberCommand
from api.rest.operation import (
    Answered,
    AnyRequest,
    Body,
    Operation,
    ShortText,
    body_of,
    command_id,
    give,
    reading,
    writing,
)
from api.rest.sessions import SignedIn, signed_in
from api.state import bank_of
from timebank import members, passkeys
from timebank.passkeys import Assertion, Attestation, Place

# Bytes in base64url without padding, as browsers write them. The longest is what a device says of itself.
Bytes = Annotated[str, Meta(max_length=20_000, pattern="^[A-Za-z0-9_-]*$")]
OF_SIGNING_IN = ("passkey_expired", "passkey_unknown", "passkey_refused", "passkey_copied", "passkey_elsewhere")
OF_ADDING = ("role_not_allowed", "sign_in_again", "passkey_needed", "passkey_elsewhere", "try_later")


class PasskeyChallenge(Answered, frozen=True):
    """What a device shall sign, once."""

    challenge: str
    rp_id: str
    """The name that the passkeys are for."""
    seconds: int
    """For how long it may be answered."""


class PasskeySignIn(Body, frozen=True):
    """What a device has signed."""

    credential: Bytes
    client_data: Bytes
    authenticator_data: Bytes
    signature: Bytes
    user: Bytes = ""


class PasskeyInvitation(Answered, frozen=True):
    """What a device makes a key pair for."""

    challenge: str
    rp_id: str
    user: str
    """What the device keeps to say whose it is; it names nobody."""
    user_name: str
    """What the device shows when it is asked to sign."""
    algorithms: list[int]
    """COSE numbers, the preferred first."""
    known: list[str]
    """The passkeys there are, whose devices make no other."""
    seconds: int


class NewPasskey(Body, frozen=True):
    """What a device has made, and what its owner calls it."""

    id: UUID
    """UUID version 7, made by the sender: the passkey's."""
    name: ShortText
    credential: Bytes
    client_data: Bytes
    attestation: Bytes


class Passkey(Answered, frozen=True):
    """One passkey."""

    id: UUID
    name: str
    added_at: datetime
    used_at: datetime | None


class Passkeys(Answered, frozen=True):
    """All of a member's, the oldest first; there are at most ten."""

    passkeys: list[Passkey]


def place_of(request: AnyRequest) -> Place:
    """Where this browser is, when passkeys can be for it: they are for a name that the operator chose, and for the
    machine's own. `passkey_elsewhere` at an address of numbers, or where another name is the bank's."""
    arrival, chosen = visitor_of(request).arrival, bank_of(request).settings.public_url
    if parsed(arrival.host) is not None or (chosen is not None and arrival.origin != chosen.lower()):
        raise Problem("passkey_elsewhere")
    return Place(arrival.host, arrival.origin)


def has_place(request: AnyRequest) -> bool:
    """Whether passkeys can be used where this browser is."""
    try:
        place_of(request)
    except Problem:
        return False
    return True


def written(value: bytes) -> str:
    """Bytes as browsers write them."""
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def read(value: str) -> bytes:
    """The bytes; `passkey_refused` for what spells none."""
    try:
        return base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
    except (binascii.Error, ValueError):
        raise passkeys.PasskeyRefused() from None


@writing("/passkey-challenges", Operation(PasskeyChallenge, None, 201, ("passkey_elsewhere", "try_later")))
async def ask_for_passkey(request: AnyRequest) -> Response[Any]:
    """Ask for something to sign in with."""
    bank, place = bank_of(request), place_of(request)
    asked = await passkeys.challenge(
        bank.engine, bank.book_id, bank.keys, address=address_of(request), now=bank.clock()
    )
    seconds = int(passkeys.LIFE.total_seconds())
    return give(PasskeyChallenge(challenge=written(asked), rp_id=place.name, seconds=seconds), 201)


@writing("/passkey-sessions", Operation(SignedIn, PasskeySignIn, 201, (*OF_SIGNING_IN, "try_later")))
async def sign_in_by_passkey(request: AnyRequest) -> Response[Any]:
    """Sign in with what a device has signed."""
    body, bank, place = await body_of(request, PasskeySignIn), bank_of(request), place_of(request)
    answer = Assertion(
        credential=read(body.credential),
        client_data=read(body.client_data),
        authenticator_data=read(body.authenticator_data),
        signature=read(body.signature),
        user=read(body.user),
    )
    token, member_id = await passkeys.sign_in(
        bank.engine,
        bank.book_id,
        bank.keys,
        answer,
        place=place,
        address=address_of(request),
        now=bank.clock(),
    )
    return signed_in(request, token, member_id)


@writing("/me/passkey-challenges", Operation(PasskeyInvitation, None, 201, (*OF_ADDING, "invalid")))
async def invite_passkey(request: AnyRequest) -> Response[Any]:
    """Ask for what a device makes a key pair for: soon after signing in."""
    bank, session, place, now = bank_of(request), member_of(request), place_of(request), bank_of(request).clock()
    async with bank.engine.connect() as connection:
        known = await passkeys.may_add(
            connection,
            bank.book_id,
            session.member_id,
            signed_in_at=session.created_at,
            by_passkey=session.by_passkey,
            required=bank.settings.require_passkey,
            now=now,
        )
        names = await members.names(connection, bank.book_id, bank.keys, [session.member_id])
    asked = await passkeys.challenge(
        bank.engine, bank.book_id, bank.keys, address=address_of(request), now=now, member_id=session.member_id
    )
    invitation = PasskeyInvitation(
        challenge=written(asked),
        rp_id=place.name,
        user=written(passkeys.user_handle(bank.keys, session.member_id)),
        user_name=names.get(session.member_id, ""),
        algorithms=[int(number) for number in passkeys.ALGORITHMS],
        known=[written(each) for each in known],
        seconds=int(passkeys.LIFE.total_seconds()),
    )
    return give(invitation, 201)


@writing(
    "/me/passkeys",
    Operation(Passkey, NewPasskey, 201, ("passkey_expired", "passkey_refused", "passkey_there", "passkey_elsewhere")),
)
async def add_passkey(request: AnyRequest) -> Response[Any]:
    """Keep a passkey that a device has made. This session counts as begun by it."""
    body, bank, member_id = await body_of(request, NewPasskey), bank_of(request), member_of(request).member_id
    now, token = bank.clock(), visitor_of(request).token or ""
    await passkeys.add(
        bank.engine,
        bank.book_id,
        bank.keys,
        member_id,
        Attestation(read(body.credential), read(body.client_data), read(body.attestation)),
        id=command_id(body.id),
        name=body.name,
        place=place_of(request),
        token=token,
        now=now,
    )
    bank.recognition.forget(token)
    return give(Passkey(id=body.id, name=body.name.strip(), added_at=now, used_at=None), 201)


@reading("/me/passkeys", Operation(Passkeys))
async def my_passkeys(request: AnyRequest) -> Response[Any]:
    """One's own passkeys."""
    bank = bank_of(request)
    async with bank.engine.connect() as connection:
        rows = await passkeys.of(connection, bank.book_id, bank.keys, member_of(request).member_id)
    found = [Passkey(id=row.id, name=row.name, added_at=row.added_at, used_at=row.used_at) for row in rows]
    return give(Passkeys(passkeys=found))


@doing("/me/passkeys/{passkey_id:uuid}/removal", MemberCommand)
async def remove_passkey(deed: Doing[MemberCommand]) -> None:
    """Take one's own passkey away: it signs nobody in from now on."""
    await passkeys.remove(deed.connection, deed.bank.book_id, deed.subject, actor_id=deed.actor_id, now=deed.now)


handlers = [
    ask_for_passkey,
    sign_in_by_passkey,
    invite_passkey,
    add_passkey,
    my_passkeys,
    remove_passkey.route,
]
