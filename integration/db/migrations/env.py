"""Run by Alembic. Uses the connection of `upgrade`, in one transaction."""

from alembic import context

from integration.db import every_table  # noqa: F401 - they register themselves
from integration.db.tables import Table

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=Table.metadata, transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
