"""The certificate of service 志愿服务记录证明, with the fields of the Ministry of Civil Affairs' Order 67."""

from typing import Any

from api.language import Language, mark
from api.paper.words import BRAND, drawing
from api.state import Bank
from timebank import codes
from timebank.service_certificates import Certificate

TITLE = mark("Certificate of Volunteer Service")
HEADS = (
    mark("Date"),
    mark("Activity and content"),
    mark("Place of service"),
    mark("Organising unit, person in charge"),
    mark("Hours"),
    mark("Grade"),
)


def code_of(bank: Bank, certificate: Certificate) -> str:
    """The code over the number of a certificate."""
    return codes.certificate_code(bank.keys.certificate, certificate.number)


def path_of(bank: Bank, certificate: Certificate) -> str:
    """Where anybody checks it."""
    return f"/V/{code_of(bank, certificate)}"


def number_words(number: int) -> str:
    """The number of a certificate as it stands on the paper, from the code itself: eight characters in two groups."""
    plain = codes.encode(number, 8)
    return f"{plain[:4]}-{plain[4:]}"


def hours(spoken: Language, minutes: int) -> str:
    """Minutes as hours with at most two decimals, rounded down: nobody is certified more than they served."""
    return spoken.hundredths(minutes * 100 // 60)


def declared(spoken: Language, certificate: Certificate, name: str) -> str:
    """The sentence that certifies."""
    first, last = certificate.days
    if certificate.period.until:
        # Of days to come nothing can be said.
        last = min(certificate.period.until, spoken.to_day(certificate.issued_at))
    count = len(certificate.lines)
    return spoken.translations.ngettext(
        "This is to certify that %(name)s took part in voluntary service %(count)s time between %(first)s and %(last)s,"
        " with %(hours)s hours of service in all, as listed below.",
        "This is to certify that %(name)s took part in voluntary service %(count)s times between %(first)s and"
        " %(last)s, with %(hours)s hours of service in all, as listed below.",
        count,
    ) % {
        "name": name,
        "count": spoken.number(count),
        "first": spoken.day(certificate.period.since or first),
        "last": spoken.day(last),
        "hours": hours(spoken, certificate.minutes),
    }


def grade_words(spoken: Language, certificate: Certificate) -> str:
    """How many hours are of which evidence grade."""
    parts = [
        spoken.say("grade %(grade)s: %(hours)s hours", grade=grade, hours=hours(spoken, minutes))
        for grade, minutes in certificate.grades.items()
    ]
    return spoken.gettext("; ").join(parts)


def data(bank: Bank, spoken: Language, certificate: Certificate, name: str) -> dict[str, Any]:
    """What the sheet says."""
    return {
        "language": spoken.tag,
        "title": spoken.gettext(TITLE),
        "brand": spoken.gettext(BRAND),
        "declared": declared(spoken, certificate, name),
        "heads": [spoken.gettext(head) for head in HEADS],
        "lines": [
            {
                "day": spoken.day(line.local_day),
                "activity": spoken.pick(line.activity_zh, line.activity_en),
                "content": line.content if spoken.tag != "en" else spoken.pick(line.kind_zh, line.kind_en),
                "place": line.place,
                "unit": line.organising_unit,
                "person": line.person_in_charge,
                "hours": hours(spoken, line.minutes),
                "grade": line.grade,
            }
            for line in certificate.lines
        ],
        "total-label": spoken.gettext("In all"),
        "total": hours(spoken, certificate.minutes),
        "grades": spoken.say("Evidence: %(grades)s.", grades=grade_words(spoken, certificate)),
        "grades-hint": spoken.gettext(
            "A: both ends proved live at the station. B: one end proved live, or sent later. C: entered or confirmed"
            " by a manager. D: imported. Only verified records are certified; training is not among them."
        ),
        "facts": [
            [spoken.gettext("Number"), number_words(certificate.number)],
            [spoken.gettext("Recording unit"), certificate.unit],
            [spoken.gettext("Date of issue"), spoken.day(certificate.issued_at)],
        ],
        "code": drawing(f"{bank.settings.address}{path_of(bank, certificate)}".upper()),
        "check": spoken.gettext("Scan to check: the bank shows this certificate, and whether its records still stand."),
        "free": spoken.gettext("This certificate is free of charge."),
        "seal": spoken.gettext("(seal)"),
        "page": spoken.gettext("Page"),
    }
