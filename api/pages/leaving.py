"""Those outside by whom people may sign in, as a page offers them."""

from typing import NamedTuple

from api.language import Language, mark
from api.pages.page import AnyRequest, speaker
from api.state import bank_of
from timebank.settings import Settings

WECHAT = mark("WeChat")
# What WeChat's own browser calls itself; its sign-in opens nowhere else.
WECHAT_BROWSER = "MicroMessenger"


class Offer(NamedTuple):
    """One of them."""

    name: str
    issuer: str
    words: str
    opens_here: bool


def words_of(name: str, settings: Settings, spoken: Language) -> str:
    """What one of them is called."""
    return spoken.gettext(WECHAT) if name == "wechat" else spoken.pick(settings.oidc_name_zh, settings.oidc_name_en)


def offered(request: AnyRequest) -> list[Offer]:
    """All of them, and whether each opens in this browser."""
    bank, spoken = bank_of(request), speaker(request)
    in_wechat = WECHAT_BROWSER in request.headers.get("user-agent", "")
    return [
        Offer(name, provider.issuer, words_of(name, bank.settings, spoken), name != "wechat" or in_wechat)
        for name, provider in bank.outside.items()
    ]
