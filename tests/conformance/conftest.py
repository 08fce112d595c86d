"""An issuer that trusts one provider of wallets, for the modules of the OpenID Foundation's conformance suite."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes import FakeClock
from tests.wallet_api.running import Running, Wallet
from tests.wallet_api.wallet_provider import WalletProvider
from wallet_api.database import Database


@pytest.fixture
def provider(clock: FakeClock) -> WalletProvider:
    return WalletProvider(clock.now())


@pytest.fixture
def issuer(runner: asyncio.Runner, tmp_path: Path, clock: FakeClock, provider: WalletProvider) -> Iterator[Running]:
    """On SQLite: what the suite looks at does not touch the database's ways."""
    anchors = tmp_path / "providers.pem"
    anchors.write_bytes(provider.anchor_pem)
    database = Database(f"sqlite:///{tmp_path / 'conformance.db'}")
    runner.run(database.create_all())
    running = runner.run(Running.start(tmp_path, clock, database, key_attestation_anchors=anchors))
    yield running
    runner.run(running.http.aclose())
    runner.run(database.close())


@pytest.fixture
def signed_in(runner: asyncio.Runner, issuer: Running) -> Wallet:
    """A wallet whose holder signed in."""

    async def granted() -> Wallet:
        await issuer.offer()
        return await issuer.signed_in()

    return runner.run(granted())


@pytest.fixture(params=["pre_authorization_code", "authorization_code"])
def wallet(request: pytest.FixtureRequest, runner: asyncio.Runner, issuer: Running) -> Wallet:
    """A wallet with a DPoP-bound token of either grant. How a code becomes a token is the other modules' business."""

    async def granted() -> Wallet:
        wallet = await issuer.wallet()
        return wallet if request.param == "pre_authorization_code" else await issuer.signed_in()

    return runner.run(granted())
