"""Certificates of service as they were issued: never changed, so that what was printed can be compared for ever."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    Index,
    Integer,
    LargeBinary,
    Table,
    UniqueConstraint,
    Uuid,
)

from timebank.tables.base import belongs_to, book_key, id_key, metadata, moment, words

certificate = Table(
    "certificate",
    metadata,
    book_key(),
    id_key(),
    # What stands on the paper, with a code over it; drawn, so that nobody counts what a city issues.
    Column("number", BigInteger, nullable=False),
    Column("member_id", Uuid, nullable=False),
    # The name as printed, under the member's data key: erased with them.
    Column("sealed_name", LargeBinary, nullable=False),
    # The days of service that were asked for; none: from the beginning, to the end.
    Column("since", Date),
    Column("until", Date),
    words("unit"),
    moment("issued_at"),
    Column("issued_by", Uuid, nullable=False),
    belongs_to("member_id", "member"),
    belongs_to("issued_by", "member"),
    CheckConstraint("since <= until", name="period"),
    UniqueConstraint("book_id", "number"),
    Index(None, "book_id", "member_id", "issued_at"),
)

# What each record came to when the certificate was issued; the rest of a record never changes.
certificate_record = Table(
    "certificate_record",
    metadata,
    book_key(),
    Column("certificate_id", Uuid, primary_key=True),
    Column("record_id", Uuid, primary_key=True),
    Column("minutes", Integer, nullable=False),
    # The latest correction at that moment; another one since says that the paper is out of date.
    Column("correction_id", Uuid),
    belongs_to("certificate_id", "certificate"),
    belongs_to("record_id", "record"),
    belongs_to("correction_id", "correction"),
    CheckConstraint("minutes > 0", name="minutes"),
    Index(None, "book_id", "record_id"),
)
