"""What reads in a member's name without their session: programs with a token, and calendars with a secret address."""

from sqlalchemy import CheckConstraint, Column, Index, LargeBinary, Table, Text, UniqueConstraint, Uuid

from timebank.tables.base import belongs_to, book_key, id_key, metadata, moment, one_of

READ_SCOPES = ("things", "people", "statements", "figures")

# Of a manager or administrator. A row goes when the token is revoked, or some time after it has ended.
read_token = Table(
    "read_token",
    metadata,
    book_key(),
    id_key(),
    Column("member_id", Uuid, nullable=False),
    # What its maker calls it, sealed under the maker's key.
    Column("name", LargeBinary, nullable=False),
    # SHA-256: the table alone reads nothing.
    Column("token_hash", LargeBinary, nullable=False),
    Column("scope", Text, nullable=False),
    moment("made_at"),
    moment("expires_at"),
    moment("used_at", nullable=True),
    belongs_to("member_id", "member"),
    UniqueConstraint("book_id", "token_hash"),
    CheckConstraint(one_of("scope", *READ_SCOPES), name="scope"),
    Index(None, "book_id", "member_id"),
)

# The address of a member's calendar of shifts; the hash of its secret part.
shift_feed = Table(
    "shift_feed",
    metadata,
    book_key(),
    Column("member_id", Uuid, primary_key=True),
    Column("token_hash", LargeBinary, nullable=False),
    moment("made_at"),
    belongs_to("member_id", "member"),
    UniqueConstraint("book_id", "token_hash"),
)
