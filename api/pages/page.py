"""What every page needs: who looks at it, in which language, and the frame around what it shows."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit
from uuid import UUID

from litestar import Request, Response
from litestar.enums import MediaType
from litestar.response import Redirect
from sqlalchemy.ext.asyncio import AsyncConnection

from api import content_policy, text_size
from api.auth import visitor_of
from api.language import OWN_NAMES, TAGS, Language, language, mark
from api.pages.assets import build_digest
from api.pages.environment import environment
from api.pages.refilling import refilled
from api.problems import Problem, locale_of
from api.sentences import sentence
from api.state import Bank, bank_of
from timebank import answers
from timebank.commands import Answer
from timebank.sessions import Session
from timebank.settings import Settings

AnyRequest = Request[Any, Any, Any]


class Way(NamedTuple):
    """One of the places that the bar at the foot, or at the head of a wide page, leads to."""

    href: str
    icon: str
    words: str
    # Where it shows: everywhere, or only on a "wide" or a "narrow" page.
    where: str = ""


HOME = Way("/", "home", mark("Home"))
WAYS_OF = {
    "manager": (Way("/queue", "verify", mark("Verify")), Way("/stations", "screen", mark("Stations"))),
    "clerk": (Way("/counter", "counter", mark("Counter")),),
    "admin": (
        Way("/admin", "city", mark("Office")),
        Way("/queue", "verify", mark("Verify")),
        Way("/stations", "screen", mark("Stations")),
    ),
    "auditor": (Way("/admin", "city", mark("Office")), Way("/admin/trail", "audit", mark("Audit trail"))),
}
# To everything that does not fit beside it.
MORE = Way("/more", "more", mark("More"))
WAYS_OF_ALL = (
    Way("/rewards", "gift", mark("Rewards")),
    Way("/codes", "code", mark("My codes")),
    Way("/statement", "list", mark("Statement")),
)
# What fits side by side on a narrow phone, and on a wide page.
WAYS_LIMIT = 5
WIDE_WAYS_LIMIT = 7


@dataclass(frozen=True, slots=True)
class Frame:
    """What stands around the content of a page."""

    here: str
    way: str
    csrf: str
    signed_in: bool
    ways: Sequence[Way]
    other_language: str
    other_language_name: str
    size: str
    other_size: str
    other_size_words: str
    today: date
    now_milliseconds: int
    demo_time: datetime | None
    member_id: UUID | None
    """Whose scans this browser may send; nobody's while a helper acts for a member."""
    acts_for: str | None
    """Whom whoever looks at the page acts for, by name."""
    helped: bool
    """Whether it is a helper who acts, within a helper's limits."""
    worker: str


class Shown(NamedTuple):
    """A command's answer as a page tells it."""

    refused: bool
    title: str
    words: str
    waits: bool = False
    """Done, and somebody has to look at it yet."""


def speaker(request: AnyRequest) -> Language:
    """The reader's language, in the community's time zone."""
    return language(locale_of(request), zone_name(request))


def zone_name(request: AnyRequest) -> str:
    """The community's time zone."""
    return bank_of(request).settings.time_zone.key


def member(request: AnyRequest) -> Session:
    """Who is signed in; raises `not_signed_in`, which a page answers by asking for it."""
    session = visitor_of(request).session
    if session is None:
        raise Problem("not_signed_in")
    return session


def holds_role(session: Session | None, *roles: str) -> bool:
    """Whether somebody holds one of these roles anywhere."""
    return session is not None and any(grant.role in roles for grant in session.grants)


def here(request: AnyRequest) -> str:
    """The address of this page within the bank, for coming back; a form's own address cannot be asked for again."""
    if request.method != "GET":
        return "/"
    query = request.scope["query_string"].decode("latin-1")
    return request.scope["path"] + (f"?{query}" if query else "")


def inside(address: str | None) -> str:
    """The address when it is one of ours, else "/": nobody is sent to another site from here."""
    parts = urlsplit(address or "/")
    if parts.scheme or parts.netloc or not parts.path.startswith("/") or parts.path.startswith(("//", "/\\")):
        return "/"
    if any(character < "!" or character == "\\" for character in address or ""):
        return "/"
    return address or "/"


def frame(request: AnyRequest, way: str) -> Frame:
    """The frame for this reader."""
    visitor = visitor_of(request)
    bank = bank_of(request)
    spoken, now = speaker(request), bank.clock()
    helped = visitor.session is not None and visitor.session.helper_id is not None
    other = next(tag for tag in TAGS if tag != spoken.tag)
    size = text_size.chosen(request.cookies.get(text_size.COOKIE))
    found = ways(visitor.session, spoken)
    # The nearest place in the bar: a page below one of them belongs to it.
    nearest = max((each.href for each in found if f"{way}/".startswith(f"{each.href}/")), key=len, default=way)
    return Frame(
        here=here(request),
        way=nearest,
        csrf=visitor.csrf,
        signed_in=visitor.session is not None,
        ways=found,
        other_language=other,
        other_language_name=OWN_NAMES[other],
        size=size,
        other_size=text_size.following(size),
        other_size_words=spoken.gettext(text_size.WORDS[text_size.following(size)]),
        today=spoken.to_day(now),
        now_milliseconds=int(now.timestamp() * 1000),
        demo_time=now if bank.settings.demo else None,
        member_id=visitor.session.member_id if visitor.session and not helped else None,
        acts_for=visitor.acts_for,
        helped=helped,
        worker=f"/service-worker.js?language={spoken.tag}&size={size}&version={build_digest()}",
    )


def all_ways(session: Session | None, spoken: Language) -> list[Way]:
    """Everywhere this person can go: what their roles are for first."""
    if session is None:
        return []
    found = [HOME]
    for role, added in WAYS_OF.items():
        if holds_role(session, role):
            found += [way for way in added if way.href not in {known.href for known in found}]
    found += WAYS_OF_ALL
    return [way._replace(words=spoken.gettext(way.words)) for way in found]


def ways(session: Session | None, spoken: Language) -> list[Way]:
    """What stands in the bar: all of it where it fits, else the first of it and the way to the rest."""
    found = all_ways(session, spoken)
    if len(found) <= WAYS_LIMIT:
        return found
    side_by_side = WAYS_LIMIT - 1
    wider = [way._replace(where="wide") for way in found[side_by_side:WIDE_WAYS_LIMIT]]
    more = MORE._replace(words=spoken.gettext(MORE.words), where="narrow" if len(found) <= WIDE_WAYS_LIMIT else "")
    return [*found[:side_by_side], *wider, more]


def show(
    request: AnyRequest, template: str, *, way: str = "", status: int = 200, camera: bool = False, **values: Any
) -> Response[str]:
    """A page. `way` is the address of the place in the bar that it belongs to; `camera`, whether it reads codes.

    A page that refuses a form holds that form as it was sent.
    """
    if camera:
        values["hosts"] = own_hosts(bank_of(request).settings)
    text = (
        environment(speaker(request).tag, zone_name(request))
        .get_template(template)
        .render(page=frame(request, way), **values)
    )
    sent = request.state.get("sent")
    if sent and status >= 400:
        text = refilled(text, request.scope["path"], sent)
    headers = {content_policy.HEADER: content_policy.WITH_CAMERA} if camera else None
    return Response(text, status_code=status, media_type=MediaType.HTML, headers=headers)


def own_hosts(settings: Settings) -> list[str]:
    """The names that codes of this bank carry, or carried when they were printed."""
    return [urlsplit(settings.address).hostname or "", *settings.older_hosts]


def go(path: str, **query: Any) -> Redirect:
    """On to another page after a form was taken, so that reloading it sends nothing again. A list is several values."""
    found = urlencode({name: value for name, value in query.items() if value}, doseq=True)
    return Redirect(f"{path}?{found}" if found else path, status_code=303)


async def answer_to(connection: AsyncConnection, bank: Bank, actor_id: UUID, id: UUID | None) -> Answer | None:
    """What the actor's command was answered; None when there was none."""
    if id is None:
        return None
    return (await answers.remembered(connection, bank.book_id, actor_id, [id])).get(id)


def shown(request: AnyRequest, answer: Answer | None, refused: str, done: str, words: str = "") -> Shown | None:
    """An answer in words: the title `refused` with the refusal's sentence, or `done` with `words`. Both translated."""
    if answer is None:
        return None
    if answer.refused:
        return Shown(True, refused, sentence(answer.code, speaker(request).tag, answer.data))
    return Shown(False, done, words)
