"""The schema's history, in two branches: the ledger's, which installs alone, and the bank's, which stands on it."""

# What the table `alembic_version` holds once every migration has run; a test compares. A service that starts looks here
# first and asks Alembic only when something differs. A revision that another one depends on has no row of its own.
HEADS = frozenset({"bank_2026_12_01_guardians_time"})
