"""An issuer that trusts one provider of wallets and one attester of keys, for the suite's issuer modules."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes import FakeClock
from tests.wallet_api.attesting import AttestedWallet, WalletProvider
from tests.wallet_api.key_attester import KeyAttester
from tests.wallet_api.running import Running, Wallet
from wallet_api.database import Database


@pytest.fixture
def attester(clock: FakeClock) -> KeyAttester:
    return KeyAttester(clock.now())


@pytest.fixture
def provider() -> WalletProvider:
    return WalletProvider()


@pytest.fixture
def issuer(
    runner: asyncio.Runner, tmp_path: Path, clock: FakeClock, attester: KeyAttester, provider: WalletProvider
) -> Iterator[Running]:
    """On SQLite: what the suite looks at does not touch the database's ways."""
    anchors = tmp_path / "attesters-of-keys.pem"
    anchors.write_bytes(attester.anchor_pem)
    settings = {"key_attestation_anchors": anchors, **provider.settings(tmp_path)}
    database = Database(f"sqlite:///{tmp_path / 'conformance.db'}")
    runner.run(database.create_all())
    running = runner.run(Running.start(tmp_path, clock, database, **settings))
    yield running
    runner.run(running.http.aclose())
    runner.run(database.close())


@pytest.fixture
def signed_in(runner: asyncio.Runner, issuer: Running, provider: WalletProvider) -> Wallet:
    """A wallet with a token by PAR, PKCE, sign-in, attestation and DPoP."""

    async def granted() -> Wallet:
        await issuer.offer()
        wallet = AttestedWallet(issuer, provider=provider)
        await wallet.signed_in(dpop=True)
        return wallet

    return runner.run(granted())


@pytest.fixture(params=["pre_authorization_code", "authorization_code"])
def wallet(request: pytest.FixtureRequest, runner: asyncio.Runner, issuer: Running) -> Wallet:
    """A wallet with a DPoP-bound token of either grant."""
    if request.param == "pre_authorization_code":
        return runner.run(issuer.wallet())
    wallet: Wallet = request.getfixturevalue("signed_in")
    return wallet
