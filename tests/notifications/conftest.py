import pytest

from tests.fakes import FakeClock
from tests.notifications.fakes import City
from wallet_api.database import Database
from wallet_api.protection import DataProtector


@pytest.fixture
def city(database: Database, clock: FakeClock, protector: DataProtector) -> City:
    return City(database, clock, protector)
