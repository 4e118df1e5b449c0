"""Who: members with their encrypted personal fields, what they may do, and how they sign in."""

from sqlalchemy import (
    ARRAY,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)

from timebank.tables.base import belongs_to, book_key, id_key, metadata, moment, one_of, words

CONSENT_PURPOSES = ("service", "location", "honour")
ROLES = ("manager", "clerk", "admin", "auditor")

member = Table(
    "member",
    metadata,
    book_key(),
    id_key(),
    Column("region_id", Uuid, nullable=False),
    # People of one household may not verify each other's hours.
    Column("household_id", Uuid),
    # Personal fields (name, phone, ...) are one AES-256-GCM text under a key of this person alone, which is itself
    # wrapped by the key-encryption key `key_id` from outside the database. Erasing a person drops `data_key`.
    Column("key_id", SmallInteger),
    Column("data_key", LargeBinary),
    Column("personal", LargeBinary),
    # Keyed hash of the phone number: finds a member at sign-in without storing the number in clear.
    Column("phone_index", LargeBinary),
    # Keyed hash of the name, for looking members up by it; many may share one.
    Column("name_index", LargeBinary),
    words("password_hash", nullable=True),
    words("locale"),
    words("state"),
    # The purposes whose consent was withdrawn, as the latest answers in `consent` say.
    Column("refused", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    # Raised whenever what the member may do changes, so that a cached session notices.
    Column("version", Integer, nullable=False, server_default=text("1")),
    moment("joined_at"),
    # The member that this one turned out to be; what was theirs is that member's now.
    Column("merged_into", Uuid),
    belongs_to("region_id", "region"),
    belongs_to("merged_into", "member"),
    UniqueConstraint("book_id", "phone_index"),
    CheckConstraint(one_of("state", "active", "suspended", "erased", "merged"), name="state"),
    CheckConstraint("(state = 'merged') = (merged_into IS NOT NULL)", name="merged"),
    CheckConstraint(one_of("locale", "zh-CN", "en"), name="locale"),
    Index(None, "book_id", "region_id"),
    Index(None, "book_id", "name_index"),
    Index(None, "book_id", "joined_at", "id"),
    Index("member_merged_idx", "book_id", "merged_into", postgresql_where=text("merged_into IS NOT NULL")),
    Index(
        "member_unindexed_idx",
        "book_id",
        "id",
        postgresql_where=text("name_index IS NULL AND data_key IS NOT NULL"),
    ),
)

# Every answer to what a person may agree to; the latest of a purpose counts.
consent = Table(
    "consent",
    metadata,
    book_key(),
    id_key(),
    Column("member_id", Uuid, nullable=False),
    words("purpose"),
    # Which version of the text, see `timebank/data/consents.toml`.
    Column("number", Integer, nullable=False),
    Column("agreed", Boolean, nullable=False),
    # The member, or who entered what they signed on paper; none: the operator.
    Column("answered_by", Uuid),
    moment("answered_at"),
    belongs_to("member_id", "member"),
    belongs_to("answered_by", "member"),
    CheckConstraint(one_of("purpose", *CONSENT_PURPOSES), name="purpose"),
    Index(None, "book_id", "member_id", "answered_at"),
    Index(
        "consent_honour_idx",
        "book_id",
        "member_id",
        text("answered_at DESC"),
        text("id DESC"),
        postgresql_include=["agreed"],
        postgresql_where=text("purpose = 'honour'"),
    ),
)

# Who looked at whose data, once a day for each reader and kind of look.
reading = Table(
    "reading",
    metadata,
    book_key(),
    Column("member_id", Uuid, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("reader_id", Uuid, primary_key=True),
    Column("what", Text, primary_key=True),
    moment("at"),
    belongs_to("member_id", "member"),
    belongs_to("reader_id", "member"),
    CheckConstraint(one_of("what", "file", "search", "record", "statement"), name="what"),
)

# The code on paper with which a member chooses the first password.
activation = Table(
    "activation",
    metadata,
    book_key(),
    Column("member_id", Uuid, primary_key=True),
    Column("code_hash", LargeBinary, nullable=False),
    Column("tries", SmallInteger, nullable=False),
    Column("issued_by", Uuid, nullable=False),
    moment("issued_at"),
    moment("expires_at"),
    belongs_to("member_id", "member"),
    belongs_to("issued_by", "member"),
)

# Who acts for a member under age, until that member's coming of age.
guardian = Table(
    "guardian",
    metadata,
    book_key(),
    Column("child_id", Uuid, primary_key=True),
    Column("guardian_id", Uuid, primary_key=True),
    moment("since"),
    moment("until"),
    # When what they could have left as a way in was closed, after their time.
    moment("closed_at", nullable=True),
    belongs_to("child_id", "member"),
    belongs_to("guardian_id", "member"),
    CheckConstraint("child_id <> guardian_id", name="somebody_else"),
    Index(None, "book_id", "guardian_id"),
    Index("guardian_over_idx", "book_id", "until", postgresql_where=text("closed_at IS NULL")),
)

# Who may act for a grown-up member, within limits and for a time.
helping = Table(
    "helping",
    metadata,
    book_key(),
    id_key(),
    Column("member_id", Uuid, nullable=False),
    Column("helper_id", Uuid, nullable=False),
    moment("starts_at"),
    moment("ends_at"),
    # What made it sure that the member wants it: their own session, or at a desk their PIN or their card alone.
    words("vouched"),
    Column("granted_by", Uuid, nullable=False),
    moment("granted_at"),
    moment("ended_at", nullable=True),
    Column("ended_by", Uuid),
    belongs_to("member_id", "member"),
    belongs_to("helper_id", "member"),
    belongs_to("granted_by", "member"),
    belongs_to("ended_by", "member"),
    CheckConstraint(one_of("vouched", "self", "pin", "card"), name="vouched"),
    CheckConstraint("member_id <> helper_id", name="somebody_else"),
    CheckConstraint("ends_at > starts_at", name="ends_after_start"),
    CheckConstraint("(ended_at IS NULL) = (ended_by IS NULL)", name="ended_by_somebody"),
    Index(None, "book_id", "member_id"),
    Index(None, "book_id", "helper_id"),
)

# A wish that a person be forgotten: their own, or an administrator's. Somebody else carries it out.
erasure = Table(
    "erasure",
    metadata,
    book_key(),
    id_key(),
    Column("member_id", Uuid, nullable=False),
    # None: the operator, who needs no second person.
    Column("asked_by", Uuid),
    moment("asked_at"),
    words("state"),
    Column("ended_by", Uuid),
    moment("ended_at", nullable=True),
    belongs_to("member_id", "member"),
    belongs_to("asked_by", "member"),
    belongs_to("ended_by", "member"),
    CheckConstraint(one_of("state", "asked", "withdrawn", "done"), name="state"),
    CheckConstraint("(state = 'asked') = (ended_at IS NULL)", name="asked_has_no_end"),
    # One at a time: the database says so, whatever is sent at once.
    Index("erasure_asked_key", "book_id", "member_id", unique=True, postgresql_where=text("state = 'asked'")),
    Index(None, "book_id", "state", "asked_at", "member_id"),
)

role_grant = Table(
    "role_grant",
    metadata,
    book_key(),
    id_key(),
    Column("member_id", Uuid, nullable=False),
    words("role"),
    Column("region_id", Uuid),
    Column("station_id", Uuid),
    moment("starts_at"),
    moment("ends_at", nullable=True),
    Column("granted_by", Uuid),
    moment("granted_at"),
    belongs_to("member_id", "member"),
    belongs_to("region_id", "region"),
    belongs_to("station_id", "station"),
    CheckConstraint(one_of("role", *ROLES), name="role"),
    CheckConstraint("num_nonnulls(region_id, station_id) = 1", name="one_scope"),
    CheckConstraint("ends_at IS NULL OR ends_at >= starts_at", name="ends_after_start"),
    Index(None, "book_id", "member_id"),
)

session = Table(
    "session",
    metadata,
    book_key(),
    # SHA-256 of the opaque token in the cookie: the table alone signs nobody in.
    Column("token_hash", LargeBinary, primary_key=True),
    Column("member_id", Uuid, nullable=False),
    moment("created_at"),
    moment("seen_at"),
    moment("expires_at"),
    # Whether a passkey began it: the offices of some banks open to such sessions alone.
    Column("by_passkey", Boolean, nullable=False, server_default=text("false")),
    # For whom the member acts in it; none: for themselves.
    Column("helping_id", Uuid),
    # As which child the member, a guardian, goes on in it.
    Column("child_id", Uuid),
    belongs_to("member_id", "member"),
    belongs_to("helping_id", "helping"),
    belongs_to("child_id", "member"),
    CheckConstraint("helping_id IS NULL OR child_id IS NULL", name="for_one"),
    Index(None, "book_id", "member_id"),
    Index(None, "book_id", "expires_at"),
)

# The six digits with which a member vouches for a scan of the card at a station. Locked after five wrong tries, until
# a second person resets it; on whose device that was is kept, because that person may not be the second one.
pin = Table(
    "pin",
    metadata,
    book_key(),
    Column("member_id", Uuid, primary_key=True),
    words("pin_hash"),
    Column("tries", SmallInteger, nullable=False),
    moment("set_at"),
    moment("locked_at", nullable=True),
    Column("locked_by", Uuid),
    # At whose desk it was chosen; none: on the member's own page.
    Column("witness_id", Uuid),
    belongs_to("member_id", "member"),
    belongs_to("locked_by", "member"),
    belongs_to("witness_id", "member"),
    CheckConstraint("(locked_at IS NULL) = (locked_by IS NULL)", name="locked_by_somebody"),
)

phone_code = Table(
    "phone_code",
    metadata,
    book_key(),
    Column("phone_index", LargeBinary, primary_key=True),
    Column("code_hash", LargeBinary, nullable=False),
    Column("tries", SmallInteger, nullable=False),
    moment("sent_at"),
    moment("expires_at"),
)

# Counters behind "five tries in ten minutes" and the like: one row a subject and window, dropped once past.
attempt = Table(
    "attempt",
    metadata,
    book_key(),
    Column("kind", words("kind").type, primary_key=True),
    Column("subject", LargeBinary, primary_key=True),
    Column("window_starts_at", moment("window_starts_at").type, primary_key=True),
    Column("count", Integer, nullable=False),
    Index(None, "book_id", "window_starts_at"),
)
