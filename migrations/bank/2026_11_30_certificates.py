"""Certificates of service: what was printed, for whom, of which records; never changed afterwards."""

from pathlib import Path

from alembic import op

revision = "bank_2026_11_30_certificates"
down_revision = "bank_2026_11_30_privacy"
branch_labels = None
depends_on = None

APPEND_ONLY = ("certificate", "certificate_record")


def upgrade() -> None:
    """Create the tables, their guards and their grants."""
    for statement in Path(__file__).with_suffix(".sql").read_text(encoding="utf-8").split(";\n\n"):
        op.execute(statement.strip().removesuffix(";"))
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON timebank.{table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION timebank.refuse_change()"
        )
        op.execute(f"ALTER TABLE timebank.{table} ENABLE ALWAYS TRIGGER append_only")
        op.execute(f"GRANT SELECT, INSERT ON timebank.{table} TO timebank_service")
