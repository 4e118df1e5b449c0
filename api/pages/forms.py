"""What people send with a form, read strictly."""

from datetime import UTC, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from litestar.datastructures import FormMultiDict, UploadFile

from api.bodies import check_text, storable
from api.pages.page import AnyRequest
from api.problems import Problem

# A form of ours has a few short fields; the longest is a reason.
LENGTH_LIMIT = 4000


class Form:
    """The fields of one form. What is wrong with a field is raised as the problem `invalid`, naming it."""

    def __init__(self, fields: FormMultiDict) -> None:
        self.fields = fields

    @classmethod
    async def of(cls, request: AnyRequest) -> "Form":
        """The form that this request brings; a page that refuses it shows it filled in as it came."""
        form = cls(await request.form())
        request.state.sent = {name: form.shown(name) for name in form.fields}
        return form

    def shown(self, name: str) -> list[str]:
        """The values of a field that a page can show again: texts no longer than any field of ours."""
        values = [value for value in self.fields.getall(name, []) if isinstance(value, str)]
        return [storable(value) for value in values if len(value) <= LENGTH_LIMIT]

    def texts(self, name: str) -> list[str]:
        """Every value of a field, in order."""
        return [self.checked(name, value) for value in self.fields.getall(name, [])]

    def text(self, name: str) -> str:
        """A field's text without blanks around; "" when it is not there."""
        values = self.texts(name)
        return values[0].strip() if values else ""

    def checked(self, name: str, value: object) -> str:
        """The value when it is text that can be stored."""
        if not isinstance(value, str):
            raise Problem("invalid", {"field": name, "reason": "type"})
        if len(value) > LENGTH_LIMIT:
            raise Problem("invalid", {"field": name, "reason": "too_long"})
        check_text(value)
        return value

    def uuid(self, name: str) -> UUID:
        """A field that holds an id."""
        found = as_uuid(self.text(name))
        if found is None:
            raise Problem("invalid", {"field": name, "reason": "type"})
        return found

    def integer(self, name: str, lowest: int, highest: int) -> int | None:
        """A field that holds a whole number; None when it is empty."""
        text = self.text(name)
        if not text:
            return None
        if not text.lstrip("-").isascii() or not text.lstrip("-").isdigit() or len(text) > 12:
            raise Problem("invalid", {"field": name, "reason": "type"})
        if not lowest <= int(text) <= highest:
            raise Problem("invalid", {"field": name, "reason": "range"})
        return int(text)

    def moment(self, name: str, zone: ZoneInfo) -> datetime | None:
        """A field that holds a local date and time, to the minute; None when it is empty."""
        text = self.text(name)
        if not text:
            return None
        try:
            found = datetime.strptime(text[:16], "%Y-%m-%dT%H:%M").replace(tzinfo=zone)
        except ValueError:
            raise Problem("invalid", {"field": name, "reason": "type"}) from None
        if not 2000 <= found.year <= 2199:
            raise Problem("invalid", {"field": name, "reason": "range"})
        return found.astimezone(UTC)

    async def file(self, name: str) -> bytes:
        """The content of a file that was chosen; raises `invalid` where none was."""
        value = self.fields.get(name)
        if not isinstance(value, UploadFile):
            raise Problem("invalid", {"field": name, "reason": "missing"})
        try:
            return await value.read()
        finally:
            await self.fields.close()


def as_uuid(text: str | None) -> UUID | None:
    """The id that the text spells; None when it spells none."""
    try:
        return UUID(text) if text and len(text) <= 36 else None
    except ValueError:
        return None
