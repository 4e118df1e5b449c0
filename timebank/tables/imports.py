"""What was imported: each run, and each row that it settled, so that a row is never settled twice."""

from sqlalchemy import CheckConstraint, Column, ForeignKeyConstraint, Index, Integer, LargeBinary, Table, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB

from timebank.tables.base import belongs_to, book_key, id_key, metadata, moment, one_of, words

IMPORT_KINDS = ("regions", "stations", "members", "cards", "hours", "points")

import_run = Table(
    "import_run",
    metadata,
    book_key(),
    id_key(),
    words("kind"),
    words("file_name"),
    # SHA-256 of the file.
    Column("file_digest", LargeBinary, nullable=False),
    # None: the operator.
    Column("actor_id", Uuid),
    # Titles of the header, and the field that each is.
    Column("columns", JSONB, nullable=False),
    words("state"),
    Column("added", Integer, nullable=False, server_default=text("0")),
    Column("same", Integer, nullable=False, server_default=text("0")),
    Column("left_out", Integer, nullable=False, server_default=text("0")),
    Column("refused", Integer, nullable=False, server_default=text("0")),
    moment("started_at"),
    moment("ended_at", nullable=True),
    belongs_to("actor_id", "member"),
    CheckConstraint(one_of("kind", *IMPORT_KINDS), name="kind"),
    CheckConstraint(one_of("state", "running", "stopped", "done"), name="state"),
    CheckConstraint("(state = 'running') = (ended_at IS NULL)", name="running_has_no_end"),
    Index(None, "book_id", "started_at"),
)

import_row = Table(
    "import_row",
    metadata,
    book_key(),
    # A keyed hash of what the row says, and of how many rows before it in the file say the same.
    id_key(),
    Column("run_id", Uuid, nullable=False),
    Column("number", Integer, nullable=False),
    words("state"),
    words("code", nullable=True),
    words("field", nullable=True),
    # The member, record, station or region that it became.
    Column("subject_id", Uuid),
    moment("settled_at"),
    ForeignKeyConstraint(["book_id", "run_id"], ["timebank.import_run.book_id", "timebank.import_run.id"]),
    CheckConstraint(one_of("state", "added", "same", "left", "refused"), name="state"),
    CheckConstraint("(state = 'refused') = (code IS NOT NULL)", name="refused_has_a_code"),
    Index("import_row_refused_idx", "book_id", "run_id", "number", postgresql_where=text("state = 'refused'")),
)
