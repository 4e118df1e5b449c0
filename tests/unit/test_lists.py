"""Every list for programs comes in pages: what answers one takes `cursor` and `limit`, and answers `following`."""

import re
from pathlib import Path
from typing import Any, get_origin

import msgspec
import pytest

import api
from api import downloads, rest
from api.column_words import COLUMNS
from api.pages.words import RULES

# What answers several things at once and is no list of its own: parts of one thing, or what never grows.
WHOLE = {
    "/api/v1/me": "the roles of one person, who holds few",
    "/api/v1/balance": "what one balance is made of: a purse for each fund and day of expiry",
    "/api/v1/records/{record_id:uuid}": "one record with its scans and its past",
    "/api/v1/queue/{record_id:uuid}": "one record with its scans and its past",
    "/api/v1/rewards/{reward_id:uuid}": "one reward with its places",
    "/api/v1/admin/rewards/{reward_id:uuid}": "one reward with its places",
    "/api/v1/stations/{station_id:uuid}": "one station with its devices",
    "/api/v1/stations/{number:int}/codes": "five minutes of one screen",
    "/api/v1/me/consents": "the few purposes that there are",
    "/api/v1/me/outside-accounts": "the accounts elsewhere of one person, one for each issuer that is set",
    "/api/v1/me/passkeys": "the passkeys of one person, at most ten",
    "/api/v1/me/helpers": "the helpers of one person and whom they help, who are limited",
    "/api/v1/me/data": "everything about one person, to be taken away",
    "/api/v1/webhooks": "one book has fifty at most",
    "/api/v1/me/read-tokens": "one person has twenty at most",
    "/api/v1/me/children": "the children of one guardian, who are limited",
    "/api/v1/certificates/{certificate_id:uuid}": "one certificate with its records",
    "/api/v1/certificate-checks/{code:str}": "one certificate with its records",
    "/api/v1/stations/{number:int}/report": "the sums of one month",
    "/api/v1/kiosk": "what one tablet shows at once: who is in, and today's shifts",
    "/api/v1/kiosk/keys": "the keys of one day",
    "/api/v1/members/{member_id:uuid}/birth": "one member with their guardians",
    "/api/v1/honour-roll": "the first of one period, as many as the reader asks for and a hundred at most",
    "/api/v1/errors": "the codes of this version, the same for everybody",
}
# Lists that nothing narrows, and why.
UNFILTERED = {
    "/api/v1/confirmations": "a to-do list of one person, who is done with it",
}

# Pages whose list nothing narrows, and why.
PAGES_UNFILTERED = {
    "volunteer/card.html": "a to-do list of one person, who is done with it",
    "clerk/counter.html": "what one counter handed over today",
}
TEMPLATES = Path(api.__file__).parent / "templates"
# The pages that lead on to the rest of a list, by the one of the two macros for it.
LEADING_ON = {
    file.relative_to(TEMPLATES).as_posix(): text
    for file in TEMPLATES.rglob("*.html")
    if re.search(r"\{\{ (?:later|older_ones)\(", text := file.read_text(encoding="utf-8"))
}
# Pages that show several things whole: parts of one thing, or what never grows.
WHOLE_PAGES = {
    "admin/import.html": "the columns of one file, and the first fifty rows that it was refused; its report has all",
    "admin/member.html": "one member with guardians, household, roles and consents",
    "admin/new_policy.html": "the kinds of service of one trial",
    "admin/overview.html": "the parts right below a branch; fifty stations and funds, with the way to all",
    "admin/reward.html": "one reward with its places, and those of its region",
    "admin/station.html": "one station with its devices, which are enrolled by hand",
    "catalogue/code.html": "one redemption with its places",
    "certificates/check.html": "one certificate with its records",
    "honour.html": "the first of one period; two hundred places, with the way to those below",
    "more.html": "the pages of the bank",
    "past.html": "one record with its decisions and questions",
    "statement_lines.html": "the lines of a page that leads on itself",
    "station/new_kiosk.html": "the kiosks in use at one station",
    "station/person.html": "the helpers of one person, three at most",
    "station/report.html": "the sums of one month",
    "volunteer/accounts.html": "the accounts elsewhere of one person, one for each issuer that is set",
    "volunteer/home.html": "the latest records, what is held for one person, a purse for each fund and day of expiry",
    "volunteer/passkeys.html": "the passkeys of one person, at most ten",
    "volunteer/tokens.html": "one person has twenty at most",
}


def lists() -> dict[str, Any]:
    """The operations that answer something with a list in it, by path."""
    found = {}
    for handler in rest.handlers:
        gives = handler.opt["operation"].gives if "operation" in handler.opt else None
        if "GET" not in handler.http_methods or not (isinstance(gives, type) and issubclass(gives, msgspec.Struct)):
            continue
        if any(get_origin(field.type) in (list, tuple, dict) for field in msgspec.structs.fields(gives)):
            (path,) = handler.paths
            found[path] = handler.opt["operation"]
    return found


@pytest.mark.parametrize("path", sorted(lists()))
def test_a_list_comes_in_pages_or_says_why_not(path: str) -> None:
    operation = lists()[path]
    answered = {field.name for field in msgspec.structs.fields(operation.gives)}
    if path in WHOLE:
        assert "following" not in answered, f"{path} comes in pages: take it out of WHOLE"
        return
    assert {"cursor", "limit"} <= set(operation.query), path
    assert (set(operation.query) > {"cursor", "limit", "format"}) != (path in UNFILTERED), path
    assert "following" in answered, path
    assert {"cursor_invalid", "invalid"} <= set(operation.refusals), path


@pytest.mark.parametrize("template", sorted(LEADING_ON))
def test_a_page_with_a_list_narrows_it_or_says_why_not(template: str) -> None:
    narrows = re.search(r'<form[^>]* method="get"|\{\{ period_choice\(', LEADING_ON[template])
    assert bool(narrows) != (template in PAGES_UNFILTERED), template
    if narrows:
        # What narrows the page narrows the file of its list too.
        assert not re.search(r'\{\{ download\("[^"]*"(?: ~ \w+(?: ~ "[^"]*")?)?\)', LEADING_ON[template]), template


def test_a_page_that_shows_several_things_leads_on_or_says_why_not() -> None:
    several = re.compile(r'(?:<[uo]l class="(?:rows|branch|trail|buttons)\b[^>]*>|<tbody[^>]*>)\s*\{% for')
    showing = {
        file.relative_to(TEMPLATES).as_posix()
        for file in TEMPLATES.rglob("*.html")
        if several.search(file.read_text(encoding="utf-8"))
    }
    assert showing - LEADING_ON.keys() == WHOLE_PAGES.keys()


def test_what_is_said_to_be_no_list_is_there() -> None:
    assert WHOLE.keys() <= lists().keys()
    assert PAGES_UNFILTERED.keys() <= LEADING_ON.keys()


def test_every_column_of_a_list_has_its_words() -> None:
    listing = [operation.gives for operation in lists().values() if operation.is_list]
    named = {name for gives in listing for path in downloads.columns(downloads.list_field(gives)[1]) for name in path}
    # What neither a list nor a thing in a list has would be words for nothing.
    assert named - RULES.keys() <= COLUMNS.keys()
    assert COLUMNS.keys() <= named
