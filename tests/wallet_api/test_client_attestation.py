"""Wallets that authenticate with attestations (draft-ietf-oauth-attestation-based-client-auth-07 and -10)."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credentials.errors import CredentialsError
from credentials.keys.formats.jwk import PublicJwk
from credentials.keys.formats.signed_jwt import JwtMalformed, JwtSignatureInvalid, SignedJwt
from tests.credentials.issuance.test_parsers import ANY_JSON, ANY_TEXT
from tests.credentials.rows import driving_row
from tests.fakes import FakeClock
from tests.wallet_api.attesting import AttestedWallet as Wallet
from tests.wallet_api.attesting import WalletProvider, haip_platform
from tests.wallet_api.running import ABSENT, Json, Running, jwt, new_key
from tests.wallet_api.signing_in import SigningWallet
from tests.wallet_api.test_authorization import AT_ONCE
from tests.wallet_api.test_token_endpoint import refusal
from wallet_api.database import Database
from wallet_api.oauth.client_attestation import AttestedWallet, Attesters, read_attestation, read_pop
from wallet_api.oauth.trusted_attesters import wallet_policy
from wallet_api.settings import Settings

VECTORS = Path(__file__).parents[1] / "vectors" / "client_attestation_draft10.json"
NOW = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
ISSUER = "https://as.example.com"


@pytest.fixture
def database(postgresql_database: Database) -> Database:
    return postgresql_database


@pytest.fixture
def wallet(runner: asyncio.Runner, tmp_path: Path, clock: FakeClock, database: Database) -> Iterator[Wallet]:
    provider = WalletProvider()
    running = runner.run(haip_platform(tmp_path, clock, database, provider))
    runner.run(running.take(driving_row()))
    yield Wallet(running, provider=provider)
    runner.run(running.http.aclose())


async def test_an_attested_wallet_is_served_from_push_to_refresh(wallet: Wallet) -> None:
    await wallet.signed_in(dpop=True)
    assert (await wallet.credential()).count("~") > 5
    wallet.take(await wallet.refresh())
    assert (await wallet.credential()).count("~") > 5
    assert await wallet.running.count("wallet_grant", instance_jkt=wallet.instance.thumbprint()) == 1
    metadata = (await wallet.running.http.get("/.well-known/oauth-authorization-server/city")).json()
    assert metadata["token_endpoint_auth_methods_supported"] == ["attest_jwt_client_auth", "private_key_jwt"]
    assert metadata["pre-authorized_grant_anonymous_access_supported"] is False
    challenge = await wallet.running.http.post(wallet.running.path(metadata["challenge_endpoint"]))
    assert (challenge.status_code, challenge.headers["cache-control"]) == (200, "no-store")
    assert challenge.json().keys() == {"attestation_challenge"}


async def test_who_brings_no_attestation_is_refused_where_one_is_required(wallet: Wallet) -> None:
    plain, offered = SigningWallet(wallet.running), await wallet.running.offer()
    code = await wallet.code()
    for answer in (
        await plain.push(),
        await plain.exchange(code, code_verifier=wallet.verifier),
        await plain.ask_token(offered.code),
    ):
        assert refusal(answer) == (400, "invalid_client")
    await wallet.signed_in()
    stolen = SigningWallet(wallet.running, key=wallet.key)
    assert refusal(await stolen.refresh(wallet.refresh_token)) == (400, "invalid_client")
    assert (await wallet.refresh()).status_code == 200


async def test_an_attestation_that_does_not_hold_is_refused(wallet: Wallet) -> None:
    now_s, stranger, other = wallet.now_s, new_key(), WalletProvider()
    private = {"jwk": wallet.instance.export(as_dict=True)}
    attestations: Mapping[str, Json] = {
        "signed by a stranger": {"key": stranger},
        "a stranger's chain": {"key": other.key, "header": {"x5c": other.x5c}},
        "our chain, a stranger's signature": {"key": other.key},
        "no chain": {"header": {"x5c": ABSENT}},
        "chain of nothing": {"header": {"x5c": []}},
        "typ of a plain JWT": {"header": {"typ": "JWT"}},
        "alg none": {"header": {"alg": "none"}},
        "over": {"exp": now_s},
        "no exp": {"exp": ABSENT},
        "exp as text": {"exp": "9"},
        "issued tomorrow": {"iat": now_s + 86_400},
        "not yet good": {"nbf": now_s + 86_400},
        "no sub": {"sub": ABSENT},
        "sub empty": {"sub": ""},
        "sub NUL": {"sub": "\x00"},
        "sub of another client": {"sub": "another"},
        "no key": {"cnf": ABSENT},
        "key by thumbprint": {"cnf": {"jkt": "x"}},
        "private key": {"cnf": private},
        "another instance's key": {"cnf": {"jwk": stranger.export_public(as_dict=True)}},
    }
    proofs: Mapping[str, Json] = {
        "signed by another key": {"key": stranger},
        "typ of a plain JWT": {"header": {"typ": "JWT"}},
        "aud of another server": {"aud": "https://evil.example"},
        "aud of the token endpoint": {"aud": f"{wallet.running.url}/oauth/token"},
        "aud of several": {"aud": [wallet.running.url, "https://evil.example"]},
        "no aud": {"aud": ABSENT},
        "iss of another client": {"iss": "another"},
        "no jti": {"jti": ABSENT},
        "jti a number": {"jti": 1},
        "jti endless": {"jti": "x" * 257},
        "old": {"iat": now_s - 301},
        "ahead": {"iat": now_s + 61},
        "no iat": {"iat": ABSENT},
        "over": {"exp": now_s},
    }
    told = {}
    for name, changes in attestations.items():
        wallet.attestation = changes
        told[f"attestation: {name}"] = refusal(await wallet.push())
    wallet.attestation = {}
    for name, changes in proofs.items():
        wallet.pop = changes
        told[f"proof: {name}"] = refusal(await wallet.push())
    wallet.pop = {}
    assert told == dict.fromkeys(told, (400, "invalid_client"))
    headers = wallet.client_headers()
    for name in headers:
        assert refusal(await wallet.push(headers={**headers, name: "x.y.z"})) == (400, "invalid_client")
    twice = [*headers.items(), ("OAuth-Client-Attestation", headers["OAuth-Client-Attestation"])]
    answer = await wallet.running.post("/oauth/par", data=wallet.request_form(), headers=twice)
    assert refusal(answer) == (400, "invalid_client")
    assert await wallet.running.count("authorization_request") == 0
    for lawful in ({"iss": "https://attester.example"}, {"iat": ABSENT}, {"x": None}):
        wallet.attestation = lawful
        assert (await wallet.push()).status_code == 201
    wallet.attestation = {}
    for lawful in ({"aud": [wallet.running.url]}, {"iss": wallet.client_id}, {"exp": now_s + 60}):
        wallet.pop = lawful
        assert (await wallet.push()).status_code == 201


async def test_a_proof_of_possession_counts_once_however_often_it_is_sent(wallet: Wallet) -> None:
    wallet.pop = {"jti": "the same"}
    answers = await asyncio.gather(*(wallet.push() for _ in range(AT_ONCE)))
    assert Counter(answer.status_code for answer in answers) == {201: 1, 400: AT_ONCE - 1}


async def test_code_and_refresh_token_belong_to_the_instance_that_asked(wallet: Wallet) -> None:
    sister = Wallet(wallet.running, provider=wallet.provider, key=wallet.key, verifier=wallet.verifier)
    code = await wallet.code()
    assert refusal(await sister.exchange(code)) == (400, "invalid_grant")
    wallet.take(await wallet.exchange(code))
    assert refusal(await sister.refresh(wallet.refresh_token)) == (400, "invalid_grant")
    assert (await wallet.refresh()).status_code == 200


async def test_a_challenge_that_is_not_ours_is_refused_with_a_fresh_one(wallet: Wallet) -> None:
    wallet.pop = {"challenge": "of another server"}
    refused = await wallet.push()
    assert refusal(refused) == (400, "use_attestation_challenge")
    for name in ("challenge", "nonce"):  # drafts before 07 called it nonce
        wallet.pop = {name: refused.headers["OAuth-Client-Attestation-Challenge"]}
        assert (await wallet.push()).status_code == 201
    wallet.running.clock.forward(seconds=300)
    assert refusal(await wallet.push()) == (400, "use_attestation_challenge")


async def test_a_deployment_may_require_challenges_and_trust_bare_keys(
    tmp_path: Path, clock: FakeClock, database: Database
) -> None:
    provider = WalletProvider(with_certificate=False)
    running = await haip_platform(tmp_path, clock, database, provider, wallet_challenge_required=True)
    wallet = Wallet(running, provider=provider)
    refused = await wallet.push()
    assert refusal(refused) == (400, "use_attestation_challenge")
    wallet.pop = {"challenge": refused.headers["OAuth-Client-Attestation-Challenge"]}
    assert (await wallet.push()).status_code == 201
    wallet.attestation = {"key": new_key()}
    assert refusal(await wallet.push()) == (400, "invalid_client")
    await running.http.aclose()


async def test_who_trusts_nobody_takes_no_attestation(running: Running) -> None:
    assert refusal(await Wallet(running).push()) == (400, "invalid_client")
    assert (await SigningWallet(running).push()).status_code == 201


def test_an_attestation_cannot_be_required_of_nobody() -> None:
    with pytest.raises(ValueError, match="WALLET_ATTESTER"):
        Settings(_env_file=None, wallet_attestation_required=True)


def test_a_broken_file_of_attesters_stops_the_start(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    for content in (b"", b"{}", b'{"keys": []}', b'{"keys": [{}]}', b"\xff"):
        broken.write_bytes(content)
        for name in ("wallet_attester_keys", "wallet_attester_anchors"):
            with pytest.raises(CredentialsError):
                wallet_policy(Settings(_env_file=None, **{name: broken}))


# ---- the draft's own examples, and any input


def test_the_proofs_of_the_draft_hold_for_the_server_they_are_for() -> None:
    """The attester's key is not published: its signature alone cannot be checked."""
    vectors = json.loads(VECTORS.read_text())["items"]
    attestation = SignedJwt.from_compact(vectors[0]["value"], typ="oauth-client-attestation+jwt")
    claims = attestation.unverified_claims
    instance = AttestedWallet(claims["sub"], PublicJwk.from_object(claims["cnf"]["jwk"]))
    now = datetime.fromtimestamp(vectors[1]["payload"]["iat"], UTC)
    assert dict(read_pop(vectors[1]["value"], instance, ISSUER, now)) == vectors[1]["payload"]
    with pytest.raises(JwtMalformed):
        read_pop(vectors[2]["value"], instance, ISSUER, now)  # for a resource server
    with pytest.raises(JwtSignatureInvalid):
        read_attestation(vectors[0]["value"], Attesters(), now)
    with pytest.raises(JwtSignatureInvalid):
        read_attestation(vectors[0]["value"], Attesters(keys=(instance.instance_key,)), now)


ATTESTER, INSTANCE = new_key(), new_key()
TRUSTED = Attesters(keys=(PublicJwk.from_object(ATTESTER.export_public(as_dict=True)),))


@settings(max_examples=100, deadline=None)
@given(
    ANY_TEXT
    | st.dictionaries(st.sampled_from(["sub", "cnf", "exp", "iat", "nbf", "iss"]), ANY_JSON, max_size=3).map(
        lambda changes: jwt(
            ATTESTER,
            {"typ": "oauth-client-attestation+jwt", "alg": "ES256"},
            {"sub": "w", "exp": 9e9, "cnf": {"jwk": INSTANCE.export_public(as_dict=True)}, **changes},
        )
    )
)
def test_any_attestation_is_read_or_refused(compact: str) -> None:
    with suppress(CredentialsError):
        assert read_attestation(compact, TRUSTED, NOW).client_id


@settings(max_examples=100, deadline=None)
@given(
    ANY_TEXT
    | st.dictionaries(st.sampled_from(["aud", "jti", "iat", "exp", "iss"]), ANY_JSON, max_size=3).map(
        lambda changes: jwt(
            INSTANCE,
            {"typ": "oauth-client-attestation-pop+jwt", "alg": "ES256"},
            {"aud": ISSUER, "jti": "1", "iat": NOW.timestamp(), **changes},
        )
    )
)
def test_any_proof_of_possession_is_read_or_refused(compact: str) -> None:
    wallet = AttestedWallet("w", PublicJwk.from_object(INSTANCE.export_public(as_dict=True)))
    with suppress(CredentialsError):
        assert read_pop(compact, wallet, ISSUER, NOW)["aud"] in (ISSUER, [ISSUER])
