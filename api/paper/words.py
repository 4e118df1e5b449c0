"""What several sheets say, and codes as drawings."""

from zoneinfo import ZoneInfo

from api import qr
from api.language import TAGS, Language, language, mark

BRAND = mark("Time Bank")


def drawing(text: str) -> str:
    """The QR code of `text` as an SVG document."""
    side, path = qr.draw(text)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {side} {side}" shape-rendering="crispEdges">'
        f'<path fill="#fff" d="M0 0h{side}v{side}H0z"/><path fill="#000" d="{path}"/></svg>'
    )


def both(zone: ZoneInfo) -> dict[str, Language]:
    """The languages of a sheet that speaks to everybody, by the names that sheets know them under."""
    return {tag[:2]: language(tag, zone.key) for tag in TAGS}
