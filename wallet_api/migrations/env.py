"""Run by Alembic. The connection comes from `wallet_api.migrations`, with a transaction already open."""

from alembic import context
from sqlmodel import SQLModel

from wallet_api import wiring  # noqa: F401  (imports every table)

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=SQLModel.metadata, compare_type=True, render_as_batch=False)
context.run_migrations()
