"""What happens to a record after it was decided: what its volunteer asks about it, and how it was corrected."""

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Integer, LargeBinary, Table, Uuid, text

from timebank.tables.base import belongs_to, book_key, id_key, metadata, moment, one_of, words

# One row a correction, under the id of its decision (verdict `reverse`); never changed. The ids of the postings that
# it made follow from its own. Its reason may name people, so it is sealed under the data key of the record's member.
correction = Table(
    "correction",
    metadata,
    book_key(),
    id_key(),
    Column("record_id", Uuid, nullable=False),
    # What the manager entered: the minutes served; none: the record was taken back whole.
    Column("minutes", Integer),
    # What was credited for the record, and what is now.
    Column("minutes_before", Integer, nullable=False),
    Column("minutes_after", Integer, nullable=False),
    Column("points_before", BigInteger, nullable=False),
    Column("points_after", BigInteger, nullable=False),
    # What the member owes because the points that went back were spent already.
    Column("debt_points", BigInteger, nullable=False),
    Column("policy_number", Integer, nullable=False),
    Column("reason", LargeBinary),
    moment("made_at"),
    belongs_to("id", "decision"),
    belongs_to("record_id", "record"),
    belongs_to("policy_number", "policy_version", "number"),
    CheckConstraint("minutes >= 0", name="minutes"),
    CheckConstraint("minutes_before >= 0 AND minutes_after >= 0", name="credit"),
    CheckConstraint("points_before >= 0 AND points_after >= 0 AND debt_points >= 0", name="points"),
    Index(None, "book_id", "record_id"),
)

# A question about a record, and its answer: a correction, or the reason why there is none. Both texts are sealed under
# the data key of the member who asked.
inquiry = Table(
    "inquiry",
    metadata,
    book_key(),
    id_key(),
    Column("record_id", Uuid, nullable=False),
    Column("member_id", Uuid, nullable=False),
    Column("question", LargeBinary, nullable=False),
    moment("asked_at"),
    words("state"),
    Column("answer", LargeBinary),
    Column("answered_by", Uuid),
    moment("answered_at", nullable=True),
    Column("correction_id", Uuid),
    belongs_to("record_id", "record"),
    belongs_to("member_id", "member"),
    belongs_to("answered_by", "member"),
    belongs_to("correction_id", "correction"),
    CheckConstraint(one_of("state", "open", "corrected", "declined"), name="state"),
    CheckConstraint("(state = 'open') = (answered_at IS NULL)", name="open_has_no_answer"),
    CheckConstraint("(state = 'corrected') = (correction_id IS NOT NULL)", name="corrected_by_one"),
    # One at a time: the database says so, whatever is sent at once.
    Index("inquiry_open_key", "book_id", "record_id", unique=True, postgresql_where=text("state = 'open'")),
    Index("inquiry_queue_idx", "book_id", "asked_at", postgresql_where=text("state = 'open'")),
    Index(None, "book_id", "record_id", "asked_at"),
)
