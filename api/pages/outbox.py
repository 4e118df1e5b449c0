"""What a phone needs to keep scans without a network: who it is signed in as, and a page that opens without any."""

from typing import Annotated

import msgspec
from litestar import Response, get
from litestar.enums import MediaType
from litestar.params import FromQuery, QueryParameter

from api import content_policy, text_size
from api.auth import visitor_of
from api.language import DEFAULT, TAGS, language
from api.pages.assets import FILES, media_type
from api.pages.environment import environment
from api.pages.page import AnyRequest, own_hosts, zone_name
from api.state import bank_of

WORKER = "service-worker.js"
# What its scripts share, so that the phone keeps that, too.
SHARED = sorted(name for name in FILES if name.startswith("chunk-"))


@get("/outbox.json")
async def outbox(request: AnyRequest) -> Response[bytes]:
    """Who this browser is signed in as, and what its writes carry: a page that was kept cannot know."""
    visitor = visitor_of(request)
    # A helper sends no scans, neither their own nor the member's: they wait.
    member_id = str(visitor.session.member_id) if visitor.session and not visitor.session.helper_id else None
    body = {"member_id": member_id, "csrf": visitor.csrf}
    return Response(msgspec.json.encode(body), media_type=MediaType.JSON)


@get("/offline")
async def offline(
    request: AnyRequest, tag: Annotated[str, QueryParameter(name="language")] = DEFAULT, size: FromQuery[str] = ""
) -> Response[str]:
    """The page that phones keep for when there is no network. It is the same for everybody of one language and size."""
    spoken = language(tag if tag in TAGS else DEFAULT, zone_name(request))
    text = (
        environment(spoken.tag, zone_name(request))
        .get_template("offline.html")
        .render(hosts=own_hosts(bank_of(request).settings), scripts=SHARED, size=text_size.chosen(size))
    )
    headers = {content_policy.HEADER: content_policy.WITH_CAMERA}
    return Response(text, media_type=MediaType.HTML, headers=headers)


@get("/service-worker.js")
async def worker(request: AnyRequest) -> Response[bytes]:
    """The script that opens that page. It stands at the root, because it may only answer for what is below it."""
    return Response(FILES[WORKER], media_type=media_type(WORKER), headers={"Cache-Control": "no-cache"})


handlers = [outbox, offline, worker]
