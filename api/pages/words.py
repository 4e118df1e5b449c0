"""What codes of the domain say on a page: evidence, reasons for a closer look, roles, lines of a statement."""

from api.language import Language, mark
from api.sentences import hold_words as hold_title

HOLDS = {
    "already_in": mark("The volunteer was checked in already. Which stay is the right one?"),
    "nothing_open": mark("There was a check-out without a check-in. Ask when the service began."),
    "overlap": mark("Part of this time is also in another record of the same person."),
    "outside_shift": mark("The service lies outside the shift that was planned."),
    "long_day": mark("More than ten hours in one day. Ask whether a check-out was forgotten."),
    "too_fast": mark("The last station is too far away for the time between the two scans."),
    "shared_phone": mark("The same phone was used by more than one member. Ask whether both were there."),
    "same_slot_again": mark("The same picture of the code was used for check-in and check-out."),
    "mass_checkout": mark("Many people checked out in the same moment. Ask whether all of them were there."),
    "drawn": mark("Nothing is wrong with this record. One in twenty is drawn so that somebody looks."),
    "over_quota": mark(
        "More was entered or sent late this month than the rules allow. What was entered, a second person approves."
    ),
    "clock_doubt": mark(
        "The phone's clock was wrong, the scan was sent late from a phone that was online, or a card was scanned "
        "without a network."
    ),
    "poster_alone": mark("Only the printed poster was scanned. Say whether you saw the volunteer there."),
    "unconfirmed": mark("The check-out was forgotten. Enter the time that was really served."),
}
SOURCES = {
    "live": mark("scanned live at the station's screen"),
    "late": mark("scanned at the screen, sent later"),
    "card": mark("member card at the station"),
    "poster": mark("printed poster"),
    "digits": mark("six digits of the screen"),
    "door": mark("home visit"),
    "manual": mark("entered by a manager"),
    "import": mark("imported"),
}
GRADES = {
    "A": mark("A: both ends proved live at the station"),
    "B": mark("B: one end proved live, or sent later"),
    "C": mark("C: entered or confirmed by a manager"),
    "D": mark("D: imported from elsewhere"),
}
RECORD_STATES = {
    "waiting": mark("Waiting to be verified"),
    "verified": mark("Verified"),
    "rejected": mark("Not accepted"),
    "reversed": mark("Reversed"),
}
REDEMPTION_STATES = {
    "held": mark("Ready to collect"),
    "fulfilled": mark("Collected"),
    "cancelled": mark("Cancelled"),
    "timed_out": mark("Not collected in time"),
}
DOCUMENTS = {
    "id_card": mark("ID card"),
    "passport": mark("Passport"),
    "permit": mark("Residence or travel permit"),
}
# What of a person the staff looked at.
LOOKS = {
    "file": mark("your file"),
    "search": mark("found you by name, number or phone"),
    "record": mark("one of your records, with its scans"),
    "statement": mark("where your points come from"),
}
ROLES = {
    "volunteer": mark("Volunteer"),
    "manager": mark("Station manager"),
    "clerk": mark("Counter clerk"),
    "admin": mark("Administrator"),
    "auditor": mark("Auditor"),
}
REWARD_KINDS = {
    "goods": mark("Goods"),
    "service": mark("A service"),
    "voucher": mark("Voucher"),
    "honour": mark("Honour"),
}
# What a reward's limit is for.
PERIODS = {
    "day": mark("a day"),
    "week": mark("a week"),
    "month": mark("a month"),
    "year": mark("a year"),
    "ever": mark("in all"),
}
# What the ledger's transfers are, on a statement.
LINES = {
    "earn_hours": mark("Service hours"),
    "earn_points": mark("Points for service"),
    "open_points": mark("Brought along"),
    "hold": mark("Redemption"),
    "release": mark("Given back"),
    "expire": mark("Expired"),
    "unexpire": mark("Expiry undone"),
    "reverse": mark("Correction"),
    "owe": mark("Lent for a correction"),
    "repay": mark("Paid back"),
}
# What was decided about a record.
VERDICTS = {
    "verify": mark("Verified as recorded"),
    "approve": mark("Verified by a second person"),
    "adjust": mark("Verified with other minutes"),
    "reject": mark("Not accepted"),
    "reverse": mark("Corrected"),
}
# What a policy version says.
RULES = {
    "default_rate": mark("Points for an hour, usual"),
    "rounding_minutes": mark("Time is rounded down to a multiple of (minutes)"),
    "daily_cap_minutes": mark("Most that is credited for one day (minutes)"),
    "point_grades": mark("Evidence grades that earn points"),
    "fast_track_grades": mark("Evidence grades that may be verified together"),
    "life_years": mark("Points end on 31 December, this many years later"),
    "draw_percent": mark("Share of grade A that is drawn for a closer look (percent)"),
    "long_day_minutes": mark("Long day: somebody looks when one day comes to more (minutes)"),
    "top_speed_kmh": mark("Too fast: somebody looks when two stations are reached faster (km/h)"),
    "shared_phone_hours": mark("Shared phone: how long a phone is remembered as somebody else's (hours)"),
    "clock_doubt_minutes": mark("Clock in doubt: how far a phone's clock may be off (minutes)"),
    "late_per_month": mark("Codes that one volunteer may send late in a month"),
    "manual_minutes_per_month": mark("What one manager may enter by hand in a month (minutes)"),
    "mass_checkout_people": mark("Many at once: somebody looks when at least so many check out together (people)"),
    "mass_checkout_percent": mark("Many at once: and they are at least this share of those who were in (percent)"),
    "mass_checkout_seconds": mark("Many at once: within so short a time (seconds)"),
}

# The fields of a form, as their labels name them.
FIELDS = {
    "name_zh": mark("Name in Chinese"),
    "name_en": mark("Name in English"),
    "address": mark("Address"),
    "organising_unit": mark("Organising unit"),
    "person_in_charge": mark("Person in charge"),
    "cap_minutes": mark("Longest stay in minutes"),
    "latitude": mark("Latitude"),
    "longitude": mark("Longitude"),
}


def of(table: dict[str, str], language: Language, code: str) -> str:
    """The words of `code`; the code itself where it has none, because a bare code still helps somebody who asks."""
    return language.gettext(table[code]) if code in table else code


def look_words(what: str, language: Language) -> str:
    """What of a person somebody of the staff looked at."""
    return of(LOOKS, language, what)


def hold_name(language: Language, code: str) -> str:
    """The short name of a reason to look closer."""
    title = hold_title(code, language.tag)
    return title[:1].upper() + title[1:]
