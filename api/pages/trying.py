"""Deeds by form: what was typed becomes the same body that programs send, and goes the same way."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from api.auth import member_of
from api.bodies import complaint
from api.pages.forms import Form
from api.pages.page import AnyRequest
from api.problems import Problem, answered, problem_of
from api.rest.deeds import Deed, carry_out
from api.state import Bank, bank_of


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of a form: its refusal, if any, and what was typed into it."""

    id: UUID | None
    problem: Problem | None
    values: dict[str, str]


async def try_form(request: AnyRequest, deed: Deed, subject_id: UUID | None = None) -> Tried:
    """Do what a form asks for. Fields of its body that the form leaves empty keep their defaults, but for texts."""
    bank, form = bank_of(request), await Form.of(request)
    fields = {each.name: each.type for each in msgspec.structs.fields(deed.takes)}
    # What cannot be read is refused like what cannot be done, and the page that shows why is the form's own.
    values = {name: "" for name in fields if name in form.fields}
    try:
        values = {name: form.text(name) for name in values}
        given: dict[str, Any] = {}
        for name, text in values.items():
            kinds = types_of(fields[name])
            if text or str in kinds:
                given[name] = local(bank, name, text) if datetime in kinds else text
            elif msgspec.UnsetType in kinds:
                # What may be taken away is taken away where the form leaves it empty.
                given[name] = None
        try:
            body = msgspec.convert(given, deed.takes, strict=False)
        except msgspec.ValidationError as error:
            raise Problem("invalid", complaint(str(error))) from None
        session = member_of(request)
        answered(await carry_out(bank, deed, session.member_id, body, subject_id, session.guardian_id))
    except Exception as error:
        problem = problem_of(error)
        if problem.status >= 500:
            raise
        return Tried(None, problem, values)
    return Tried(form.uuid("id"), None, values)


def types_of(annotation: Any) -> set[Any]:
    """The plain types that an annotation is made of."""
    found: set[Any] = set()
    waiting = [annotation]
    while waiting:
        each = waiting.pop()
        inner = [kind for kind in getattr(each, "__args__", ()) if not isinstance(kind, str)]
        origin = getattr(each, "__origin__", None)
        waiting += inner if inner else [origin] if hasattr(each, "__metadata__") else []
        if hasattr(each, "__metadata__"):
            waiting.append(origin)
        if isinstance(each, type):
            found.add(each)
    return found


def local(bank: Bank, name: str, text: str) -> datetime:
    """A moment typed in the community's time, to the minute."""
    try:
        found = datetime.strptime(text[:16], "%Y-%m-%dT%H:%M").replace(tzinfo=bank.settings.time_zone)
    except ValueError:
        raise Problem("invalid", {"field": name, "reason": "type"}) from None
    if not 2000 <= found.year <= 2199:
        raise Problem("invalid", {"field": name, "reason": "range"})
    return found.astimezone(UTC)
