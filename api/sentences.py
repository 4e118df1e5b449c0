"""What every code says to people, in Chinese and English, and the HTTP status it is answered with.

This is the one place where a refusal becomes words. `docs/reference/errors.md` is held against it, and a test
fails on a code anywhere in the code base that is missing here.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from api.field_words import FIELDS


class Sentence(NamedTuple):
    """One code: its status, and one sentence in each language. `{name}` is filled from the problem's data."""

    status: int
    zh: str
    en: str


SENTENCES: dict[str, Sentence] = {
    # The request itself.
    "json_malformed": Sentence(400, "请求内容不是正确的 JSON。", "The request is not well-formed JSON."),
    "json_too_deep": Sentence(400, "请求内容嵌套过深。", "The JSON in the request is nested too deeply."),
    "json_duplicate_key": Sentence(
        400, "请求内容中有重复的字段：{field}。", "A field stands twice in the JSON: {field}."
    ),
    "text_not_utf8": Sentence(400, "请求内容不是正确的 UTF-8 文本。", "The request is not valid UTF-8 text."),
    "address_too_long": Sentence(414, "网址过长，请缩短查找的内容。", "The address is too long: search for less."),
    "text_has_nul": Sentence(400, "文本中含有不能保存的字符。", "A text contains a character that cannot be stored."),
    "body_incomplete": Sentence(
        400, "请求没有完整送达，请重新提交。", "The request did not arrive whole; send it again."
    ),
    "request_malformed": Sentence(400, "无法理解这个请求。", "The request cannot be understood."),
    "https_required": Sentence(
        400,
        "请使用 https 地址访问，登录信息不会在未加密的连接上传输。",
        "Use the https address: nobody signs in over an open line.",
    ),
    "not_signed_in": Sentence(401, "请先登录。", "Sign in first."),
    "sign_in_refused": Sentence(
        401, "手机号与密码或验证码不符。", "The phone number does not go with this password or code."
    ),
    "read_token_unknown": Sentence(
        401,
        "此令牌无效、已到期或已撤销。",
        "This token reads nothing: it has ended, was revoked, or never was.",
    ),
    "read_token_writes": Sentence(403, "令牌只能读取，不能更改。", "A token reads, and changes nothing."),
    "read_token_scope": Sentence(403, "此令牌不能读取这项内容。", "This token is not for reading that."),
    "cross_site": Sentence(403, "请求来自其他网站，已被拒绝。", "The request came from another site and was refused."),
    "csrf_failed": Sentence(403, "页面已过期，请刷新后再试一次。", "This page has grown old; reload it and try again."),
    "role_not_allowed": Sentence(403, "您的身份不能进行此操作。", "Your role does not allow this."),
    "not_found": Sentence(
        404, "没有找到，或不在您的管理范围内。", "There is no such thing, or it is outside your area."
    ),
    "method_not_allowed": Sentence(405, "此地址不支持这种请求。", "This address does not take such a request."),
    "body_too_large": Sentence(413, "请求内容过大。", "The request is too large."),
    "content_type_unsupported": Sentence(
        415, "不支持这种内容类型。", "This content type is not understood here; send application/json."
    ),
    "host_unknown": Sentence(421, "此地址不属于本时间银行。", "This time bank does not answer to that host name."),
    "invalid": Sentence(422, "“{field}”填写有误：{reason}。", "{field} cannot be taken: {reason}."),
    "cursor_invalid": Sentence(
        422, "翻页位置无效，请从头开始。", "The cursor is not one of ours; start from the first page."
    ),
    "list_too_long": Sentence(
        422,
        "列表超过 {limit} 行，无法整份下载。请用筛选条件缩小范围。",
        "The list has more than {limit} rows and is not given whole; narrow it by a filter.",
    ),
    "try_later": Sentence(429, "操作过于频繁，请在 {seconds} 秒后再试。", "Too many tries; wait {seconds} seconds."),
    "unexpected": Sentence(
        500,
        "系统出错，操作未完成。请稍后再试，并告知管理员下方编号。",
        "Something went wrong on our side. Try again, and tell us the number below.",
    ),
    "busy": Sentence(
        503, "系统繁忙，请稍后再试；重复提交不会重复记录。", "Very busy just now; sending the same again later is safe."
    ),
    # People and places.
    "phone_taken": Sentence(409, "该手机号已被其他成员使用。", "Another member has this phone number."),
    "password_weak": Sentence(
        422, "密码过于简单，请使用更长、更不常见的密码。", "This password is too easy to guess; choose a longer one."
    ),
    "conflict": Sentence(
        409, "内容已被占用或已被他人修改：{field}。", "It is taken, or somebody changed it meanwhile: {field}."
    ),
    "id_reused": Sentence(409, "该编号已用于另一项操作。", "This id already belongs to another command."),
    "member_suspended": Sentence(
        403, "您的账号已暂停使用，请联系管理员。", "Your membership is suspended; please ask your station."
    ),
    "guardian_needed": Sentence(
        403,
        "未满 18 周岁须由监护人代为加入：请监护人登录后在“我的个人信息”中添加。",
        "Who is under 18 is joined by a guardian: a member adds the child on the page My data.",
    ),
    "guardian_answers": Sentence(
        403,
        "未满 14 周岁的，由监护人代为同意：请监护人登录后在“我的个人信息”中代办。",
        "Who is under 14 does not agree alone: the guardian signs in, goes on as the child, and agrees.",
    ),
    "consent_withdrawn": Sentence(
        403,
        "您已撤回“志愿服务记录”的同意，请先在“我的个人信息”中重新同意。",
        "You withdrew your consent to having service recorded; give it again on the page My data.",
    ),
    "checked_in": Sentence(
        409, "两人中有人正在签到服务，请待签退后再合并。", "One of the two is checked in now; wait for the check-out."
    ),
    "erasure_asked": Sentence(
        409, "已有人提出删除该成员的个人信息。", "Somebody has asked already that this person be erased."
    ),
    "erasure_not_asked": Sentence(409, "没有待办理的删除申请。", "Nobody asks that this person be erased."),
    "second_person_needed": Sentence(
        403, "须由提出者以外的另一位管理员办理。", "Another administrator than the one who asked has to carry this out."
    ),
    "other_member": Sentence(
        403,
        "这条记录属于另一位成员，请由其本人登录后发送。",
        "This was kept for another member; they send it themselves.",
    ),
    "kind_fixed": Sentence(
        409,
        "全市统一的服务项目不能改名或停用，只能调整顺序。",
        "This kind belongs to the national catalogue: it can be moved, not renamed or retired.",
    ),
    "passkey_expired": Sentence(
        410, "本次通行密钥请求已用过或已过期，请再试一次。", "This was answered before, or too late; try again."
    ),
    "passkey_unknown": Sentence(401, "系统中没有这个通行密钥，请用其他方式登录。", "Nobody here has this passkey."),
    "passkey_refused": Sentence(
        401, "通行密钥验证未通过，请用其他方式登录。", "The passkey could not be verified; sign in another way."
    ),
    "passkey_copied": Sentence(
        401,
        "这个通行密钥可能被复制过，已拒绝登录；请用其他方式登录并删除它。",
        "There may be a copy of this passkey. Sign in another way, and remove it.",
    ),
    "passkey_there": Sentence(409, "这台设备上已有通行密钥。", "This device has a passkey of yours already."),
    "passkey_elsewhere": Sentence(
        409,
        "通行密钥只能在本时间银行的正式网址（域名）下使用。",
        "Passkeys work at the bank's own name only, not at this address.",
    ),
    "passkey_needed": Sentence(
        403, "请先使用通行密钥登录，再办理此项工作。", "Sign in by a passkey for this; add one if you have none."
    ),
    "outside_down": Sentence(
        503,
        "对方的登录服务暂时没有响应，请稍后再试或用手机号登录。",
        "The other side does not answer; try later, or another way.",
    ),
    "outside_refused": Sentence(
        401,
        "对方没有确认您的身份，请再试一次或用手机号登录。",
        "The other side did not confirm who you are; try again.",
    ),
    "outside_expired": Sentence(
        410,
        "登录已超时或不是从本浏览器发起，请重新开始。",
        "That took too long, or began in another browser; start again.",
    ),
    "outside_unknown": Sentence(
        403,
        "这个账号还没有关联本行成员。请先用手机号登录，再在“我的个人信息”中关联。",
        "Nobody here is linked to this account. Sign in by your phone number, then link it on the page My data.",
    ),
    "outside_taken": Sentence(409, "这个账号已关联另一位成员。", "This account is linked to another member."),
    "identity_mismatch": Sentence(
        422, "姓名与证件号码不符，请核对后重试。", "Name and number do not go together; compare them with the document."
    ),
    "identity_down": Sentence(
        503, "实名核验接口没有响应，请稍后再试。", "The register of names does not answer; try again later."
    ),
    "sign_in_again": Sentence(
        403, "为了安全，请重新登录后再操作。", "You signed in too long ago for this; sign in again first."
    ),
    # Codes and check-ins.
    "code_malformed": Sentence(422, "这不是时间银行的二维码。", "This is not one of our codes."),
    "code_forged": Sentence(422, "此码不是时间银行签发的真码。", "This code is not genuine."),
    "code_expired": Sentence(
        410, "二维码已过期，请重新扫描屏幕上的新码。", "This code has expired; scan the one on the screen now."
    ),
    "device_revoked": Sentence(
        403, "显示该二维码的设备已停用。", "The device that showed this code is no longer in use."
    ),
    "card_revoked": Sentence(403, "这张志愿者卡已停用。", "This card is no longer in use."),
    "poster_revoked": Sentence(403, "这张站点海报已停用。", "This poster is no longer in use."),
    "station_closed": Sentence(409, "该服务站已关闭，不能签到。", "This station is closed and takes no check-ins."),
    "digits_wrong": Sentence(
        422,
        "数字不正确，请输入屏幕上现在显示的六位数字。",
        "These are not the digits; type the ones that are shown now.",
    ),
    "pin_wrong": Sentence(422, "卡片密码不正确。", "This is not the card's PIN."),
    "pin_locked": Sentence(
        403, "卡片密码已锁定，须由另一位管理员重置。", "The card's PIN is locked; another manager has to reset it."
    ),
    "pin_missing": Sentence(
        409, "请先输入现在的卡片密码；没有密码时请先设置。", "There is no PIN, or the present one was not typed."
    ),
    "pin_weak": Sentence(
        422, "卡片密码须为六位数字，且不能过于简单。", "A PIN has six digits and is not easy to guess."
    ),
    "pin_witnessed": Sentence(
        403,
        "该卡片密码是在您的服务台设置的，兑换须由另一位管理员办理。",
        "This PIN was chosen at your own desk: another manager redeems with it.",
    ),
    # Kiosks.
    "credential_missing": Sentence(401, "此地址仅供本站的自助终端使用。", "Only a station's kiosk may ask for this."),
    "credential_malformed": Sentence(401, "自助终端的凭证格式不正确。", "This is not the credential of a kiosk."),
    "credential_forged": Sentence(401, "自助终端的凭证无效。", "The credential of this kiosk is not genuine."),
    "credential_expired": Sentence(
        401,
        "自助终端的凭证已过期，请校准时间后重试。",
        "The credential has expired; set the clock and try again.",
    ),
    # Verification.
    "already_decided": Sentence(409, "该记录已经处理过。", "This record has been decided already."),
    "own_record": Sentence(
        403, "不能核实自己或家人的记录。", "Nobody decides on their own record, or on one of their household."
    ),
    "needs_single_decision": Sentence(409, "该记录需要单独核实。", "This record must be looked at on its own."),
    "reason_missing": Sentence(422, "请填写理由。", "Please give a reason."),
    "minutes_invalid": Sentence(422, "时长不正确。", "These minutes cannot be credited."),
    "second_approver_needed": Sentence(
        409,
        "这些时长由您或您的家人补录，须由另一位管理员决定。",
        "You, or one of your household, entered these hours: another manager has to decide.",
    ),
    "not_decided": Sentence(
        409, "该记录尚未审核，请先审核。", "This record has not been decided yet: decide it first."
    ),
    "nothing_to_certify": Sentence(
        409,
        "这段时间没有可以证明的记录：只有已核实的记录才能开具证明。",
        "There is no verified record in this period to certify.",
    ),
    "nothing_to_correct": Sentence(
        409, "更正后与原来相同，没有变化。", "The record already says this: there is nothing to correct."
    ),
    "inquiry_open": Sentence(
        409, "您对该记录的上一个问题还没有答复。", "Your last question about this record has no answer yet."
    ),
    "inquiry_closed": Sentence(409, "该问题已经答复。", "This question has been answered already."),
    # Rewards.
    "reward_closed": Sentence(409, "该礼品目前不能兑换。", "This reward is not on offer now."),
    "out_of_stock": Sentence(409, "该礼品已兑完。", "This reward is out of stock."),
    "limit_reached": Sentence(409, "该礼品的兑换次数已达上限。", "You have reached your limit for this reward."),
    "points_short": Sentence(409, "积分不足。", "You do not have enough points."),
    "wrong_place": Sentence(
        409, "不能在本站领取，请到指定站点。", "This cannot be picked up here; see the places on the code."
    ),
    "already_fulfilled": Sentence(
        409, "该兑换码已经使用过。", "This code was used before: the reward has been handed over."
    ),
    "already_cancelled": Sentence(409, "该兑换已取消。", "This redemption was cancelled."),
    "redemption_timed_out": Sentence(
        410, "兑换已超时，积分已退回。", "The pick-up time is over; the points went back."
    ),
    "own_redemption": Sentence(
        403,
        "不能为自己或家人办理，请由站点的其他人办理。",
        "Nobody does this for themselves or their household: somebody else at the station does.",
    ),
    "helper_not_allowed": Sentence(
        403,
        "代办人不能进行此操作，须由本人办理。",
        "A helper does not do this: the member does it themselves.",
    ),
    "helper_points": Sentence(
        409,
        "超过代办人每天可为成员兑换的积分上限。",
        "This is more than helpers may redeem for a member in one day.",
    ),
    "helpers_full": Sentence(
        409, "代办人或被代办的成员已达上限。", "There are as many helpers, or as many who are helped, as there may be."
    ),
    "undo_too_late": Sentence(
        409, "核销已超过 10 分钟，不能撤销。", "This was handed over more than ten minutes ago and stays so."
    ),
    "already_undone": Sentence(409, "该核销已经撤销过。", "This hand-over was undone already."),
    "picture_unreadable": Sentence(
        422,
        "无法识别该图片，请使用 JPEG、PNG 或 WebP 图片。",
        "This is no picture that can be read; use JPEG, PNG or WebP.",
    ),
    "picture_too_large": Sentence(
        413,
        "图片过大：文件不得超过 8 MB，且不得超过 4000 万像素。",
        "The picture is too large: at most 8 MB, and 40 million pixels.",
    ),
    # Imports.
    "sheet_unreadable": Sentence(
        422,
        "无法读取该表格文件（{reason}）：请用 XLSX、XLS 或 CSV。",
        "This spreadsheet cannot be read ({reason}): use XLSX, XLS or CSV.",
    ),
    "sheet_too_large": Sentence(413, "表格文件过大：不得超过 32 MB。", "The spreadsheet is too large: at most 32 MB."),
    "import_columns": Sentence(
        422,
        "找不到以下内容对应的列：{fields}。表头为：{columns}。",
        "No column says {fields}. The header says: {columns}.",
    ),
}

# Why a value was refused: the `reason` in the data of `invalid`.
REASONS: dict[str, tuple[str, str]] = {
    "type": ("类型不正确", "it is of the wrong type"),
    "missing": ("不能缺少", "it is missing"),
    "unknown": ("不是可选的值", "it is not one of the choices"),
    "empty": ("不能为空", "it is empty"),
    "too_long": ("过长", "it is too long"),
    "range": ("超出范围", "it is out of range"),
    "uuid7": ("须为第 7 版 UUID", "it is not a UUID of version 7"),
    "characters": ("含有不可用的字符", "it contains characters that cannot be used"),
    "phone": ("不是有效的电话号码", "it is not a phone number"),
    "identity": ("不是有效的证件号码", "it is no number of such a document"),
    "mail": ("不是有效的邮箱地址", "it is not a mail address"),
    "code": ("编码格式不正确", "the code does not have the right form"),
    "one_of": ("必须且只能填写其中一项", "exactly one of them must be given"),
    "awaited": ("还有兑换未领取", "somebody has yet to collect it"),
    "before_start": ("结束早于开始", "it ends before it starts"),
    "outside_parent": ("不在上级区域内", "it lies outside the region above"),
    "same": ("两者相同", "the two are the same"),
    "damaged": ("文件已损坏", "it is damaged"),
    "too_large": ("内容过多", "it holds too much"),
    "no_text": ("不是表格或文本", "it is neither a spreadsheet nor text"),
    "encoding": ("无法识别文字编码", "its encoding is not known"),
    "web_page": (
        "它是网页或 XML，请用表格软件打开后另存为 XLSX",
        "it is a web page or XML: open it and save it as XLSX",
    ),
    "sheet": ("没有这个工作表", "there is no such sheet"),
    "of_age": ("已成年者没有监护人", "who is of age has no guardian"),
    "https": ("须以 https:// 开头", "it has to begin with https://"),
    "not_outside": ("该地址不在外网", "it does not lie outside this network"),
    "under_age": ("本人未成年", "they are under age themselves"),
    "not_active": ("该成员已停用或不在册", "they are suspended or gone"),
    "has_role": (
        "该成员担任角色或为他人监护人，不能未满 18 周岁",
        "who has a role or a child to act for cannot be under 18",
    ),
    "not_below_parent": ("级别不低于上级区域", "it does not stand below the region above"),
}

# Why a check-in waits for a person: the `holds` of an answer.
HOLDS: dict[str, tuple[str, str]] = {
    "already_in": ("已在签到状态", "already checked in"),
    "nothing_open": ("没有待签退的记录", "nothing to check out of"),
    "overlap": ("时间重叠", "overlaps another stay"),
    "outside_shift": ("不在排班时间内", "outside the shift"),
    "long_day": ("当日超过 10 小时", "more than ten hours in a day"),
    "too_fast": ("两站之间移动过快", "too far from the last station in that time"),
    "shared_phone": ("多人使用同一手机", "one phone, several members"),
    "same_slot_again": ("签到签退为同一二维码", "in and out with the same code"),
    "mass_checkout": ("多人同时签退", "many checked out at once"),
    "over_quota": ("超出本月额度", "over this month's quota"),
    "drawn": ("随机抽查", "drawn for a closer look"),
    "clock_doubt": ("时间存疑", "the time is in doubt"),
    "poster_alone": ("只扫了海报", "only the poster was scanned"),
    "unconfirmed": ("没有签退", "no check-out"),
}


class Blank(dict[str, Any]):
    """Data for a sentence; what is missing stays blank, because a broken sentence must not break an answer."""

    def __missing__(self, key: str) -> str:
        return ""


def sentence(code: str, locale: str, data: Mapping[str, Any] | None = None) -> str:
    """What `code` says in `locale` ("zh-CN" or "en"), with `data` filled in. An unknown code says `unexpected`."""
    entry = SENTENCES.get(code, SENTENCES["unexpected"])
    values = Blank(data or {})
    if (reason := values.get("reason")) in REASONS:
        values["reason"] = REASONS[str(reason)][locale == "en"]
    if code == "invalid" and (field := values.get("field")) in FIELDS:
        values["field"] = FIELDS[str(field)][locale == "en"]
    return (entry.en if locale == "en" else entry.zh).format_map(values)


def status_of(code: str) -> int:
    """The HTTP status of a code; 500 for one that is not in the table, which a test keeps from happening."""
    return SENTENCES[code].status if code in SENTENCES else 500


def hold_words(hold: str, locale: str) -> str:
    """What a hold says in `locale`."""
    return HOLDS[hold][locale == "en"] if hold in HOLDS else hold
