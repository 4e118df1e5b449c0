"""Imports in the office: handed in, looked at, tried, imported, removed; and what is no spreadsheet, or not theirs."""

import csv
import io
import re
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import func, select, update

from api.tending import Tending
from tests.api.conftest import Build
from tests.api.people import Person, Town
from timebank.imports import runs, uploads, waiting
from timebank.keys import ServedKeys
from timebank.tables import audit_entry, import_run, import_upload, member, record

PEOPLE = "某社区花名册\n姓名,手机,身份,社区\n王芳,13955550001,党员,\n李 明,１３９５５５５０００２,,\n赵一,12,,\n"
HOURS = "谁,手机号,日期,时长\n王芳,13955550001,2024年3月5日,2.5\n李明,13955550002,2024-3-6,1\n"


@pytest.fixture
async def admin(town: Town) -> Person:
    """Who administers the whole city."""
    return await town.with_role("admin")


def place_of(town: Town) -> Path:
    """Where spreadsheets wait."""
    return uploads.directory(town.bank.settings.data)


async def token(person: Person) -> str:
    """What a form of ours carries."""
    return str(re.findall(r'name="csrf" value="([0-9a-f]+)"', (await person.get("/admin")).text)[0])


async def upload(person: Person, content: bytes, kind: str = "members", name: str = "名册.csv") -> httpx.Response:
    """Hand a file in."""
    data, files = {"csrf": await token(person), "kind": kind}, {"file": (name, content, "text/csv")}
    headers = {"Origin": person.address}
    return await person.client.post("/admin/imports", data=data, files=files, headers=headers)


async def handed_in(person: Person, text: str, kind: str = "members") -> str:
    """Hand a good file in; answers where its page is."""
    answer = await upload(person, text.encode("gbk"), kind)
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


async def fill(person: Person, path: str, status: int = 303, **fields: Any) -> str:
    """Send a form of ours."""
    answer = await person.client.post(
        path, data={"csrf": await token(person), **fields}, headers={"Origin": person.address}
    )
    assert answer.status_code == status, answer.text
    return answer.text


async def work(town: Town) -> int:
    """What the process beside the bank does."""
    return await waiting.work(town.bank.engine, town.bank.book_id, town.bank.keys, place_of(town), town.bank.clock)


async def count(town: Town, table: Any) -> int:
    query = select(func.count()).select_from(table).where(table.c.book_id == town.bank.book_id)
    async with town.bank.engine.connect() as connection:
        return int(await connection.scalar(query) or 0)


async def test_a_list_of_people_is_handed_in_tried_and_imported(town: Town, admin: Person) -> None:
    path, before = await handed_in(admin, PEOPLE), await count(town, member)
    id = UUID(path.rpartition("/")[2])
    file = uploads.file_of(place_of(town), id)
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    page = (await admin.get(path)).text
    for words in ("名册.csv", "表头在第 2 行", "王芳", "试算"):
        assert words in page
    # Nothing is tried before somebody says so, and nothing is imported that was not tried.
    assert await work(town) == 0
    await fill(admin, f"{path}/start", 409)
    await fill(admin, path, then="try", **{"column-0": "name", "column-1": "phone", "column-3": "region"})
    assert "data-progress" in (await admin.get(path)).text
    assert await work(town) == 1
    page = (await admin.get(path)).text
    for words in ("第 5 行", "尚未写入任何内容", "现在导入"):
        assert words in page
    assert await count(town, member) == before
    report = await admin.get(f"{path}/report.csv")
    rows = list(csv.reader(io.StringIO(report.content.decode("utf-8-sig"))))
    assert [row[:2] for row in rows] == [["行", "结果"], ["3", "新增"], ["4", "新增"], ["5", "未导入"]]
    await fill(admin, f"{path}/start")
    # Asked twice, it is done once.
    await fill(admin, f"{path}/start")
    assert (await work(town), await work(town)) == (1, 0)
    page = (await admin.get(path, headers={"Accept-Language": "en"})).text
    assert await count(town, member) == before + 2
    assert not file.exists()
    assert uploads.report_of(place_of(town), id).exists()
    for query, found in (
        ("", True),
        ("?kind=members&state=done", True),
        ("?kind=cards", False),
        ("?state=failed", False),
    ):
        assert ("名册.csv" in (await admin.get(f"/admin/imports{query}")).text) == found, query
    assert (await admin.get(f"{path}/report.csv")).status_code == 200
    # Who comes second with the same list finds everybody there.
    again = await handed_in(admin, PEOPLE)
    await fill(admin, again, then="try")
    await work(town)
    async with town.bank.engine.connect() as connection:
        query = select(import_upload).where(import_upload.c.id == UUID(again.rpartition("/")[2]))
        row = (await connection.execute(query)).one()
        actions = set(
            await connection.scalars(
                select(audit_entry.c.action).where(
                    audit_entry.c.book_id == town.bank.book_id, audit_entry.c.actor_id == admin.member_id
                )
            )
        )
    assert (row.state, row.added, row.same, row.refused, row.reached) == ("tried", 0, 2, 1, 3)
    assert {"import.upload", "import.begin", "import.end"} <= actions
    await fill(admin, f"{again}/removal")
    assert not list(place_of(town).glob(f"{row.id}*"))
    assert "文件不在" not in (await admin.get(again)).text


async def test_columns_are_chosen_and_hours_are_vouched_for(town: Town, admin: Person) -> None:
    path = await handed_in(admin, PEOPLE)
    await fill(admin, path, then="try")
    await work(town)
    await fill(admin, f"{path}/start")
    await work(town)
    path = await handed_in(admin, HOURS, "hours")
    page = (await admin.get(path)).text
    assert "缺少一列" in page
    await fill(admin, path, 422, then="try")
    await fill(admin, path, 422, then="try", station="77")
    columns = {"column-0": "name", "column-1": "phone", "column-2": "date", "column-3": "minutes"}
    await fill(admin, path, then="look", station=town.city.station.number, **columns)
    page = (await admin.get(path)).text
    assert "缺少一列" not in page
    assert f'value="{town.city.station.number}"' in page
    await fill(admin, path, then="try", station=town.city.station.number, **columns)
    await work(town)
    assert "您的姓名" in (await admin.get(path)).text
    await fill(admin, f"{path}/start")
    await work(town)
    async with town.bank.engine.connect() as connection:
        rows = (await connection.execute(select(record).where(record.c.book_id == town.bank.book_id))).all()
    assert [(row.grade, row.decided_by) for row in rows] == [("D", admin.member_id)] * 2
    # As what it is taken for, it has other columns.
    path = await handed_in(admin, HOURS, "hours")
    await fill(admin, path, kind="cards", then="look")
    assert "志愿者卡" in (await admin.get(path)).text
    await fill(admin, path, 422, kind="nonsense", then="look")


async def test_what_is_no_spreadsheet_is_said_at_once(town: Town, admin: Person) -> None:
    for content, kind, status in (
        (b"PK\x03\x04broken", "members", 422),
        (b"", "members", 422),
        (b"\xff" * 100, "members", 422),
        ("姓名\n王芳\n".encode(), "nonsense", 422),
        (b"a" * (uploads.SIZE_LIMIT_BYTES + 1), "members", 413),
        (b"a" * (uploads.SIZE_LIMIT_BYTES + 200_000), "members", 413),
    ):
        answer = await upload(admin, content, kind)
        assert answer.status_code == status, (kind, len(content), answer.text)
    await fill(admin, "/admin/imports", 422, kind="members")
    assert not list(place_of(town).glob("*.sheet"))
    assert await count(town, import_upload) == 0


async def test_only_who_administers_the_whole_city(town: Town, admin: Person) -> None:
    path = await handed_in(admin, PEOPLE)
    other = await town.with_role("admin", region_id=town.city.district_id)
    assert "只有管理全市的管理员可以导入" in (await other.get("/admin/imports")).text
    assert (await upload(other, PEOPLE.encode())).status_code == 403
    for each in (path, f"{path}/report.csv"):
        assert (await other.get(each)).status_code == 403
    for each in (path, f"{path}/start", f"{path}/removal"):
        await fill(other, each, 403)
    for each in ("", "/report.csv"):
        assert (await admin.get(f"/admin/imports/{uuid4()}{each}")).status_code == 404
    assert (await admin.get(f"{path}/report.csv")).status_code == 404


async def test_an_import_that_was_cut_off_is_gone_on_with(
    town: Town, admin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = "姓名,手机\n" + "".join(f"甲{number},1395556{number:04d}\n" for number in range(60))
    path, before = await handed_in(admin, people), await count(town, member)
    await fill(admin, path, then="try")
    await work(town)
    await fill(admin, f"{path}/start")
    with monkeypatch.context() as patched:
        patched.setattr(runs, "BATCH_ROWS", 20)
        settle, calls = runs.settle, []

        async def breaking(*arguments: Any) -> Any:
            calls.append(1)
            if len(calls) == 3:
                raise ConnectionError("the machine went off")
            return await settle(*arguments)

        patched.setattr(runs, "settle", breaking)
        with pytest.raises(ConnectionError):
            await work(town)
    assert await count(town, member) == before + 40
    page = (await admin.get(path)).text
    assert "40 行" in page
    assert waiting.wanted(place_of(town)) is not None
    # The process was killed, and could not even say that it stopped; what another one did is none of it.
    async with town.bank.engine.begin() as connection:
        await connection.execute(
            update(import_run).where(import_run.c.book_id == town.bank.book_id).values(state="running", ended_at=None)
        )
    assert await work(town) == 1
    assert await count(town, member) == before + 60
    # All of them are its own, those of before too.
    async with town.bank.engine.connect() as connection:
        query = select(import_upload.c.added, import_upload.c.same).where(import_upload.c.book_id == town.bank.book_id)
        assert tuple((await connection.execute(query)).one()) == (60, 0)
    # A file that is gone, and one of a kind for which nobody has the right any more, fail and say so.
    path = await handed_in(admin, people)
    await fill(admin, path, then="try")
    uploads.look_of(place_of(town), UUID(path.rpartition("/")[2])).unlink()
    await work(town)
    page = (await admin.get(path)).text
    assert "没有成功" in page
    assert "文件不在这台机器上" in page
    await fill(admin, path, 404, then="look")


async def test_what_nobody_goes_on_with_is_removed_after_a_week(town: Town, admin: Person) -> None:
    left, done = await handed_in(admin, PEOPLE), await handed_in(admin, PEOPLE)
    await fill(admin, done, then="try")
    await work(town)
    await fill(admin, f"{done}/start")
    await work(town)
    drop = uploads.dropping(place_of(town))

    async def turn(after: timedelta) -> int:
        async with town.bank.engine.begin() as connection:
            return await drop(connection, town.bank.book_id, town.bank.clock() + after)

    assert await turn(timedelta(days=6)) == 0
    assert sorted(path.suffix for path in place_of(town).iterdir()) == [".csv", ".look", ".sheet"]
    assert await turn(timedelta(days=8)) == 1
    assert await turn(timedelta(days=8)) == 0
    assert not list(place_of(town).iterdir())
    assert "已移除" in (await admin.get(left)).text


async def test_the_bank_starts_a_process_for_what_waits(build: Build, tmp_path: Path) -> None:
    async with build() as town:
        admin = await town.with_role("admin")
        town.bank.tending = Tending(town.bank.settings, ServedKeys(tmp_path / "keys.json"), town.watch)
        path = await handed_in(admin, PEOPLE)
        await fill(admin, path, then="try")
        assert town.bank.tending.importing is not None
        await town.bank.tending.stop()
        async with town.bank.engine.begin() as connection:
            query = select(import_upload.c.state).where(import_upload.c.book_id == town.bank.book_id)
            assert await connection.scalar(query) == "trying"
            await connection.execute(update(import_upload).values(state="there").where(import_upload.c.id == uuid4()))
