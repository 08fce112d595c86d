"""A platform and a device that knows it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes import FakeClock
from tests.verifier_sdk.cases import World, hold
from tests.verifier_sdk.issuer import Issuer
from verifier_sdk import TrustStore, Verifier


@pytest.fixture(scope="session")
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture(scope="session")
def world(issuer: Issuer) -> World:
    return World.of(issuer)


@pytest.fixture
def trust(tmp_path: Path, issuer: Issuer, world: World, clock: FakeClock) -> Iterator[TrustStore]:
    """A device that has just synchronised."""
    hold(tmp_path, issuer.root.pem, world.trust_list, world.status_lists)
    with TrustStore.open(tmp_path, [issuer.root.pem], clock=clock) as trust:
        yield trust


@pytest.fixture
def verifier(trust: TrustStore, clock: FakeClock) -> Verifier:
    return Verifier(trust, clock=clock)
