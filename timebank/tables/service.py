"""Evidence, decision, entitlement: punches (never changed), attendances and records (decided), decisions (kept)."""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from timebank.tables.base import belongs_to, book_key, id_key, metadata, moment, one_of, words

SOURCES = ("live", "late", "card", "poster", "digits", "door", "manual", "import")
GRADES = ("A", "B", "C", "D")
RECORD_STATES = ("waiting", "verified", "rejected", "reversed")

policy_version = Table(
    "policy_version",
    metadata,
    book_key(),
    Column("number", Integer, primary_key=True, autoincrement=False),
    # The first local day on which the rules hold; a version holds until the next one starts.
    Column("starts_on", Date, nullable=False),
    Column("rules", JSONB, nullable=False),
    Column("created_by", Uuid),
    moment("created_at"),
    # Of two that start on one day the higher number holds: it replaced the other before either was in force.
    Index(None, "book_id", "starts_on"),
)

punch = Table(
    "punch",
    metadata,
    book_key(),
    id_key(),
    Column("member_id", Uuid, nullable=False),
    Column("station_id", Uuid, nullable=False),
    Column("device_id", Uuid),
    words("kind"),
    words("source"),
    # The code as scanned, and the slot it named.
    words("code", nullable=True),
    Column("slot", BigInteger),
    # Who entered it when that is not the member: a manager, a helper, an import.
    Column("entered_by", Uuid),
    words("reason", nullable=True),
    # The browser's own random number, the same for every member who uses that phone.
    Column("phone_id", Uuid),
    moment("phone_time", nullable=True),
    moment("occurred_at"),
    moment("recorded_at"),
    # Reasons for which a person must look at it; empty for most.
    Column("holds", ARRAY(Text), nullable=False),
    # How the member vouched for a scan of the card at the station. What is confirmed later is in `confirmation`.
    words("vouched_by", nullable=True),
    # Whose home it was.
    Column("resident_id", Uuid),
    Column("door_code_id", Uuid),
    # Why a manager entered it, under the member's own data key.
    Column("sealed_reason", LargeBinary),
    belongs_to("member_id", "member"),
    belongs_to("station_id", "station"),
    belongs_to("device_id", "device"),
    belongs_to("resident_id", "member"),
    belongs_to("door_code_id", "door_code"),
    CheckConstraint(one_of("kind", "in", "out"), name="kind"),
    CheckConstraint(one_of("source", *SOURCES), name="source"),
    CheckConstraint("vouched_by = 'pin'", name="vouched_by"),
    CheckConstraint("source <> 'manual' OR entered_by IS NOT NULL", name="manual_by_somebody"),
    Index(None, "book_id", "member_id", "occurred_at"),
    Index(None, "book_id", "station_id", "recorded_at"),
    Index("punch_phone_idx", "book_id", "phone_id", "recorded_at", postgresql_where=text("phone_id IS NOT NULL")),
    # Which phone it was is not kept for ever.
    Index(
        "punch_phone_kept_idx",
        "book_id",
        "recorded_at",
        postgresql_where=text("num_nonnulls(phone_id, phone_time) > 0"),
    ),
    Index("punch_entered_idx", "book_id", "entered_by", "recorded_at", postgresql_where=text("entered_by IS NOT NULL")),
    # What a person decides apart from any record.
    Index(
        "punch_astray_idx",
        "book_id",
        "station_id",
        "occurred_at",
        postgresql_where=text("holds && ARRAY['already_in', 'nothing_open']"),
    ),
)

# A member says from their own phone that a scan of their card was theirs.
confirmation = Table(
    "confirmation",
    metadata,
    book_key(),
    Column("punch_id", Uuid, primary_key=True),
    Column("member_id", Uuid, nullable=False),
    moment("confirmed_at"),
    belongs_to("punch_id", "punch"),
    belongs_to("member_id", "member"),
)

# What became of a scan that was kept and led to nothing by itself.
punch_decision = Table(
    "punch_decision",
    metadata,
    book_key(),
    id_key(),
    Column("punch_id", Uuid, nullable=False),
    Column("actor_id", Uuid, nullable=False),
    words("verdict"),
    Column("holds", ARRAY(Text), nullable=False),
    # Under the data key of the member whose scan it is.
    Column("sealed_reason", LargeBinary, nullable=False),
    # The record that was made of it.
    Column("record_id", Uuid),
    moment("decided_at"),
    belongs_to("punch_id", "punch"),
    belongs_to("actor_id", "member"),
    belongs_to("record_id", "record"),
    CheckConstraint(one_of("verdict", "enter", "dismiss"), name="verdict"),
    CheckConstraint("(verdict = 'enter') = (record_id IS NOT NULL)", name="entered_as_a_record"),
    UniqueConstraint("book_id", "punch_id"),
    Index(None, "book_id", "actor_id", "decided_at"),
)

attendance = Table(
    "attendance",
    metadata,
    book_key(),
    id_key(),
    Column("member_id", Uuid, nullable=False),
    Column("station_id", Uuid, nullable=False),
    Column("service_kind_id", Uuid, nullable=False),
    Column("in_punch_id", Uuid, nullable=False),
    Column("out_punch_id", Uuid),
    moment("started_at"),
    moment("ended_at", nullable=True),
    words("state"),
    Column("shift_id", Uuid),
    belongs_to("member_id", "member"),
    belongs_to("station_id", "station"),
    belongs_to("service_kind_id", "service_kind"),
    belongs_to("shift_id", "shift"),
    belongs_to("in_punch_id", "punch"),
    belongs_to("out_punch_id", "punch"),
    CheckConstraint(one_of("state", "open", "closed", "unconfirmed"), name="state"),
    CheckConstraint("(state = 'open') = (ended_at IS NULL)", name="open_has_no_end"),
    CheckConstraint("ended_at >= started_at", name="ends_after_start"),
    Index("attendance_shift_idx", "book_id", "shift_id", postgresql_where=text("shift_id IS NOT NULL")),
    Index("attendance_out_punch_idx", "book_id", "out_punch_id", postgresql_where=text("out_punch_id IS NOT NULL")),
    # One person is in one place: the database says so, whatever runs at once.
    Index("attendance_open_key", "book_id", "member_id", unique=True, postgresql_where=text("state = 'open'")),
    Index(
        "attendance_open_station_idx",
        "book_id",
        "station_id",
        "started_at",
        postgresql_where=text("state = 'open'"),
    ),
)

# A record is what an attendance became, under the same id, with every field that Order 67 asks for: activity name,
# date, place, content, actual time, organising unit, person in charge. They are copied, because a station that is
# renamed later must not change what a certificate says.
record = Table(
    "record",
    metadata,
    book_key(),
    id_key(),
    Column("member_id", Uuid, nullable=False),
    Column("station_id", Uuid, nullable=False),
    Column("service_kind_id", Uuid, nullable=False),
    words("activity_zh"),
    words("activity_en"),
    words("place"),
    words("content"),
    words("organising_unit"),
    words("person_in_charge"),
    moment("started_at"),
    moment("ended_at"),
    # The community's day of the check-in: caps and policy versions go by it.
    Column("local_day", Date, nullable=False),
    Column("measured_minutes", Integer, nullable=False),
    words("grade"),
    Column("holds", ARRAY(Text), nullable=False),
    words("state"),
    Column("credited_minutes", Integer),
    Column("points", BigInteger),
    # 'waiting': earned, but the fund was dry; paid by itself when the fund is filled.
    words("points_state"),
    Column("policy_number", Integer),
    Column("decided_by", Uuid),
    moment("decided_at", nullable=True),
    moment("recorded_at"),
    # The latest correction: from its id follow those of the current postings; none: they follow from the record's.
    Column("correction_id", Uuid),
    # How many of `points` a correction moved over from those it took back: they need nothing of the fund.
    Column("kept_points", BigInteger, nullable=False, server_default=text("0")),
    belongs_to("id", "attendance"),
    belongs_to("member_id", "member"),
    belongs_to("station_id", "station"),
    belongs_to("service_kind_id", "service_kind"),
    belongs_to("policy_number", "policy_version", "number"),
    belongs_to("correction_id", "correction", later=True),
    CheckConstraint(one_of("grade", *GRADES), name="grade"),
    CheckConstraint(one_of("state", *RECORD_STATES), name="state"),
    CheckConstraint(one_of("points_state", "none", "posted", "waiting"), name="points_state"),
    CheckConstraint("measured_minutes >= 0", name="measured_minutes"),
    CheckConstraint("credited_minutes >= 0 AND points >= 0", name="credit"),
    CheckConstraint("kept_points = 0 OR kept_points BETWEEN 1 AND points", name="kept_points"),
    CheckConstraint("(state = 'waiting') = (decided_at IS NULL)", name="waiting_is_undecided"),
    CheckConstraint(
        "state <> 'verified' OR num_nonnulls(credited_minutes, points, policy_number, decided_by) = 4",
        name="verified_is_whole",
    ),
    Index("record_queue_idx", "book_id", "station_id", "started_at", postgresql_where=text("state = 'waiting'")),
    Index(None, "book_id", "member_id", "local_day"),
    Index(
        "record_unpaid_idx",
        "book_id",
        "station_id",
        "decided_at",
        postgresql_where=text("points_state = 'waiting'"),
    ),
    Index(
        "record_honour_idx",
        "book_id",
        "station_id",
        "local_day",
        postgresql_include=["member_id", "credited_minutes"],
        postgresql_where=text("state = 'verified'"),
    ),
)

decision = Table(
    "decision",
    metadata,
    book_key(),
    id_key(),
    Column("record_id", Uuid, nullable=False),
    Column("actor_id", Uuid, nullable=False),
    words("verdict"),
    Column("minutes", Integer),
    # The holds that stood when a person decided: what was known is kept beside what was decided.
    Column("holds", ARRAY(Text), nullable=False),
    words("reason", nullable=True),
    moment("decided_at"),
    belongs_to("record_id", "record"),
    belongs_to("actor_id", "member"),
    CheckConstraint(one_of("verdict", "verify", "adjust", "reject", "approve", "reverse"), name="verdict"),
    Index(None, "book_id", "record_id"),
)
