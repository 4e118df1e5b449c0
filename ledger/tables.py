"""The book's tables, for reading. Nobody writes them but the functions in `sql/`; see `docs/reference/ledger.md`."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import UserDefinedType

metadata = MetaData(schema="ledger")


class TransactionId(UserDefinedType[int]):
    """A 64-bit transaction id of one database cluster."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """The type's name in SQL."""
        return "XID8"


def number(name: str, default: str | None = None) -> Column[int]:
    """A whole number of 64 bits."""
    return Column(name, BigInteger, nullable=False, server_default=text(default) if default else None)


def moment(name: str, *, nullable: bool = False) -> Column[Any]:
    """A point in time, in UTC."""
    return Column(name, DateTime(timezone=True), nullable=nullable)


def words(name: str) -> Column[str]:
    """Text."""
    return Column(name, Text, nullable=False)


def reference(column: str, table: str, name: str) -> ForeignKeyConstraint:
    """A foreign key inside the same book."""
    return ForeignKeyConstraint(["book_id", column], [f"ledger.{table}.book_id", f"ledger.{table}.id"], name=name)


book = Table(
    "book",
    metadata,
    Column("id", Integer, autoincrement=False),
    words("name"),
    words("time_zone"),
    PrimaryKeyConstraint("id", name="book_pkey"),
)

# `balance`, `version` and `last_recorded_at` are a cache of the account's last transfer.
account = Table(
    "account",
    metadata,
    Column("book_id", Integer, nullable=False),
    Column("id", Uuid, nullable=False),
    words("unit"),
    words("kind"),
    Column("system", Boolean, nullable=False),
    Column("floor", BigInteger),
    number("balance", "0"),
    number("version", "0"),
    moment("last_recorded_at", nullable=True),
    moment("closed_at", nullable=True),
    PrimaryKeyConstraint("book_id", "id", name="account_pkey"),
    ForeignKeyConstraint(["book_id"], ["ledger.book.id"], name="account_book_id_fkey"),
    CheckConstraint("floor BETWEEN -9223372036854775806 AND 0", name="account_floor_check"),
    CheckConstraint("balance >= coalesce(floor, -9223372036854775807)", name="account_balance_check"),
    CheckConstraint("version >= 0", name="account_version_check"),
)

# Each side keeps the account's balance after the transfer, and the transfer's number in that account, from 1. The sides
# are no foreign keys: `post` has just read both accounts under lock, and a second check is a third of its time.
transfer = Table(
    "transfer",
    metadata,
    Column("book_id", Integer, nullable=False),
    Column("id", Uuid, nullable=False),
    Column("debit_id", Uuid, nullable=False),
    Column("credit_id", Uuid, nullable=False),
    words("unit"),
    number("amount"),
    words("code"),
    Column("group_id", Uuid),
    Column("group_size", Integer, nullable=False),
    Column("group_position", Integer, nullable=False),
    Column("reverses_id", Uuid),
    moment("occurred_at"),
    moment("recorded_at"),
    Column("xid", TransactionId, nullable=False, server_default=text("pg_current_xact_id()")),
    number("debit_balance"),
    number("debit_version"),
    number("credit_balance"),
    number("credit_version"),
    Column("source", JSONB, nullable=False),
    PrimaryKeyConstraint("book_id", "id", name="transfer_pkey"),
    UniqueConstraint("book_id", "debit_id", "debit_version", name="transfer_debit_version_key"),
    UniqueConstraint("book_id", "credit_id", "credit_version", name="transfer_credit_version_key"),
    reference("reverses_id", "transfer", "transfer_reverses_id_fkey"),
    CheckConstraint("debit_id <> credit_id", name="transfer_sides_check"),
    CheckConstraint("amount > 0", name="transfer_amount_check"),
    CheckConstraint("debit_version > 0 AND credit_version > 0", name="transfer_versions_check"),
    CheckConstraint(
        "group_position BETWEEN 1 AND group_size AND (group_id IS NOT NULL OR group_size = 1)",
        name="transfer_group_check",
    ),
    CheckConstraint("reverses_id <> id", name="transfer_reverses_check"),
)
Index(
    "transfer_reverses_id_key",
    transfer.c.book_id,
    transfer.c.reverses_id,
    unique=True,
    postgresql_where=text("reverses_id IS NOT NULL"),
)
Index(
    "transfer_group_id_key",
    transfer.c.book_id,
    transfer.c.group_id,
    transfer.c.group_position,
    unique=True,
    postgresql_where=text("group_id IS NOT NULL"),
)

leaf = Table(
    "leaf",
    metadata,
    Column("book_id", Integer, nullable=False),
    number("index"),
    Column("transfer_id", Uuid, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    PrimaryKeyConstraint("book_id", "index", name="leaf_pkey"),
    UniqueConstraint("book_id", "transfer_id", name="leaf_transfer_id_key"),
    reference("transfer_id", "transfer", "leaf_transfer_id_fkey"),
    CheckConstraint("index >= 0", name="leaf_index_check"),
    CheckConstraint("length(hash) = 32", name="leaf_hash_check"),
)

checkpoint = Table(
    "checkpoint",
    metadata,
    Column("book_id", Integer, nullable=False),
    number("size"),
    Column("root", LargeBinary, nullable=False),
    Column("signature", LargeBinary, nullable=False),
    moment("at"),
    PrimaryKeyConstraint("book_id", "size", name="checkpoint_pkey"),
    ForeignKeyConstraint(["book_id"], ["ledger.book.id"], name="checkpoint_book_id_fkey"),
    CheckConstraint("size >= 0", name="checkpoint_size_check"),
    CheckConstraint("length(root) = 32", name="checkpoint_root_check"),
)
