"""What is kept of people, in plain words, for whoever wants to know before they join."""

from typing import Any

from litestar import Response, get

from api.pages.page import AnyRequest, show
from api.state import bank_of

WAY = "/what-is-kept"


@get(WAY)
async def what_is_kept(request: AnyRequest) -> Response[Any]:
    """What the bank keeps of a person, what for, who sees it, for how long, and what one can do."""
    return show(request, "notice.html", way=WAY, months=bank_of(request).settings.phone_months)


handlers = [what_is_kept]
