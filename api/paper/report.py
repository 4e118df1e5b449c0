"""The monthly report of a station."""

from datetime import datetime
from typing import Any, NamedTuple

from api.language import Language, mark
from api.pages import words
from api.paper.certificate import hours
from api.paper.words import BRAND
from timebank.reports import StationReport

STATES = {
    "verified": mark("Verified"),
    "waiting": mark("Waiting to be verified"),
    "rejected": mark("Not accepted"),
    "reversed": mark("Reversed"),
}


class Table(NamedTuple):
    """One table of the report: what it is about, its columns, its rows, and what is said where there are none."""

    title: str
    heads: list[str]
    rows: list[list[str]]
    empty: str


def month_words(spoken: Language, report: StationReport) -> str:
    """The days that it is about."""
    return f"{spoken.day(report.first_day)} – {spoken.day(report.last_day)}"


def figures(spoken: Language, report: StationReport) -> list[tuple[str, str]]:
    """The figures at its head."""
    return [
        (spoken.gettext("Service hours"), hours(spoken, report.minutes)),
        (spoken.gettext("Volunteers"), spoken.number(report.people)),
        (spoken.gettext("Records"), spoken.number(report.records)),
        (spoken.gettext("Decided"), spoken.number(report.decided)),
        (spoken.gettext("Held for a closer look"), spoken.number(report.held)),
        (spoken.gettext("Points"), spoken.number(report.points)),
    ]


def tables(spoken: Language, report: StationReport) -> list[Table]:
    """Its tables, for the page and for the paper."""
    gettext, number = spoken.gettext, spoken.number
    return [
        Table(
            gettext("Hours by kind of service"),
            [gettext("Service"), gettext("Records"), gettext("Volunteers"), gettext("Hours"), gettext("Points")],
            [
                [
                    spoken.pick(row.name_zh, row.name_en),
                    number(row.records),
                    number(row.people),
                    hours(spoken, row.minutes),
                    number(row.points),
                ]
                for row in report.kinds
            ],
            gettext("Nothing was verified."),
        ),
        Table(
            gettext("Evidence of what was verified"),
            [gettext("Grade"), gettext("Records"), gettext("Hours")],
            [
                [words.of(words.GRADES, spoken, row.grade), number(row.records), hours(spoken, row.minutes)]
                for row in report.grades
            ],
            gettext("Nothing was verified."),
        ),
        Table(
            gettext("What was decided"),
            [gettext("State"), gettext("Records")],
            [[gettext(STATES[state]), number(count)] for state, count in report.states.items()],
            "",
        ),
        Table(
            gettext("Held for a closer look"),
            [gettext("Reason"), gettext("Records")],
            [[words.hold_name(spoken, code), number(count)] for code, count in report.holds.items()],
            gettext("No record was held."),
        ),
        Table(
            gettext("Handed over at the counter"),
            [gettext("Reward"), gettext("Pieces"), gettext("Points")],
            [[spoken.pick(row.name_zh, row.name_en), number(row.pieces), number(row.points)] for row in report.rewards],
            gettext("Nothing was handed over."),
        ),
    ]


def data(spoken: Language, report: StationReport, now: datetime) -> dict[str, Any]:
    """What the sheet says."""
    station = report.station
    return {
        "language": spoken.tag,
        "brand": spoken.gettext(BRAND),
        "title": spoken.gettext("Monthly report of a station"),
        "station": spoken.pick(station.name_zh, station.name_en),
        "about": spoken.say(
            "Station %(number)s, %(unit)s, person in charge: %(person)s",
            number=station.number,
            unit=station.organising_unit,
            person=station.person_in_charge,
        ),
        "month": month_words(spoken, report),
        "figures": figures(spoken, report),
        "tables": [each._asdict() for each in tables(spoken, report)],
        "foot": spoken.say("As the records stood on %(moment)s", moment=spoken.moment(now)),
        "page": spoken.gettext("Page"),
    }
