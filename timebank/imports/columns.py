"""Which column is which field: guessed from the header, shown, and changed by whoever knows better."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

from timebank.errors import BankError
from timebank.imports import cells
from timebank.imports.cells import Cell, Unreadable
from timebank.imports.sheets import SheetRow

# Titles and remarks stand above the header.
HEADER_WITHIN = 20
TOTALS = re.compile(r"^(?:合\s*计|总\s*计|小\s*计|共\s*计|制表|填表|审核|备注|注[:：]|total\b)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Field:
    """Something that a row says. `names` are the headers that mean it, without blanks and lower case."""

    name: str
    names: tuple[str, ...]
    read: Callable[[Cell], Any] = cells.text
    required: bool = False


REGION = ("所属区域", "区域", "社区", "所属社区", "村社区", "所在社区", "居住社区", "区划代码", "region", "community")
NAME = Field(
    "name", ("姓名", "志愿者姓名", "志愿者", "成员姓名", "成员", "name", "volunteer"), cells.name, required=True
)
PHONE = Field(
    "phone",
    ("手机号", "手机", "手机号码", "电话", "联系电话", "联系方式", "电话号码", "phone", "mobile"),
    cells.phone,
)
FIELDS: dict[str, tuple[Field, ...]] = {
    "regions": (
        Field(
            "code", ("代码", "区划代码", "统计用区划代码", "行政区划代码", "编码", "code"), cells.code, required=True
        ),
        Field("name", ("名称", "区划名称", "单位名称", "区域名称", "name"), required=True),
        Field("level", ("级别", "层级", "level")),
        Field("parent", ("上级代码", "上级", "父级代码", "上级区划代码", "parent")),
        Field("name_en", ("英文名称", "英文名", "name_en")),
    ),
    "stations": (
        Field(
            "name", ("站点名称", "名称", "服务站名称", "站点", "服务站", "志愿服务站", "name", "station"), required=True
        ),
        Field("region", REGION, required=True),
        Field("address", ("地址", "详细地址", "站点地址", "address"), required=True),
        Field("name_en", ("英文名称", "英文名", "name_en")),
        Field("organising_unit", ("组织单位", "主办单位", "管理单位", "所属单位", "organising_unit", "unit")),
        Field("person_in_charge", ("负责人", "站长", "站点负责人", "联系人", "person_in_charge"), cells.name),
        Field("number", ("站点编号", "编号", "站号", "number"), cells.whole),
        Field("kind", ("服务类别", "服务类型", "类别", "kind")),
        Field("cap_minutes", ("单次上限分钟", "上限分钟", "cap_minutes"), cells.whole),
    ),
    "members": (
        NAME,
        PHONE,
        Field("region", REGION),
    ),
    "cards": (NAME, PHONE),
    "hours": (
        NAME,
        PHONE,
        Field(
            "minutes",
            (
                "服务时长",
                "时长",
                "小时",
                "服务小时",
                "小时数",
                "累计时长",
                "志愿时长",
                "服务时数",
                "工时",
                "分钟",
                "hours",
                "minutes",
            ),
            cells.minutes,
            required=True,
        ),
        Field("date", ("日期", "服务日期", "活动日期", "服务时间", "时间", "活动时间", "date"), cells.moment),
        Field("station", ("站点", "服务站", "服务站点", "站点名称", "站点编号", "station")),
        Field("activity", ("活动名称", "活动", "项目", "项目名称", "服务项目", "activity")),
        Field("content", ("服务内容", "内容", "content")),
        Field("kind", ("服务类别", "服务类型", "类别", "kind")),
        Field("place", ("服务地点", "地点", "活动地点", "place")),
        Field("organising_unit", ("组织单位", "主办单位", "organising_unit")),
        Field("person_in_charge", ("负责人", "活动负责人", "person_in_charge"), cells.name),
        Field("source", ("来源", "数据来源", "依据", "source")),
    ),
    "points": (
        NAME,
        PHONE,
        Field("points", ("积分", "积分余额", "期初积分", "剩余积分", "可用积分", "points"), cells.whole, required=True),
        Field("fund", ("基金", "出资基金", "fund")),
        Field("source", ("来源", "数据来源", "依据", "source")),
    ),
}


class ColumnsUnclear(BankError):
    """A field that every row needs has no column. data: `fields`, the missing ones; `columns`, what the header says."""

    code = "import_columns"


@dataclass(frozen=True, slots=True)
class Header:
    """The header's row number, and by column: its title and the field that it is, None where it says nothing to us."""

    header: int
    columns: tuple[tuple[str, str | None], ...]

    def as_document(self) -> list[list[str | None]]:
        """What is kept and shown: title and field of each column that has a title."""
        return [[title, field] for title, field in self.columns if title]


def plain(title: Cell) -> str:
    """A header without what people put around it: blanks, stars, remarks in brackets."""
    return re.sub(r"[\s*＊:：]|[(（\[【].*?[)）\]】]", "", cells.text(title)).lower()


def guess(kind: str, titles: Sequence[Cell]) -> dict[int, str]:
    """Which field each column is. A title that is a field's own name counts before one that contains it."""
    wanted, found = {field.name: field for field in FIELDS[kind]}, dict[int, str]()
    seen = [plain(title) for title in titles]
    for contains in (False, True):
        for field in wanted.values():
            if field.name in found.values():
                continue
            for name in (field.name, *field.names):
                column = next(
                    (
                        number
                        for number, title in enumerate(seen)
                        if number not in found
                        and title
                        and (title == name or (contains and len(name) > 1 and name in title))
                    ),
                    None,
                )
                if column is not None:
                    found[column] = field.name
                    break
    return found


def find_header(kind: str, rows: Iterable[SheetRow], chosen: Mapping[str, str]) -> Header:
    """The header among the first rows: the one in which most fields are found; and what `chosen` says of its titles.

    `chosen` maps titles to fields, or to "" for none. Errors: `import_columns`.
    """
    found = likely_header(kind, rows, chosen)
    if found is None or missing_fields(kind, found):
        titles = [title for title, _ in found.columns if title] if found else []
        raise ColumnsUnclear(fields=missing_fields(kind, found), columns=titles[:40])
    return found


def likely_header(kind: str, rows: Iterable[SheetRow], chosen: Mapping[str, str]) -> Header | None:
    """The same, whatever is missing in it; None where there are no rows."""
    best: tuple[int, SheetRow, dict[int, str]] | None = None
    for row in islice(rows, HEADER_WITHIN):
        found = assigned(kind, row.cells, chosen)
        if best is None or len(found) > best[0]:
            best = (len(found), row, found)
    if best is None:
        return None
    _, row, found = best
    return Header(row.number, tuple((cells.text(cell), found.get(place)) for place, cell in enumerate(row.cells)))


def missing_fields(kind: str, header: Header | None) -> list[str]:
    """The fields that every row needs and that no column of the header is."""
    there = {field for _, field in header.columns} if header else set[str | None]()
    return sorted(field.name for field in FIELDS[kind] if field.required and field.name not in there)


def assigned(kind: str, titles: Sequence[Cell], chosen: Mapping[str, str]) -> dict[int, str]:
    """The guess, with what somebody chose in its place."""
    found = guess(kind, titles)
    for place, title in enumerate(titles):
        field = chosen.get(cells.text(title))
        if field is None:
            continue
        found = {column: name for column, name in found.items() if column != place and name != field}
        if field:
            found[place] = field
    return found


def check_chosen(kind: str, chosen: Mapping[str, str]) -> None:
    """Raise `import_columns` for a field that this kind has not."""
    known = {field.name for field in FIELDS[kind]}
    if strange := sorted({field for field in chosen.values() if field} - known):
        raise ColumnsUnclear(fields=strange, columns=sorted(known))


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads rows by a mapping."""

    kind: str
    mapping: Header

    def read(self, row: SheetRow) -> "Read":
        """What a row says. A cell that cannot be read is named, and the row is refused."""
        first = next((cells.text(cell) for cell in row.cells if cell not in (None, "")), "")
        if TOTALS.match(first):
            return Read(row.number, {}, left=True)
        values: dict[str, Any] = {}
        fields = {field.name: field for field in FIELDS[self.kind]}
        for (title, name), cell in zip(self.mapping.columns, row.cells, strict=False):
            if name is None or cell is None or not cells.text(cell):
                continue
            reader = fields[name].read
            if reader is cells.minutes and "分" in title and "小时" not in title:
                reader = partial(cells.minutes, per_unit=1)
            try:
                values[name] = reader(cell)
            except (Unreadable, OverflowError):
                return Read(row.number, values, field=name)
        missing = next(
            (each.name for each in FIELDS[self.kind] if each.required and values.get(each.name) in (None, "")), None
        )
        return Read(row.number, values, field=missing)


@dataclass(frozen=True, slots=True)
class Read:
    """A row as values by field; `field` is the one that cannot be read or is missing, `left` a row of totals."""

    number: int
    values: Mapping[str, Any]
    field: str | None = None
    left: bool = False
