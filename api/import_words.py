"""What an import says of a row and of a column, in Chinese and English."""

STATES = {
    "added": ("新增", "added"),
    "same": ("已有", "there already"),
    "left": ("略过", "left out"),
    "refused": ("未导入", "refused"),
}
KINDS = {
    "regions": ("区域", "Regions"),
    "stations": ("服务站", "Stations"),
    "members": ("成员", "Members"),
    "cards": ("志愿者卡", "Cards"),
    "hours": ("服务时长", "Hours"),
    "points": ("期初积分", "Opening points"),
}
FIELDS = {
    "activity": ("活动", "activity"),
    "address": ("地址", "address"),
    "cap_minutes": ("单次上限分钟", "cap in minutes"),
    "code": ("区划代码", "division code"),
    "content": ("内容", "content"),
    "date": ("日期", "date"),
    "fund": ("基金", "fund"),
    "kind": ("服务类别", "kind of service"),
    "level": ("级别", "level"),
    "minutes": ("时长", "hours"),
    "name": ("名称", "name"),
    "name_en": ("英文名称", "English name"),
    "number": ("编号", "number"),
    "organising_unit": ("组织单位", "organising unit"),
    "parent": ("上级代码", "parent"),
    "person_in_charge": ("负责人", "person in charge"),
    "phone": ("手机号", "phone"),
    "place": ("地点", "place"),
    "points": ("积分", "points"),
    "region": ("所属区域", "region"),
    "source": ("来源", "source"),
    "station": ("站点", "station"),
}
# In lists of people.
NAME = ("姓名", "full name")
# Why a row is refused. Other codes are those of docs/reference/errors.md.
ROW_CODES = {
    "unreadable": ("缺少或无法识别：{field}", "missing, or cannot be read: {field}"),
    "parent_unknown": ("找不到上级区域", "the region above is not there"),
    "region_unknown": ("没有这个区域", "there is no such region"),
    "region_ambiguous": ("有多个同名区域，请填区划代码", "several regions have this name: give the division code"),
    "kind_unknown": ("没有这个服务类别", "there is no such kind of service"),
    "station_unknown": ("没有这个站点", "there is no such station"),
    "fund_unknown": ("没有这个基金", "there is no such fund"),
    "fund_dry": ("基金余额不足", "the fund has not enough points left"),
    "member_unknown": ("没有这位成员", "there is no such member"),
    "member_name_differs": ("手机号属于另一个姓名的成员", "the phone number belongs to a member of another name"),
    "member_ambiguous": ("有多位同名成员，请填手机号", "several members have this name: give the phone number"),
    "own_record": ("不能为自己或家人导入", "nobody imports for themselves or their household"),
    "date_impossible": ("日期不可能", "this date cannot be"),
    "points_not_positive": ("积分须大于零", "points have to be more than zero"),
}


def field_words(kind: str, field: str, language: str) -> str:
    """What a field of rows of a kind is called, in "zh" or "en"."""
    words = NAME if field == "name" and kind not in ("regions", "stations") else FIELDS[field]
    return words[0 if language == "zh" else 1]


def words_of(code: str, field: str | None, language: str) -> str:
    """Why a row was refused, in "zh" or "en"; the code itself where it is one of the bank's other refusals."""
    place = 0 if language == "zh" else 1
    named = FIELDS[field][place] if field in FIELDS else field or ""
    if code == "invalid":
        return (f"填写有误：{named}", f"not as it has to be: {named}")[place]
    if code in ROW_CODES:
        return ROW_CODES[code][place].format(field=named)
    return f"{named}: {code}" if named else code
