"""The schema's history (Alembic), and how a process brings its database up to date.

await upgrade(database)            # to the newest revision; safe when several processes start at once
await is_current(database)
"""

from importlib import resources

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from wallet_api.database import Database

LOCK = 0x4C5A_0001  # any number, the same in every process: one migrates, the others wait


class SchemaUnknown(Exception):
    """The database is at a revision that this version does not have."""

    code = "schema_unknown"


async def upgrade(database: Database) -> None:
    """Run what is missing, in one transaction where the database can.

    Raises:
        SchemaUnknown: a newer version of the platform has been here; nothing was changed.
    """
    async with database.engine.connect() as connection:
        options = {"liangzheng_begin": "BEGIN IMMEDIATE"}
        connection = await connection.execution_options(**options)
        async with connection.begin():
            if not database.is_sqlite:
                await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
            await connection.run_sync(_upgrade)


async def is_current(database: Database) -> bool:
    """Whether the database is at the newest revision."""
    async with database.engine.connect() as connection:
        return await connection.run_sync(_is_current)


def config(connection: Connection | None = None) -> Config:
    """Alembic's configuration, in code: there is no `alembic.ini` to find."""
    settings = Config()
    settings.set_main_option("script_location", str(resources.files("wallet_api.migrations")))
    settings.attributes["connection"] = connection
    return settings


def _upgrade(connection: Connection) -> None:
    settings = config(connection)
    revision = MigrationContext.configure(connection).get_current_revision()
    known = {script.revision for script in ScriptDirectory.from_config(settings).walk_revisions()}
    if revision is not None and revision not in known:
        raise SchemaUnknown(f"the database is at revision {revision}, of a newer version; start that one")
    command.upgrade(settings, "head")


def _is_current(connection: Connection) -> bool:
    newest = ScriptDirectory.from_config(config()).get_current_head()
    return MigrationContext.configure(connection).get_current_revision() == newest
