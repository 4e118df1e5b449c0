"""${message}.

Say what changes and why. A change that rewrites or scans a table that grows gets a lock first and is done in steps;
`migrations/env.py` sets the time-outs.
"""

from alembic import op

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade() -> None:
    """Say what this does."""
    ${upgrades if upgrades else "raise RuntimeError('write the migration')"}
