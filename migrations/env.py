"""Alembic's environment. The connection and its transaction belong to `timebank.schema.migrate`, which calls this."""

from alembic import context

# A migration that waits long for a lock holds up everybody who comes after it: it gives up, and is run again later.
LOCK_TIMEOUT = "10s"

connection = context.config.attributes["connection"]
connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
connection.exec_driver_sql("SET LOCAL statement_timeout = '30min'")
context.configure(connection=connection, transactional_ddl=True)
context.run_migrations()
