"""What other systems are told: who wants to know what, and each message until it was taken."""

from sqlalchemy import ARRAY, CheckConstraint, Column, Index, Integer, Table, Text, Uuid

from timebank.tables.base import belongs_to, book_key, id_key, metadata, moment, one_of, words

EVENTS = (
    "record.verified",
    "record.corrected",
    "redemption.fulfilled",
    "certificate.issued",
    "shift.planned",
    "shift.cancelled",
)
MESSAGE_STATES = ("waiting", "sent", "dead")

# An address that is told of what happens in a region and below it.
webhook = Table(
    "webhook",
    metadata,
    book_key(),
    id_key(),
    Column("region_id", Uuid, nullable=False),
    words("url"),
    Column("events", ARRAY(Text), nullable=False),
    Column("added_by", Uuid, nullable=False),
    moment("added_at"),
    belongs_to("region_id", "region"),
    belongs_to("added_by", "member"),
    CheckConstraint(f"events <@ ARRAY[{', '.join(repr(each) for each in EVENTS)}]", name="events"),
)

# The outbox: written with what it tells of, in one transaction; sent by whichever process claims it.
webhook_message = Table(
    "webhook_message",
    metadata,
    book_key(),
    id_key(),
    Column("webhook_id", Uuid, nullable=False),
    words("event"),
    # What it happened to: its id alone, never a name.
    Column("subject_id", Uuid, nullable=False),
    moment("at"),
    words("state"),
    Column("tries", Integer, nullable=False),
    # When it is tried (again); while it is being tried, when another process may.
    moment("due_at"),
    # What the last try came to.
    Column("status", Integer),
    words("failure", nullable=True),
    moment("sent_at", nullable=True),
    belongs_to("webhook_id", "webhook"),
    CheckConstraint(one_of("state", *MESSAGE_STATES), name="state"),
    Index("webhook_message_due_idx", "book_id", "state", "due_at"),
    Index(None, "book_id", "webhook_id", "at"),
)
