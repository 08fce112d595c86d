import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from sqlalchemy import Row, text

from tests.fakes import FakeClock
from tests.notifications.fakes import City
from wallet_api.database import Database
from wallet_api.protection import DataProtector


@pytest.fixture
def city(runner: asyncio.Runner, database: Database, clock: FakeClock, protector: DataProtector) -> Iterator[City]:
    """Whatever a test does with it, the table of what is planned says what the reminders' states say."""
    city = City(database, clock, protector)
    yield city
    by_state, listed = runner.run(_planned(database))
    assert by_state == listed


async def _planned(database: Database) -> tuple[list[Row[Any]], list[Row[Any]]]:
    async with database.snapshot() as session:
        connection = await session.connection()
        by_state = "SELECT due_on, holder_id, id, type_code FROM reminder WHERE state = 'planned' ORDER BY id"
        listed = "SELECT due_on, holder_id, reminder_id, type_code FROM reminder_planned ORDER BY reminder_id"
        return (
            list(await connection.execute(text(by_state))),
            list(await connection.execute(text(listed))),
        )


@pytest.fixture(scope="session")
def private_key_pem() -> str:
    """The key of a Google service account."""
    key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return pem.decode()
