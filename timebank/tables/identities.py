"""Whose document somebody at a desk has seen."""

from sqlalchemy import CheckConstraint, Column, Index, LargeBinary, Table, Uuid, text

from timebank.tables.base import belongs_to, book_key, metadata, moment, one_of, words

IDENTITY_KINDS = ("id_card", "passport", "permit")

# That a member's document was seen, by whom, and the end of its number; never the number.
identity_check = Table(
    "identity_check",
    metadata,
    book_key(),
    Column("member_id", Uuid, primary_key=True),
    words("kind"),
    # The last four characters, sealed under the member's key.
    Column("ending", LargeBinary, nullable=False),
    # Keyed hash of kind and number: finds a document that two members show.
    Column("number_hash", LargeBinary, nullable=False),
    words("state"),
    Column("checked_by", Uuid, nullable=False),
    moment("checked_at"),
    belongs_to("member_id", "member"),
    belongs_to("checked_by", "member"),
    CheckConstraint(one_of("kind", *IDENTITY_KINDS), name="kind"),
    CheckConstraint(one_of("state", "checked", "held"), name="state"),
    Index(None, "book_id", "number_hash"),
    # A document is one person's: the database says so, whoever shows it at once.
    Index(
        "identity_check_checked_key", "book_id", "number_hash", unique=True, postgresql_where=text("state = 'checked'")
    ),
    Index(None, "book_id", "state", "checked_at"),
)
