"""A double-entry book on PostgreSQL: append-only, provable from its rows, usable by another project as it is."""
