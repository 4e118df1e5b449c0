"""Bad input loses nothing: a refused form comes back as it was sent, on every page."""

from api.pages.refilling import refilled
from tests.api.filled import Forms, lost, unnamed
from tests.api.people import Town

PAGE = """<details><summary>A</summary><form method="post" action="/a"><input type="hidden" name="id" value="1">
<input type="hidden" name="what" value="one"><input name="text" value="old"></form></details>
<details><summary>B</summary><form method="post" action="/a"><input type="hidden" name="id" value="2">
<input type="hidden" name="what" value="two"><input name="text" value="old" required>
<input type="date" name="day"><textarea name="why">old</textarea>
<select name="pick"><option value="">-</option><option value="x" selected>X</option></select>
<select name="gone"><option value="x" selected>X</option></select>
<input type="checkbox" name="many" value="a"><input type="checkbox" name="many" value="b" checked>
<input type="checkbox" name="many" value="c"><input type="radio" name="one" value="l" checked>
<input type="radio" name="one" value="r"><input type="password" name="pin"><input type="file" name="file">
<input name="digits" autocomplete="one-time-code"><input name="number" data-forget>
<button name="then" value="go">Go</button></form></details>
<form method="post" action="/b"><input name="text" value="old"></form>"""
SENT = {
    "id": ["7"],
    "what": ["two"],
    "text": ['"><b>'],
    "day": ["2026-03-02"],
    "why": ["<\r\n&"],
    "pick": [""],
    "gone": ["z"],
    "many": ["a", "c"],
    "one": ["r"],
    "pin": ["123456"],
    "digits": ["123456"],
    "number": ["123456"],
    "then": ["go"],
}


def test_every_kind_of_field_holds_what_was_sent_and_no_secret_does() -> None:
    found = refilled(PAGE, "/a", SENT)
    (_, first), (_, second), (_, third) = Forms(found).found
    assert [each.values for each in first] == [["1"], ["one"], ["old"]]
    assert [each.values for each in third] == [["old"]]
    assert Forms(found).shut == [True, False, False]
    values: dict[str, list[str]] = {}
    for each in second:
        values.setdefault(each.name, []).extend(each.values)
    kept = {name: SENT[name] for name in ("what", "text", "day", "pick", "many", "one")}
    secret = {name: [""] for name in ("pin", "file", "digits", "number")}
    assert values == {**kept, **secret, "id": ["2"], "why": ["<\n&"], "gone": ["x"]}
    assert "123456" not in found
    # Nothing is put into a form that was not sent, nor into the wrong one of several.
    for action, sent in (
        ("/c", SENT),
        ("/a", {"what": ["three"], "text": ["x"]}),
        ("/b", {"text": ["x"], "more": ["x"]}),
    ):
        assert refilled(PAGE, action, sent) == PAGE


async def test_a_refused_form_comes_back_as_it_was_sent(town: Town) -> None:
    station = f"/stations/{town.city.station.number}"
    manager, admin = await town.member(town.city.manager_id), await town.with_role("admin")
    nobody, number = "13999999999", "110105194912310021"
    times = {"day": "2026-03-01", "start": "09:00", "end": "08:00"}
    entry = {**times, "reason": "手机没电"}
    member_id = await town.join("林一")
    phone = town.city.phones[member_id]
    for page in (station, f"{station}/paper", f"{station}/identity", "/privacy", "/helpers", "/tokens", "/card"):
        text = (await manager.get(page)).text
        assert (list(lost(text)), unnamed(text)) == ([], set()), page
    for person, path, fields in (
        (admin, "/admin/webhooks", {"url": "ftp://x", "events": ["record.corrected", "shift.planned"]}),
        (manager, f"{station}/entries", {**entry, "member": nobody}),
        (manager, f"{station}/entries", {**entry, "member": phone}),
        (manager, f"{station}/shifts", {**times, "grace": "20", "capacity": "7"}),
        (manager, f"{station}/identity", {"member": nobody, "kind": "passport", "number": number, "seen": "yes"}),
        (manager, f"{station}/certificates", {"member": nobody, "since": "2026-01-02", "until": "2026-02-03"}),
        (manager, f"{station}/card-sheets", {"members": nobody, "replace": "1"}),
        (manager, "/tokens", {"name": "", "scope": "figures", "life_days": "30"}),
        (manager, "/helpers", {"code": "x", "starts_on": "2026-03-04", "ends_on": "2026-03-01"}),
        (manager, "/privacy/children", {"name": "林小苗", "born": "1980-01-02", "agreed": ["service"]}),
        (manager, "/certificates", {"since": "2026-02-03", "until": "2026-01-02"}),
    ):
        answer = await person.fill(path, id=person.new_id(), **fields)
        assert 400 <= answer.status_code < 500, (path, answer.status_code)
        forms = Forms(answer.text)
        open_ones = [form for form, shut in zip(forms.found, forms.shut, strict=True) if not shut]
        sent = {name: [value] if isinstance(value, str) else value for name, value in fields.items()}
        found: list[dict[str, list[str]]] = []
        for action, controls in open_ones:
            if action == path:
                found.append({name: [] for name in sent})
                for each in controls:
                    found[-1].setdefault(each.name, []).extend(each.values)
        wanted = {**sent, "number": [""], "seen": []} if "number" in sent else sent
        assert wanted in [{name: each[name] for name in wanted} for each in found], (path, found)
        assert number not in answer.text
    # What cannot be read at all loses only itself.
    birth = f"/admin/members/{member_id}/birth"
    for guardian in ("x" * 4001, "a\0b"):
        answer = await admin.fill(birth, id=admin.new_id(), born="2015-01-02", guardian_id=guardian)
        (form,) = [controls for action, controls in Forms(answer.text).found if action == birth]
        assert 400 <= answer.status_code <= 422
        assert ["2015-01-02"] in [each.values for each in form]
