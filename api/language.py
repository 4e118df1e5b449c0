"""Languages: Chinese first, English second. Every date, number and plural on a page comes from here.

The source text of a message is its English; `locale/zh_CN/LC_MESSAGES/messages.po` holds the Chinese. It is read
once at start, nothing compiled is kept.
"""

import io
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

from babel import Locale
from babel.core import negotiate_locale
from babel.dates import format_date, format_skeleton, format_time
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal
from babel.support import NullTranslations, Translations
from babel.units import format_unit

DEFAULT = "zh-CN"
TAGS = ("zh-CN", "en")
LOCALES = {"zh-CN": Locale("zh", "CN", script="Hans"), "en": Locale("en", "GB")}
# What each language calls itself, for the switch.
OWN_NAMES = {"zh-CN": "中文", "en": "English"}
COOKIE = "language"
LOCALE_DIRECTORY = Path(__file__).with_name("locale")


def mark(text: str) -> str:
    """Mark a message that is translated later, when it is known for whom."""
    return text


@dataclass(frozen=True)
class Language:
    """One language in one time zone: everything that turns values into words for a reader."""

    tag: str
    locale: Locale
    translations: NullTranslations
    zone: ZoneInfo

    def gettext(self, message: str) -> str:
        """The message in this language, as it stands."""
        return self.translations.gettext(message)

    def say(self, message: str, **values: object) -> str:
        """The message in this language, with its `%(name)s` places filled."""
        text = self.translations.gettext(message)
        return text % values if values else text

    def pick(self, chinese: str, english: str | None) -> str:
        """The name of a thing that has one in each language."""
        return english or chinese if self.tag == "en" else chinese

    def number(self, value: int) -> str:
        """1234567 as 1,234,567."""
        return format_decimal(value, locale=self.locale)

    def decimal(self, value: float) -> str:
        """12.5, with at most one decimal."""
        return format_decimal(value, "#,##0.#", locale=self.locale)

    def hundredths(self, value: int) -> str:
        """1250 as 12.5, with at most two decimals."""
        return format_decimal(Decimal(value) / 100, "#,##0.##", locale=self.locale)

    def days(self, count: int) -> str:
        """3 days."""
        return format_unit(count, "duration-day", length="short", locale=self.locale)

    def signed(self, value: int) -> str:
        """A change: +30 or −30, with a real minus sign."""
        return ("+" if value > 0 else "−" if value < 0 else "") + self.number(abs(value))

    def duration(self, minutes: int) -> str:
        """150 as 2小时30分钟, or 2 hrs 30 mins."""
        hours, rest = divmod(abs(minutes), 60)
        parts = []
        if hours:
            parts.append(format_unit(hours, "duration-hour", length="short", locale=self.locale))
        if rest or not hours:
            parts.append(format_unit(rest, "duration-minute", length="short", locale=self.locale))
        joined = " ".join(parts) if self.tag == "en" else "".join(parts)
        return f"−{joined}" if minutes < 0 else joined

    def local(self, moment: datetime) -> datetime:
        """The moment on the community's clock."""
        return moment.astimezone(self.zone)

    def day(self, value: date | datetime) -> str:
        """24 Nov 2026; a moment gives the community's day."""
        return format_date(self.to_day(value), "medium", locale=self.locale)

    def month(self, first: date) -> str:
        """A calendar month, by one of its days."""
        return format_skeleton("yMMMM", first, locale=self.locale)

    def year(self, first: date) -> str:
        """A calendar year, by one of its days."""
        return format_skeleton("y", first, locale=self.locale)

    def short_day(self, value: date | datetime, today: date) -> str:
        """Tue 24 Nov; with the year where it is not the year of `today`."""
        skeleton = "MMMEd" if self.to_day(value).year == today.year else "yMMMEd"
        return str(format_skeleton(skeleton, self.local_midnight(value), locale=self.locale))

    def time(self, moment: datetime) -> str:
        """14:05, on the community's clock."""
        return format_time(self.local(moment), "HH:mm", locale=self.locale)

    def moment(self, value: datetime) -> str:
        """24 Nov 2026, 14:05, on the community's clock."""
        return f"{self.day(value)} {self.time(value)}"

    def to_day(self, value: date | datetime) -> date:
        """The community's day of a moment; a day is itself."""
        return self.local(value).date() if isinstance(value, datetime) else value

    def local_midnight(self, value: date | datetime) -> datetime:
        """A day as the aware moment it begins at: Babel's skeletons take moments only."""
        day = self.to_day(value)
        return datetime(day.year, day.month, day.day, tzinfo=self.zone)


@cache
def catalogue(tag: str) -> Catalog:
    """The messages of a language as its .po file has them."""
    path = LOCALE_DIRECTORY / tag.replace("-", "_") / "LC_MESSAGES" / "messages.po"
    with path.open("rb") as file:
        return read_po(file, locale=tag.replace("-", "_"))


@cache
def language(tag: str, zone: str = "Asia/Shanghai") -> Language:
    """The language `tag`, one of `TAGS`, for readers in the time zone `zone`."""
    if tag == "en":
        return Language(tag, LOCALES[tag], NullTranslations(), ZoneInfo(zone))
    compiled = io.BytesIO()
    write_mo(compiled, catalogue(tag))
    compiled.seek(0)
    return Language(tag, LOCALES[tag], Translations(compiled), ZoneInfo(zone))


def choose(cookie: str | None, member_locale: str | None, accept_language: str | None) -> str:
    """The language for one reader: what they chose in this browser, then as a member, then what the browser asks for.

    Chinese when nothing is said or nothing fits.
    """
    for chosen in (cookie, member_locale):
        if chosen in TAGS:
            return chosen
    wanted = asked_for(accept_language or "")
    negotiated = negotiate_locale(wanted, ["zh", "en"], sep="-")
    return "en" if negotiated == "en" else DEFAULT


def asked_for(header: str) -> list[str]:
    """The languages of an Accept-Language header (RFC 9110, 12.5.4), most wanted first, each by its first part."""
    weighted = []
    for position, part in enumerate(header[:500].split(",")):
        tag, _, parameter = part.partition(";")
        try:
            weight = float(parameter.strip().removeprefix("q=")) if parameter.strip() else 1.0
        except ValueError:
            weight = 0.0
        if tag.strip() and weight > 0:
            weighted.append((-weight, position, tag.strip().lower().split("-")[0]))
    return [tag for _, _, tag in sorted(weighted)]


__all__ = ["COOKIE", "DEFAULT", "OWN_NAMES", "TAGS", "Language", "catalogue", "choose", "language", "mark"]
