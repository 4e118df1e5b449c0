"""`timebank import` at a terminal: what was understood is shown, what was refused is said, a report is left."""

import asyncio
import csv
import fcntl
import io
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from api import import_words
from api.cli import main
from api.commands import imports as commands
from tests.factories import MORNING as NOW
from tests.factories import City, build_city
from timebank import members
from timebank.database import create_engine
from timebank.ids import uuid7
from timebank.imports import runs, uploads, waiting
from timebank.imports.columns import FIELDS
from timebank.keys import Keys

PEOPLE = "姓名,手机号\n王芳,13955550001\n李明,１３９５５５５０００２\n赵一,12\n"
HOURS = "姓名,手机号,日期,时长\n王芳,13955550001,2024年3月5日,2.5\n李明,,2024-3-6,1\n"


@pytest.fixture
def settings(tmp_path: Path, database: Any, new_book: int, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A bank of its own, and files beside it."""
    monkeypatch.setattr(commands.console, "width", 200)
    keys = Keys.load_or_create(tmp_path / "keys.json")

    async def build() -> City:
        engine = create_engine(database.service_url)
        async with engine.begin() as connection:
            city = await build_city(connection, new_book, keys)
            await city.grant(connection, city.manager_id, "admin", region_id=city.region_id)
        await engine.dispose()
        return city

    city = asyncio.run(build())
    (tmp_path / "people.csv").write_text(PEOPLE, encoding="gbk")
    (tmp_path / "hours.csv").write_text(HOURS, encoding="utf-8")
    return {
        "TIMEBANK_DATA": str(tmp_path),
        "TIMEBANK_DATABASE_URL": database.service_url,
        "TIMEBANK_BOOK": str(new_book),
        "PHONE": city.phones[city.manager_id],
    }


def run(settings: dict[str, str], *arguments: str) -> Result:
    return CliRunner().invoke(main, ["import", *arguments], env=settings)


def test_a_community_brings_its_people_and_their_hours(settings: dict[str, str], tmp_path: Path) -> None:
    people, report = str(tmp_path / "people.csv"), tmp_path / "report.csv"
    tried = run(settings, "members", people, "--dry-run", "--language", "zh", "--report", str(report))
    assert tried.exit_code == 1, tried.output
    for words in ("手机号", "name", "第4 行", "新增 2", "未导入 1", "没有写入任何内容"):
        assert words in tried.output
    with report.open(encoding="utf-8-sig", newline="") as lines:
        assert [row[:4] for row in csv.reader(lines)] == [
            ["row", "state", "code", "field"],
            ["2", "added", "", ""],
            ["3", "added", "", ""],
            ["4", "refused", "invalid", "phone"],
        ]
    strict = run(settings, "members", people, "--strict", "--language", "en")
    assert (strict.exit_code, "Nothing was written." in strict.output) == (1, True)
    done = run(settings, "members", people, "--language", "en")
    assert "added 2, there already 0, left out 0, refused 1" in done.output
    again = run(settings, "members", people, "--language", "en")
    assert "added 0, there already 2, left out 0, refused 1" in again.output

    hours = [str(tmp_path / "hours.csv"), "--language", "en"]
    assert "role_not_allowed" in run(settings, "hours", *hours).output
    somebody = ["--as", settings["PHONE"]]
    assert "station_unknown" in run(settings, "hours", *hours, *somebody).output
    assert "no such station (not_found)" in run(settings, "hours", *hours, *somebody, "--station", "99").output
    assert "not_found" in run(settings, "hours", *hours, "--as", "13955559999").output
    assert "not_found" in run(settings, "points", *hours, "--fund", "无", "--map", "时长=points").output
    nowhere = {**settings, "TIMEBANK_BOOK": "2000000002"}
    assert "book_missing" in run(nowhere, "members", people).output
    done = run(settings, "hours", *hours, *somebody, "--station", "1", "--strict")
    assert done.exit_code == 0, done.output
    assert "added 2" in done.output


def test_an_import_that_was_cut_off_says_what_it_added_before(
    settings: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    people, plain = [str(tmp_path / "people.csv"), "--language"], runs.settle

    async def breaking(*arguments: Any) -> Any:
        if arguments[2][0].number > 2:
            raise OSError("the cable")
        return await plain(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(runs, "BATCH_ROWS", 1)
        patched.setattr(runs, "settle", breaking)
        assert run(settings, "members", *people, "en").exit_code == 1
    again = run(settings, "members", *people, "zh").output
    assert "新增 2, 已有 0, 略过 0, 未导入 1；其中 1 行在中断前已新增" in again
    assert "added 0, there already 2, left out 0, refused 1\n" in run(settings, "members", *people, "en").output


def test_what_was_asked_for_in_the_office_is_carried_out_by_one_process_at_a_time(
    settings: dict[str, str], tmp_path: Path
) -> None:
    place, id = uploads.directory(tmp_path), uuid7(NOW)
    book_id, keys = int(settings["TIMEBANK_BOOK"]), Keys.load_or_create(tmp_path / "keys.json")

    async def ask(state: str) -> None:
        engine = create_engine(settings["TIMEBANK_DATABASE_URL"])
        async with engine.begin() as connection:
            admin = await members.by_phone(connection, book_id, keys, settings["PHONE"])
            assert admin is not None
            who: dict[str, Any] = {"id": id, "actor_id": admin.id, "now": NOW}
            if state == "trying":
                digest = uploads.keep(place, id, io.BytesIO(PEOPLE.encode("gbk")))
                seen = uploads.look(uploads.file_of(place, id), "members")
                uploads.save(place, id, seen)
                await uploads.hand_in(connection, book_id, seen, file_name="名册.csv", digest=digest, **who)
            await uploads.ask(connection, book_id, place, id, state, actor_id=admin.id, now=NOW)
        await engine.dispose()
        waiting.want(place, id)

    def work() -> str:
        done = CliRunner().invoke(main, ["import-uploads"], env=settings)
        assert done.exit_code == 0, done.output
        return done.output

    assert work() == "0 done.\n"
    asyncio.run(ask("trying"))
    with (place / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert work() == ""
    assert work() == "1 done.\n"
    asyncio.run(ask("importing"))
    assert work() == "1 done.\n"
    # What was imported is not kept.
    assert not uploads.file_of(place, id).exists()
    assert (
        "added 0, there already 2" in run(settings, "members", str(tmp_path / "people.csv"), "--language", "en").output
    )


def test_what_is_no_list_of_people_says_so(settings: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("甲,乙\n1,2\n", encoding="utf-8")
    (tmp_path / "broken.xlsx").write_bytes(b"PK\x03\x04")
    for name, code in (("other.csv", "import_columns"), ("broken.xlsx", "sheet_unreadable")):
        result = run(settings, "members", str(tmp_path / name))
        assert result.exit_code == 1
        assert code in result.output
    assert "import_columns" in run(settings, "members", str(tmp_path / "people.csv"), "--map", "姓名=salary").output


def test_every_kind_and_field_has_words() -> None:
    assert set(import_words.KINDS) == set(runs.SETTLE) == set(FIELDS)
    assert {field.name for fields in FIELDS.values() for field in fields} == set(import_words.FIELDS)
    source = "".join(path.read_text(encoding="utf-8") for path in Path(runs.__file__).parent.glob("*.py"))
    page = (Path(__file__).parents[2] / "docs" / "reference" / "imports.md").read_text(encoding="utf-8")
    for code in import_words.ROW_CODES:
        assert f'"{code}"' in source
        assert f"`{code}`" in page
    assert import_words.words_of("unreadable", "date", "zh") == "缺少或无法识别：日期"
    assert import_words.words_of("invalid", "phone", "en") == "not as it has to be: phone"
    assert import_words.words_of("conflict", None, "en") == "conflict"
