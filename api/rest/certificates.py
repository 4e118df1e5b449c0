"""Certificates for programs: ordered, read, and checked by anybody."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from litestar import Response
from litestar.params import FromPath

from api.auth import address_of, member_of
from api.paper import certificate as certificate_paper
from api.periods import period_of
from api.rest.operation import (
    Answered,
    AnyRequest,
    Body,
    ListPage,
    Operation,
    ShortText,
    body_of,
    choice_query,
    command_id,
    cursor_of,
    following,
    give,
    limit_of,
    reading,
    shaped,
    writing,
)
from api.state import Bank, bank_of
from timebank import service_certificates


class OrderedCertificate(Body, frozen=True):
    """Which days it shall certify: both are included, and one that is left out leaves its side open."""

    id: UUID
    since: ShortText | None = None
    until: ShortText | None = None
    member_id: UUID | None = None
    """For whom, where a manager or administrator orders it at the desk; left out, for oneself."""


class CertifiedRecord(Answered, frozen=True):
    """One record, with the fields of Order 67."""

    activity_zh: str
    activity_en: str
    local_day: date
    place: str
    content: str
    minutes: int
    organising_unit: str
    person_in_charge: str
    grade: str
    stands: bool
    """Whether the record still says so."""


class CheckedCertificate(Answered, frozen=True):
    """A certificate, as whoever holds the paper may see it."""

    number: str
    name: str | None
    """The name as printed; null where the person was erased, and then there are no records."""
    since: date | None
    until: date | None
    unit: str
    issued_at: datetime
    minutes: int
    grades: dict[str, int]
    """The minutes of each evidence grade."""
    stands: bool
    """Whether every record on it is still what it was."""
    records: list[CertifiedRecord]


class WholeCertificate(CheckedCertificate, frozen=True):
    """A certificate, as its owner sees it."""

    id: UUID
    code: str
    """What its QR code says; opened, it is the public check."""
    paper: str
    """Where its PDF is."""


class IssuedCertificate(Answered, frozen=True):
    """One of the member's own."""

    id: UUID
    number: str
    since: date | None
    until: date | None
    issued_at: datetime
    stands: bool


class MyCertificates(ListPage, frozen=True):
    """One page of the member's own, the latest first."""

    certificates: list[IssuedCertificate]


def facts(found: service_certificates.Certificate) -> dict[str, Any]:
    """What everybody may see who holds the paper."""
    return {
        "number": certificate_paper.number_words(found.number),
        "name": found.name,
        "since": found.period.since,
        "until": found.period.until,
        "unit": found.unit,
        "issued_at": found.issued_at,
        "minutes": found.minutes,
        "grades": found.grades,
        "stands": found.stands,
        "records": [shaped(line, CertifiedRecord) for line in found.lines] if found.name is not None else [],
    }


def whole(bank: Bank, found: service_certificates.Certificate, paper: str) -> WholeCertificate:
    """What its owner may see."""
    return WholeCertificate(**facts(found), id=found.id, code=certificate_paper.path_of(bank, found), paper=paper)


@reading(
    "/certificates",
    Operation(MyCertificates, refusals=("cursor_invalid", "invalid"), query=("certificate_state", "cursor", "limit")),
)
async def mine(request: AnyRequest) -> Response[Any]:
    """The member's own certificates."""
    bank, member_id = bank_of(request), member_of(request).member_id
    async with bank.engine.connect() as connection:
        page = await service_certificates.mine(
            connection,
            bank.book_id,
            member_id,
            state=choice_query(request, "certificate_state", service_certificates.STATES),
            before=cursor_of(request),
            limit=limit_of(request),
        )
    found = [
        IssuedCertificate(
            id=row.id,
            number=certificate_paper.number_words(row.number),
            since=row.since,
            until=row.until,
            issued_at=row.issued_at,
            stands=row.stands,
        )
        for row in page.rows
    ]
    return give(MyCertificates(certificates=found, following=following(page.following)))


@writing("/certificates", Operation(WholeCertificate, OrderedCertificate, 201, ("not_found", "nothing_to_certify")))
async def order(request: AnyRequest) -> Response[Any]:
    """Certify the verified records of a period: one's own, or those of a member who is served by the caller."""
    bank, body, caller = bank_of(request), await body_of(request, OrderedCertificate), member_of(request)
    member_id = body.member_id or caller.member_id
    async with bank.engine.begin() as connection:
        id = await service_certificates.issue(
            connection,
            bank.book_id,
            bank.keys,
            member_id=member_id,
            period=period_of(body.since, body.until),
            id=command_id(body.id),
            now=bank.clock(),
            actor_id=caller.member_id,
        )
        found = await service_certificates.own(connection, bank.book_id, bank.keys, id, member_id=member_id)
    return give(whole(bank, found, f"/certificates/{id}/paper.pdf"), 201)


@reading("/certificates/{certificate_id:uuid}", Operation(WholeCertificate, refusals=("not_found",)))
async def one(request: AnyRequest, certificate_id: FromPath[UUID]) -> Response[Any]:
    """One of the member's own certificates."""
    bank, member_id = bank_of(request), member_of(request).member_id
    async with bank.engine.connect() as connection:
        found = await service_certificates.own(connection, bank.book_id, bank.keys, certificate_id, member_id=member_id)
    return give(whole(bank, found, f"/certificates/{certificate_id}/paper.pdf"))


@reading(
    "/certificate-checks/{code:str}",
    Operation(CheckedCertificate, refusals=("code_malformed", "code_forged", "not_found", "try_later")),
)
async def check(request: AnyRequest, code: FromPath[str]) -> Response[Any]:
    """Whether a certificate is genuine, what it says, and whether that still stands. Asks for no sign-in."""
    bank = bank_of(request)
    await service_certificates.count_check(bank.engine, bank.book_id, bank.keys, address_of(request), bank.clock())
    async with bank.engine.connect() as connection:
        found = await service_certificates.check(connection, bank.book_id, bank.keys, code)
    return give(CheckedCertificate(**facts(found)))


handlers = [mine, order, one, check]
