"""What was asked and answered (commands) and what was changed by whom (audit entries)."""

from sqlalchemy import Column, Index, LargeBinary, Table, Uuid
from sqlalchemy.dialects.postgresql import JSONB

from timebank.tables.base import book_key, id_key, metadata, moment, words

# Every final answer, refusals included, for ever: the same id, actor and content gets the same answer.
command = Table(
    "command",
    metadata,
    book_key(),
    id_key(),
    words("kind"),
    Column("actor_id", Uuid, nullable=False),
    Column("content_hash", LargeBinary, nullable=False),
    Column("answer", JSONB, nullable=False),
    moment("recorded_at"),
)

audit_entry = Table(
    "audit_entry",
    metadata,
    book_key(),
    id_key(),
    moment("at"),
    Column("actor_id", Uuid),
    words("action"),
    words("subject_kind"),
    Column("subject_id", Uuid, nullable=False),
    # What changed, without personal fields; those go into `personal`, under the subject's own data key.
    Column("before", JSONB),
    Column("after", JSONB),
    Column("personal", LargeBinary),
    words("request_id", nullable=True),
    # Whose branch it concerns; none: only those of the whole book see it.
    Column("region_id", Uuid),
    Index(None, "book_id", "at"),
    Index(None, "book_id", "region_id", "at"),
    Index(None, "book_id", "subject_id", "at"),
    Index(None, "book_id", "actor_id", "at"),
)
