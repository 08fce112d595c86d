import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.fakes import FakeClock
from tests.notifications.fakes import City
from wallet_api.database import Database
from wallet_api.protection import DataProtector


@pytest.fixture
def city(database: Database, clock: FakeClock, protector: DataProtector) -> City:
    return City(database, clock, protector)


@pytest.fixture(scope="session")
def private_key_pem() -> str:
    """The key of a Google service account."""
    key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return pem.decode()
