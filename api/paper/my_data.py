"""What the bank keeps about a person, on paper for that person: what it is, why it is kept, and who looked at it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from api.language import Language, mark
from api.pages import trail_words, words
from api.paper.report import STATES
from api.paper.words import BRAND
from timebank import consents

# Of long lists the latest are on paper; the file for programs has them all.
ROWS_LIMIT = 200
AGREED = {True: mark("Agreed"), False: mark("Withdrawn"), None: mark("Not answered")}


class Part(NamedTuple):
    """One part: what it is about, its columns with their widths, its rows, and what is said where there are none."""

    title: str
    about: str
    heads: list[str]
    widths: list[int]
    rows: list[list[str]]
    empty: str = ""


def data(spoken: Language, found: Mapping[str, Any], region: str, now: datetime) -> dict[str, Any]:
    """What the sheet says of what `timebank.own_data.gathered` found. `region` is the name of the member's own."""
    gettext = spoken.gettext
    return {
        "language": spoken.tag,
        "brand": gettext(BRAND),
        "title": gettext("My data"),
        "name": found["person"].get("name") or "",
        "about": [
            gettext("This is what the time bank keeps about you, why it does, and who looked at it."),
            gettext(
                "You may have it corrected, withdraw what you agreed to, and be forgotten: on the page My data, or at "
                "your station."
            ),
        ],
        "parts": [part._asdict() for part in parts(spoken, found, region)],
        "foot": spoken.say("As it stood on %(moment)s", moment=spoken.moment(now)),
        "page": gettext("Page"),
    }


def parts(spoken: Language, found: Mapping[str, Any], region: str) -> list[Part]:
    """All of it, in order."""
    return [
        person(spoken, found["person"], region),
        agreed(spoken, found["consents"]),
        served(spoken, found),
        records(spoken, found["records"]),
        looks(spoken, found["looks"]),
        changes(spoken, found["changes"], found["person"]["member_id"]),
    ]


def person(spoken: Language, known: Mapping[str, Any], region: str) -> Part:
    """Who they are."""
    gettext = spoken.gettext
    yes, no = gettext("yes"), gettext("no")
    sign_in = gettext("To sign in with, and to be found at the station")
    rows = [
        [gettext("Full name"), known.get("name") or "–", gettext("So that an hour is credited to whom it belongs to")],
        [gettext("Phone number"), known.get("phone") or "–", sign_in],
        [gettext("Where you live"), region, gettext("So that your own community serves you, and nobody else sees you")],
        [gettext("Member since"), spoken.moment(known["joined_at"]), gettext("As in every register of members")],
        [gettext("A password"), yes if known["has_password"] else no, gettext("Kept so that nobody can read it")],
        [gettext("A PIN for the card"), yes if known["card_pin"] else no, gettext("Kept so that nobody can read it")],
    ]
    if known.get("mail"):
        rows.insert(2, [gettext("Mail address"), known["mail"], sign_in])
    if known.get("born"):
        born = gettext("To know for whom a guardian acts")
        rows.insert(1, [gettext("Date of birth"), str(known["born"]), born])
    return Part(
        gettext("About you"),
        gettext("Name, number and address are stored under a key of your own. Without it nobody reads them."),
        [gettext("What"), gettext("What is kept"), gettext("Why")],
        [3, 5, 6],
        rows,
    )


def agreed(spoken: Language, answers: Sequence[Mapping[str, Any]]) -> Part:
    """What they agreed to."""
    gettext, texts = spoken.gettext, {purpose: consents.in_use(purpose) for purpose in consents.PURPOSES}
    return Part(
        gettext("What you agreed to"),
        "",
        [gettext("What"), gettext("Your answer"), gettext("When")],
        [6, 3, 4],
        [
            [
                spoken.pick(texts[each["purpose"]].title_zh, texts[each["purpose"]].title_en),
                gettext(state_of(each)),
                spoken.moment(each["answered_at"]) if each["answered_at"] else "–",
            ]
            for each in answers
        ],
    )


def state_of(answer: Mapping[str, Any]) -> str:
    """Where they stand on one purpose."""
    return AGREED[answer["agreed"]]


def served(spoken: Language, found: Mapping[str, Any]) -> Part:
    """How much there is of everything that they did."""
    gettext, number, balance = spoken.gettext, spoken.number, found["balance"]
    proof = gettext("To prove that you were there, when and where")
    rows = [
        [gettext("Service hours"), spoken.duration(balance.minutes), gettext("What you gave; it never expires")],
        [gettext("Points to spend"), number(balance.points), gettext("What you may redeem")],
        [gettext("Scans"), number(len(found["scans"])), proof],
        [gettext("Records"), number(len(found["records"])), gettext("Order 67 of the Ministry of Civil Affairs")],
        [gettext("Redemptions"), number(len(found["redemptions"])), gettext("To hand over what you redeemed, once")],
        [gettext("Certificates"), number(len(found["certificates"])), gettext("So that others can check them")],
        [
            gettext("Devices signed in"),
            number(len(found["sessions"])),
            gettext("So that you need not sign in each time"),
        ],
    ]
    return Part(
        gettext("What you did"),
        gettext("These stay in the books when you are forgotten, under a number that names nobody."),
        [gettext("What"), gettext("How much"), gettext("Why")],
        [3, 3, 6],
        rows,
    )


def records(spoken: Language, rows: Sequence[Mapping[str, Any]]) -> Part:
    """Their service records, the latest first."""
    gettext = spoken.gettext
    latest = sorted(rows, key=lambda row: (row["local_day"], row["id"]), reverse=True)
    return Part(
        gettext("Your service records"),
        gettext("The latest of them; all are in the file for programs.") if len(latest) > ROWS_LIMIT else "",
        [gettext("Day"), gettext("Activity"), gettext("Where it was"), gettext("Time"), gettext("State")],
        [5, 5, 6, 4, 4],
        [
            [
                spoken.day(row["local_day"]),
                spoken.pick(row["activity_zh"], row["activity_en"]),
                row["place"],
                spoken.duration(minutes_of(row)),
                words.of(STATES, spoken, row["state"]),
            ]
            for row in latest[:ROWS_LIMIT]
        ],
        gettext("None yet."),
    )


def minutes_of(row: Mapping[str, Any]) -> int:
    """What was credited, or, until it is decided, measured."""
    return int(row["measured_minutes"] if row["credited_minutes"] is None else row["credited_minutes"])


def looks(spoken: Language, rows: Sequence[Mapping[str, Any]]) -> Part:
    """Who of the staff looked."""
    gettext = spoken.gettext
    return Part(
        gettext("Who looked at my data"),
        gettext("Lists in which your name stands among others are not counted."),
        [gettext("Day"), gettext("Who"), gettext("At what")],
        [3, 4, 7],
        [
            [spoken.day(row["day"]), row["reader"] or gettext("(erased)"), words.of(words.LOOKS, spoken, row["what"])]
            for row in rows[:ROWS_LIMIT]
        ],
        gettext("Nobody of the staff has opened your file."),
    )


def changes(spoken: Language, rows: Sequence[Mapping[str, Any]], member_id: Any) -> Part:
    """What was changed about them, the latest first."""
    gettext = spoken.gettext

    def by(actor_id: Any) -> str:
        if actor_id is None:
            return gettext("the operator")
        return gettext("yourself") if actor_id == member_id else gettext("the staff")

    return Part(
        gettext("What was changed about you"),
        "",
        [gettext("When"), gettext("What"), gettext("By")],
        [4, 7, 3],
        [
            [spoken.moment(row["at"]), words.of(trail_words.ACTIONS, spoken, row["action"]), by(row["actor_id"])]
            for row in reversed(rows[-ROWS_LIMIT:])
        ],
        gettext("Nothing."),
    )
