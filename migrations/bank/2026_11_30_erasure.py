"""Forgetting: who asked that a person be erased, and the few columns of evidence that may become empty.

Scans and decisions stay append-only but for what names a person or a phone: which phone a scan came from, and the words
of a reason. These may be emptied, and nothing else: the guard compares the rest of the row, whatever columns it has.
"""

from pathlib import Path

from alembic import op
from sqlalchemy import text

revision = "bank_2026_11_30_erasure"
down_revision = "bank_2026_11_24_admin"
branch_labels = None
depends_on = None

# By table: what may be emptied, and never filled again.
PASSING_COLUMNS = {"decision": ("reason",), "punch": ("phone_id", "phone_time", "reason")}

REFUSE_MORE_THAN_FORGETTING = """
CREATE FUNCTION timebank.refuse_more_than_forgetting() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog
AS $$
BEGIN
  IF to_jsonb(NEW) - TG_ARGV <> to_jsonb(OLD) - TG_ARGV
    OR NOT to_jsonb(OLD) @> jsonb_strip_nulls(to_jsonb(NEW))
  THEN
    RAISE EXCEPTION '%.% is append-only', TG_TABLE_SCHEMA, TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
  END IF;
  RETURN NEW;
END
$$
"""


def upgrade() -> None:
    """Create the table of erasures, and open what may be forgotten."""
    for statement in Path(__file__).with_suffix(".sql").read_text(encoding="utf-8").split(";\n\n"):
        op.execute(statement.strip().removesuffix(";"))
    op.execute("GRANT SELECT, INSERT, UPDATE ON timebank.erasure TO timebank_service")
    op.execute(REFUSE_MORE_THAN_FORGETTING)
    for table, columns in PASSING_COLUMNS.items():
        listed = ", ".join(columns)
        op.execute(f"DROP TRIGGER append_only ON timebank.{table}")
        kept = kept_columns(table, columns)
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OF {kept} OR DELETE OR TRUNCATE ON timebank.{table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION timebank.refuse_change()"
        )
        quoted = ", ".join(f"'{column}'" for column in columns)
        op.execute(
            f"CREATE TRIGGER only_forgetting BEFORE UPDATE ON timebank.{table}"
            f" FOR EACH ROW EXECUTE FUNCTION timebank.refuse_more_than_forgetting({quoted})"
        )
        for trigger in ("append_only", "only_forgetting"):
            op.execute(f"ALTER TABLE timebank.{table} ENABLE ALWAYS TRIGGER {trigger}")
        op.execute(f"GRANT UPDATE ({listed}) ON timebank.{table} TO timebank_service")


def kept_columns(table: str, forgotten: tuple[str, ...]) -> str:
    """The other columns that the table has now."""
    query = text(
        "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(:table) AND attnum > 0 AND NOT attisdropped"
        " ORDER BY attnum"
    )
    rows = op.get_bind().execute(query, {"table": f"timebank.{table}"})
    return ", ".join(name for (name,) in rows if name not in forgotten)
