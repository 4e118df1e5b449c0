"""The one MetaData of the bank's schema, and the column shapes every table shares.

`book_id` stands first in every key, foreign key, join and WHERE of the tables that grow: one book is one home
ledger, normally a city, and that is what lets the same schema be spread over several machines later.
"""

from typing import Any

from sqlalchemy import Column, DateTime, ForeignKeyConstraint, Integer, MetaData, Text, Uuid

metadata = MetaData(
    schema="timebank",
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "fk": "%(table_name)s_%(column_1_name)s_fkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ck": "%(table_name)s_%(constraint_name)s_check",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    },
)


def book_key() -> Column[int]:
    """First part of every primary key."""
    return Column("book_id", Integer, primary_key=True, autoincrement=False)


def id_key() -> Column[Any]:
    """Second part of most primary keys: a UUID made outside the database."""
    return Column("id", Uuid, primary_key=True)


def moment(name: str, *, nullable: bool = False) -> Column[Any]:
    """A point in time; UTC in the database, the community's zone on the page."""
    return Column(name, DateTime(timezone=True), nullable=nullable)


def words(name: str, *, nullable: bool = False) -> Column[Any]:
    """Free text. Lengths are checked where text comes in, with an error in words."""
    return Column(name, Text, nullable=nullable)


def belongs_to(column: str, table: str, target: str = "id", *, later: bool = False) -> ForeignKeyConstraint:
    """A foreign key inside the same book; `later`: to a table that needs this one too, so added when both are."""
    keys = [f"timebank.{table}.book_id", f"timebank.{table}.{target}"]
    return ForeignKeyConstraint(["book_id", column], keys, use_alter=later)


def one_of(column: str, *values: str) -> str:
    """The condition that `column` holds one of `values`."""
    listed = ", ".join(f"'{value}'" for value in values)
    return f"{column} IN ({listed})"
