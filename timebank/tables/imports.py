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

import_upload = Table(
    "import_upload",
    metadata,
    book_key(),
    id_key(),
    # Whoever handed it in; then whoever asked last that it be tried or imported.
    Column("actor_id", Uuid, nullable=False),
    words("kind"),
    words("file_name"),
    Column("file_digest", LargeBinary, nullable=False),
    # Below the header, about.
    Column("rows", Integer, nullable=False),
    Column("station_id", Uuid),
    Column("fund_id", Uuid),
    words("state"),
    # Why nothing came of it.
    words("code", nullable=True),
    # How far it is, in rows below the header.
    Column("reached", Integer, nullable=False, server_default=text("0")),
    Column("added", Integer, nullable=False, server_default=text("0")),
    Column("same", Integer, nullable=False, server_default=text("0")),
    Column("left_out", Integer, nullable=False, server_default=text("0")),
    Column("refused", Integer, nullable=False, server_default=text("0")),
    moment("uploaded_at"),
    moment("ended_at", nullable=True),
    belongs_to("actor_id", "member"),
    belongs_to("station_id", "station"),
    belongs_to("fund_id", "fund"),
    CheckConstraint(one_of("kind", *IMPORT_KINDS), name="kind"),
    CheckConstraint(
        one_of("state", "there", "trying", "tried", "importing", "done", "failed", "removed"), name="state"
    ),
    CheckConstraint("(state = 'failed') = (code IS NOT NULL)", name="failed_has_a_code"),
    CheckConstraint("(state IN ('done', 'removed')) = (ended_at IS NOT NULL)", name="over_has_an_end"),
    Index(None, "book_id", "uploaded_at"),
)
