"""What `timebank doctor` says of each finding, in Chinese and English, and how to mend it."""

from typing import NamedTuple

from timebank.doctor import Finding


class Words(NamedTuple):
    """One finding: a sentence and what to do in each language; nothing to do where all is well. `{name}` is filled."""

    zh: str
    en: str
    mend_zh: str = ""
    mend_en: str = ""


STATES = {"ok": ("正常", "ok"), "warn": ("注意", "warn"), "bad": ("故障", "bad")}
SUBJECTS = {
    "settings": ("设置", "settings"),
    "data": ("数据目录", "data"),
    "disk": ("磁盘", "disk"),
    "clock": ("时钟", "clock"),
    "keys": ("密钥", "keys"),
    "copies": ("备份", "copies"),
    "address": ("访问地址", "address"),
    "certificate": ("证书", "certificate"),
    "fonts": ("字体", "fonts"),
    "messages": ("短信", "messages"),
    "sign_in": ("外部登录", "sign-in"),
    "register": ("实名核验", "register"),
    "database": ("数据库", "database"),
    "schema": ("数据结构", "schema"),
}

WORDS: dict[str, Words] = {
    "settings_ok": Words("设置可以读取。", "The settings can be read."),
    "bad_setting": Words(
        "设置有误：{sentence}",
        "A setting is wrong: {sentence}",
        "改正这个变量；每个变量的写法见 docs/reference/settings.md。",
        "Correct that variable; docs/reference/settings.md says what each may hold.",
    ),
    "data_ok": Words("{path} 可以写入。", "{path} can be written to."),
    "data_fresh": Words(
        "{path} 还不存在。",
        "{path} does not exist yet.",
        "第一次运行 timebank run 时会创建。如果这里本应有数据，请检查 TIMEBANK_DATA。",
        "The first timebank run makes it. If there should be a bank, check TIMEBANK_DATA.",
    ),
    "data_not_writable": Words(
        "当前账户不能写入 {path}。",
        "This account may not write to {path}.",
        "用拥有该目录的账户运行，或用 chown 把目录交给当前账户。",
        "Run as the account that owns it, or give it to this account with chown.",
    ),
    "data_directory_closed": Words(
        "{directory} 属于账户 {account}，root 写在那里的文件它读不了。",
        "{directory} belongs to {account}, who could not read what root writes there.",
        "在命令前加上 sudo -u {account}。",
        "Put sudo -u {account} before the command.",
    ),
    "disk_ok": Words("剩余 {gigabytes} GB。", "{gigabytes} GB are free."),
    "disk_full": Words(
        "只剩 {gigabytes} GB。",
        "Only {gigabytes} GB are free.",
        "腾出至少 5 GB：把旧备份移到别处，或换更大的磁盘。",
        "Make room, 5 GB at least: move old copies elsewhere, or use a larger disk.",
    ),
    "clock_ok": Words("本机时间 {now}。", "The machine says {now}."),
    "clock_past": Words(
        "本机时间是 {now}，不可能正确。",
        "The machine says {now}, which cannot be.",
        "校准时间（timedatectl set-ntp true），并更换主板电池。",
        "Set the clock (timedatectl set-ntp true), and replace the battery of the mainboard.",
    ),
    "clocks_agree": Words("数据库与本机相差 {seconds} 秒。", "Database and machine differ by {seconds} s."),
    "clocks_differ": Words(
        "数据库与本机相差 {seconds} 秒。",
        "Database and machine differ by {seconds} s.",
        "让两台机器都从同一个时间服务器对时（timedatectl set-ntp true）；签到码只有 20 秒有效。",
        "Let both machines take their time from one server (timedatectl set-ntp true): station codes last 20 seconds.",
    ),
    "keys_ok": Words("密钥文件完整，最新编号 {number}。", "The keys file is whole; the newest key is number {number}."),
    "keys_fit": Words("密钥能打开已存的资料。", "The keys open what is stored about people."),
    "keys_fresh": Words(
        "{path} 还不存在。",
        "{path} does not exist yet.",
        "第一次运行 timebank run 时会创建；之后请立即备份密钥。",
        "The first timebank run makes it; copy the keys right afterwards.",
    ),
    "keys_missing": Words(
        "有数据库，却没有密钥文件。",
        "There is a database and no keys file.",
        "放回备份：timebank keys restore FILE。没有它，姓名和电话永远读不出来。",
        "Put your copy back: timebank keys restore FILE. Without it nobody's name or phone number can be read.",
    ),
    "keys_readable_by_others": Words(
        "其他账户可以读取密钥文件 {path}。",
        "Other accounts may read the keys file {path}.",
        "运行 chmod 600 {path}",
        "Run chmod 600 {path}",
    ),
    "keys_damaged": Words(
        "密钥文件 {path} 已损坏。",
        "The keys file {path} is damaged.",
        "把它移开，再放回备份：timebank keys restore FILE",
        "Move it away and put your copy back: timebank keys restore FILE",
    ),
    "keys_do_not_fit": Words(
        "密钥打不开已存的资料：属于另一个时间银行，或早于上次更换。",
        "The keys do not open what is stored about people: another bank's, or older than the last rotation.",
        "放回最新的密钥备份：timebank keys restore FILE",
        "Put the newest copy of this bank's keys back: timebank keys restore FILE",
    ),
    "keys_not_copied": Words(
        "密钥从未备份。",
        "The keys were never copied.",
        "运行 timebank keys backup FILE，与数据库备份分开存放。",
        "Run timebank keys backup FILE, and keep it where the database copies are not.",
    ),
    "keys_changed_since_copy": Words(
        "备份之后密钥又更换过，最新编号 {number}。",
        "The keys were rotated after they were copied; the newest is number {number}.",
        "再备份一次：timebank keys backup FILE",
        "Copy them again: timebank keys backup FILE",
    ),
    "keys_copy_ok": Words("密钥备份于 {days} 天前。", "The keys were copied {days} days ago."),
    "keys_copy_old": Words(
        "密钥备份于 {days} 天前。",
        "The keys were copied {days} days ago.",
        "确认备份还在并能打开，或重新备份：timebank keys backup FILE",
        "See that the copy is still there and opens, or make another: timebank keys backup FILE",
    ),
    "database_copy_ok": Words("数据库备份于 {days} 天前。", "The database was copied {days} days ago."),
    "database_copy_old": Words(
        "数据库备份于 {days} 天前。",
        "The database was copied {days} days ago.",
        "运行 timebank backup FILE，并每天定时备份。",
        "Run timebank backup FILE, and have it run every night.",
    ),
    "database_not_copied": Words(
        "数据库从未从这里备份。",
        "The database was never copied from here.",
        "运行 timebank backup FILE，并把备份带离这台机器。",
        "Run timebank backup FILE, and take the copy away from this machine.",
    ),
    "address_ok": Words("在 {address} 提供服务。", "Served at {address}."),
    "address_loopback": Words(
        "只有这台机器能打开 {address}。",
        "Only this machine can open {address}.",
        "要让手机也能使用：timebank run --lan，或见 docs/how-to/install.md。"
        "已经这样运行时，用 timebank doctor --lan 检查。",
        "For phones to reach it: timebank run --lan, or see docs/how-to/install.md. Where it runs so, ask "
        "timebank doctor --lan.",
    ),
    "address_open": Words(
        "{address} 未加密：无法登录，手机不会打开摄像头。",
        "{address} is not encrypted: nobody can sign in there, and phones will not open their camera.",
        "局域网内用 timebank run --lan；服务器上放一个提供 https 的反向代理，并设置 TIMEBANK_PUBLIC_URL。",
        "On a local network: timebank run --lan. On a server: a reverse proxy with https, and TIMEBANK_PUBLIC_URL.",
    ),
    "certificate_ok": Words(
        "{host} 的证书还有 {days} 天到期。", "The certificate for {host} is good for another {days} days."
    ),
    "certificate_ends_soon": Words(
        "{host} 的证书 {days} 天后到期。",
        "The certificate for {host} ends in {days} days.",
        "更新证书，然后重新启动。自己的证书：timebank certificate --renew",
        "Renew it, then start again. The bank's own: timebank certificate --renew",
    ),
    "certificate_ended": Words(
        "证书 {path} 已于 {day} 到期。",
        "The certificate {path} ended on {day}.",
        "更新证书，然后重新启动。自己的证书：timebank certificate --renew",
        "Renew it, then start again. The bank's own: timebank certificate --renew",
    ),
    "certificate_other_name": Words(
        "证书 {path} 不是给 {host} 的。",
        "The certificate {path} is not for {host}.",
        "换用写有这个名称的证书，或改正 TIMEBANK_PUBLIC_URL。",
        "Use a certificate with that name in it, or correct TIMEBANK_PUBLIC_URL.",
    ),
    "font_ok": Words("中文字体 {font}。", "Chinese characters come from {font}."),
    "font_missing": Words(
        "没有中文字体，海报和证明无法排版。",
        "There is no font with Chinese characters: posters and certificates cannot be set.",
        "安装系统字体 fonts-noto-cjk，或 Python 包 {package}。",
        "Install the system's fonts-noto-cjk, or the Python package {package}.",
    ),
    "messages_printed": Words(
        "没有短信通道：验证码只打印在运行服务的终端里。",
        "No messages are sent: codes are printed where the service runs.",
        "设置 TIMEBANK_SMS_URL（docs/reference/gateways.md），或给成员设置密码。",
        "Set TIMEBANK_SMS_URL (docs/reference/gateways.md), or give members passwords.",
    ),
    "oidc_ok": Words("统一身份认证 {issuer} 可用。", "The issuer {issuer} answers."),
    "oidc_unreachable": Words(
        "统一身份认证 {issuer} 没有响应。",
        "The issuer {issuer} does not answer as one.",
        "检查 TIMEBANK_OIDC_ISSUER 和网络；居民此时只能用手机号登录。",
        "Check TIMEBANK_OIDC_ISSUER and the network; until then people sign in by phone number only.",
    ),
    "oidc_unfit": Words(
        "{issuer} 自称的地址与设置不一致，或使用了未加密的地址。",
        "{issuer} calls itself otherwise, or names addresses that are not encrypted.",
        "把 TIMEBANK_OIDC_ISSUER 改成对方自称的地址，一个字符也不能差。",
        "Set TIMEBANK_OIDC_ISSUER to what it calls itself, to the letter.",
    ),
    "wechat_reached": Words("微信接口 {host} 可以连接。", "WeChat at {host} takes connections."),
    "wechat_unreachable": Words(
        "微信接口 {host} 无法连接。",
        "WeChat at {host} takes no connections.",
        "检查 TIMEBANK_WECHAT_API_URL 和防火墙。",
        "Check TIMEBANK_WECHAT_API_URL and the firewall.",
    ),
    "register_reached": Words("实名核验接口 {host} 可以连接。", "The register {host} takes connections."),
    "register_unreachable": Words(
        "实名核验接口 {host} 无法连接。",
        "The register {host} takes no connections.",
        "检查 TIMEBANK_IDENTITY_URL 和防火墙；去掉这个设置，则只凭管理员当面查看。",
        "Check TIMEBANK_IDENTITY_URL and the firewall; without the setting, a manager's eyes are enough.",
    ),
    "sms_reached": Words("短信网关 {host} 可以连接。", "The SMS gateway {host} takes connections."),
    "sms_unreachable": Words(
        "短信网关 {host} 无法连接。",
        "The SMS gateway {host} takes no connections.",
        "检查 TIMEBANK_SMS_URL、网络和防火墙。",
        "See TIMEBANK_SMS_URL, the network and the firewall.",
    ),
    "mail_reached": Words("邮件服务器 {host} 可以连接。", "The mail server {host} takes connections."),
    "mail_unreachable": Words(
        "邮件服务器 {host} 无法连接。",
        "The mail server {host} takes no connections.",
        "检查 TIMEBANK_MAIL_URL、网络和防火墙。",
        "See TIMEBANK_MAIL_URL, the network and the firewall.",
    ),
    "messages_demo": Words("演示模式：验证码显示在页面上。", "A demo: codes are shown on the page."),
    "database_ok": Words(
        "PostgreSQL {version}，角色 {role}，{megabytes} MB。", "PostgreSQL {version} as {role}, {megabytes} MB."
    ),
    "database_fresh": Words(
        "还没有数据库。",
        "There is no database yet.",
        "第一次运行 timebank run 时会创建。",
        "The first timebank run makes it.",
    ),
    "database_unreachable": Words(
        "数据库无法连接：{sentence}",
        "The database does not answer: {sentence}",
        "检查数据库是否在运行、TIMEBANK_DATABASE_URL 是否正确、防火墙是否放行。",
        "See that it runs, that TIMEBANK_DATABASE_URL is right, and that no firewall is between.",
    ),
    "database_too_old": Words(
        "数据库是 PostgreSQL {version}，过旧。",
        "The database is PostgreSQL {version}, which is too old.",
        "升级到 PostgreSQL 15 或更新版本。",
        "Upgrade it to PostgreSQL 15 or newer.",
    ),
    "not_durable": Words(
        "数据库关闭了 {setting}，断电会丢失已确认的记录。",
        "The database runs with {setting} off: a power cut would lose what was acknowledged.",
        "在 postgresql.conf 中设置 {setting} = on，并重新加载。",
        "Set {setting} = on in postgresql.conf, and reload it.",
    ),
    "role_too_mighty": Words(
        "角色 {role} 拥有数据表或可以取得，不能用来提供服务。",
        "The role {role} owns the tables or could: it must not serve.",
        "用只属于 timebank_service 的角色，见 docs/how-to/operate.md；所有者写在 TIMEBANK_MIGRATION_URL。",
        "Serve as a role that is a member of timebank_service alone, see docs/how-to/operate.md; the owner's URL "
        "goes to TIMEBANK_MIGRATION_URL.",
    ),
    "schema_ok": Words("数据结构与本版本一致。", "The schema is this version's."),
    "schema_not_current": Words(
        "数据结构不是本版本需要的。",
        "The schema is not what this version needs.",
        "备份后运行 timebank migrate。",
        "Take a copy, then run timebank migrate.",
    ),
    "schema_newer": Words(
        "数据库已被更新的版本升级：{sentence}",
        "A newer version has been here: {sentence}",
        "运行那个版本，或恢复升级之前的备份。",
        "Run that version, or restore a copy from before.",
    ),
    "machine_refuses": Words(
        "机器拒绝：{sentence}",
        "The machine refuses: {sentence}",
        "检查文件的所有者与权限。",
        "See who owns the file and its mode.",
    ),
}
# Whatever else keeps the service from starting, in the words that it would end with.
ANYTHING = Words(
    "不能启动：{sentence}",
    "It would not start: {sentence}",
    "按 docs/reference/settings.md 中该代码的说明处理。",
    "docs/reference/settings.md says what to do about this code.",
)


def words_of(finding: Finding, language: str) -> tuple[str, str]:
    """The sentence and what to do, in "zh" or "en"."""
    words = WORDS.get(finding.code, ANYTHING)
    sentence, mend = (words.zh, words.mend_zh) if language == "zh" else (words.en, words.mend_en)
    return sentence.format(**finding.data), mend.format(**finding.data)
