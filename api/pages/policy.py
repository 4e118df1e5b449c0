"""The rules of the bank for its administrators: every version with what differs, and a new one, tried first."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromQuery

from api.language import Language
from api.pages import words
from api.pages.forms import Form, as_uuid
from api.pages.office import administrator, surroundings
from api.pages.page import AnyRequest, answer_to, go, show, shown, speaker
from api.problems import Problem, problem_of
from api.rest.operation import choice_query, limit_of, numbered_cursor
from api.sentences import sentence
from api.state import bank_of
from timebank import kinds, members, policies, policy, purses
from timebank.clock import local_day
from timebank.errors import BankError
from timebank.ids import uuid7
from timebank.policies import Draft, Version
from timebank.preview import Preview, preview

NUMBERS = tuple(policy.RANGES)
GRADE_FIELDS = {"point_grades": "ABCD", "fast_track_grades": policy.FAST_TRACK_ALLOWED}


@get("/admin/policy")
async def versions(request: AnyRequest, answer: FromQuery[str | None] = None) -> Response[Any]:
    """Every version, the newest first, each with what it changed."""
    session, bank, spoken = administrator(request), bank_of(request), speaker(request)
    now, state = bank.clock(), choice_query(request, "state", ("", *policies.STATES))
    async with bank.engine.connect() as connection:
        known = await policies.versions(connection, bank.book_id)
        services = await kinds.catalogue(connection, bank.book_id)
        names = await members.names(connection, bank.book_id, bank.keys, [v.created_by for v in known if v.created_by])
        may_draft = await policies.may_draft(connection, bank.book_id, session.member_id, now)
        today = local_day(now, await purses.time_zone(connection, bank.book_id))
        answered = await answer_to(connection, bank, session.member_id, as_uuid(answer))
    wanted = policies.in_state(known, state or None, today)
    part, following = policies.part(wanted, numbered_cursor(request), limit_of(request, 10))
    return show(
        request,
        "admin/policy.html",
        **surroundings(request, "/admin/policy"),
        versions=[(version, policies.state_on(known, version, today), changes(known, version)) for version in part],
        following=following,
        states=policies.STATES,
        chosen={"state": state} if state else {},
        kinds={row.code: row for row in services},
        rule_names=(*NUMBERS, *GRADE_FIELDS),
        names=names,
        may_draft=may_draft,
        answer=shown(request, answered, spoken.gettext("Not made"), spoken.gettext("New version made")),
    )


def changes(known: Sequence[Version], version: Version) -> dict[str, tuple[Any, Any]] | None:
    """What a version changed of the one that held before it; None for the first."""
    earlier = [each for each in known if each.starts_on < version.starts_on]
    return policies.differences(version.rules, earlier[0].rules) if earlier else None


@get("/admin/policy/new")
async def new_version(request: AnyRequest) -> Response[Any]:
    """The form for a new version, filled with the rules that will hold then anyway."""
    administrator(request)
    bank = bank_of(request)
    async with bank.engine.connect() as connection:
        known = await policies.versions(connection, bank.book_id)
        today = local_day(bank.clock(), await purses.time_zone(connection, bank.book_id))
    following = (today.replace(day=1) + timedelta(days=32)).replace(day=1)
    return await form_page(request, uuid7(bank.clock()), values_of(following, policies.on_day(known, following)))


def values_of(starts_on: date, version: Version) -> dict[str, str]:
    """A version as the fields of the form."""
    rules = version.rules
    values = {"starts_on": starts_on.isoformat(), **{name: str(getattr(rules, name)) for name in NUMBERS}}
    values |= {name: getattr(rules, name) for name in GRADE_FIELDS}
    return values | {f"rate.{code}": str(rate) for code, rate in rules.rate_points_per_hour.items()}


async def form_page(
    request: AnyRequest,
    id: UUID,
    values: dict[str, str],
    error: Problem | BankError | None = None,
    found: Preview | None = None,
) -> Response[Any]:
    """The form, with what was typed before, what was wrong with it, and what it would have come to."""
    bank, spoken = bank_of(request), speaker(request)
    async with bank.engine.connect() as connection:
        services = await kinds.catalogue(connection, bank.book_id)
    problem = problem_of(error) if error else None
    return show(
        request,
        "admin/new_policy.html",
        **surroundings(request, "/admin/policy"),
        status=problem.status if problem else 200,
        id=id,
        values=values,
        numbers=policy.RANGES,
        grade_fields=GRADE_FIELDS,
        rate_highest=policy.RATE_HIGHEST,
        kinds=services,
        kind_names={row.code: spoken.pick(row.name_zh, row.name_en) for row in services},
        refusal=said(spoken, problem) if problem else None,
        preview=found,
    )


def said(spoken: Language, problem: Problem) -> str:
    """A refusal, naming a rule as the form does."""
    field = str(problem.data.get("field", ""))
    named = {"field": words.of(words.RULES, spoken, field)} if field in words.RULES else {}
    return sentence(problem.code, spoken.tag, {**problem.data, **named})


@post("/admin/policy/new", status_code=303)
async def make_version(request: AnyRequest) -> Response[Any]:
    """Try the rules of this form on last month, or make them the version of a day to come."""
    session, bank, form = administrator(request), bank_of(request), await Form.of(request)
    id, now = form.uuid("id"), bank.clock()
    values = {name: form.text(name) for name in form.fields if name not in ("csrf", "id", "action")}
    values |= {name: "".join(form.texts(name)) for name in GRADE_FIELDS}
    try:
        starts_on, rules = day_of(form), rules_of(form)
        if form.text("action") == "preview":
            async with bank.engine.connect() as connection:
                if not await policies.may_draft(connection, bank.book_id, session.member_id, now):
                    raise Problem("role_not_allowed")
                await policies.check(connection, bank.book_id, starts_on, rules, now)
                found = await preview(connection, bank.book_id, rules, now)
            return await form_page(request, id, values, found=found)
        command = Draft(id=id, actor_id=session.member_id, starts_on=starts_on, rules=rules)
        answer = await bank.commits.draft.submit(command)
        if answer.refused:
            # A refusal is remembered under its id: what is sent next is another command.
            id = uuid7(now)
            raise Problem(answer.code, answer.data)
    except (Problem, BankError) as error:
        return await form_page(request, id, values, error=error)
    return go("/admin/policy", answer=id)


def day_of(form: Form) -> date:
    """The first day in the form."""
    try:
        return date.fromisoformat(form.text("starts_on"))
    except ValueError:
        raise Problem("invalid", {"field": "starts_on", "reason": "type"}) from None


def rules_of(form: Form) -> policy.Rules:
    """The rules in the form. A kind of service without a rate of its own has the usual one."""
    fields: dict[str, Any] = {name: "".join(form.texts(name)) for name in GRADE_FIELDS}
    for name, (lowest, highest) in policy.RANGES.items():
        number = form.integer(name, lowest, highest)
        if number is None:
            raise Problem("invalid", {"field": name, "reason": "missing"})
        fields[name] = number
    rates = {}
    for name in form.fields:
        rate = form.integer(name, 0, policy.RATE_HIGHEST) if name.startswith("rate.") else None
        if rate is not None:
            rates[name.removeprefix("rate.")] = rate
    return policy.Rules(rate_points_per_hour=rates, **fields)


handlers = [versions, new_version, make_version]
