"""Key attestations (OpenID4VCI 1.0 appendix D, F.1, F.3): whose count, and for which keys."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from credentials.catalogue import Catalogue
from credentials.catalogue.models import KeyAttestationDemand
from tests.conformance.test_credential_issuer import credentials
from tests.fakes import FakeClock
from tests.wallet_api.key_attester import KeyAttester
from tests.wallet_api.running import ABSENT, Running, Wallet, new_key, unverified
from tests.wallet_api.test_credential_endpoint import refusal
from wallet_api.database import Database


async def ask(wallet: Wallet, *proofs: str) -> Any:
    return await wallet.ask_credential(await wallet.request(proofs={"jwt": list(proofs)}))


def bound_keys(issued: list[str]) -> list[str]:
    return [unverified(credential)[1]["cnf"]["jwk"]["x"] for credential in issued]


async def test_a_proof_may_carry_an_attestation_of_its_key(issuer: Running, attester: KeyAttester) -> None:
    wallet = await issuer.wallet()
    attestation = attester.attest(wallet.key, nonce=await issuer.nonce())
    issued = credentials(await ask(wallet, await wallet.proof(header={"key_attestation": attestation})))
    assert bound_keys(issued) == [wallet.key.get("x")]


async def test_one_proof_with_several_attested_keys_gives_a_credential_for_each(
    issuer: Running, attester: KeyAttester
) -> None:
    wallet, others = await issuer.wallet(), [new_key() for _ in range(3)]
    attestation = attester.attest(*others, wallet.key)
    issued = credentials(await ask(wallet, await wallet.proof(header={"key_attestation": attestation})))
    assert bound_keys(issued) == [key.get("x") for key in (wallet.key, *others)]


async def test_a_whole_batch_may_carry_an_attestation_of_the_whole_batch_in_every_proof(
    issuer: Running, attester: KeyAttester
) -> None:
    wallet, keys, nonce = await issuer.wallet(), [new_key() for _ in range(32)], await issuer.nonce()
    header = {"key_attestation": attester.attest(*keys, nonce=nonce)}
    proofs = [await wallet.proof(key=key, header=header, nonce=nonce) for key in keys]
    assert sum(map(len, proofs)) > 262_144  # more than is taken elsewhere
    assert len(credentials(await ask(wallet, *proofs))) == 32


async def test_an_attestation_alone_proves_all_its_keys(issuer: Running, attester: KeyAttester) -> None:
    wallet, keys, nonce = await issuer.wallet(), [new_key() for _ in range(3)], await issuer.nonce()
    request = await wallet.request(proofs={"attestation": [attester.attest(*keys, nonce=nonce, exp=ABSENT)]})
    assert bound_keys(credentials(await wallet.ask_credential(request))) == [key.get("x") for key in keys]
    assert refusal(await wallet.ask_credential(request)) == "invalid_nonce"  # burned


async def test_a_bad_key_attestation_is_refused(issuer: Running, attester: KeyAttester, clock: FakeClock) -> None:
    wallet, other, stranger = await issuer.wallet(), new_key(), KeyAttester(clock.now())
    key, now_s = wallet.key, wallet.now_s
    private, public = key.export(as_dict=True), key.export_public(as_dict=True)
    attest, stranger_jwk = attester.attest, stranger.key.export_public(as_dict=True)
    attestations: Mapping[str, object] = {
        "for another key": attest(other),
        "of an unknown attester": stranger.attest(key),
        "under the name of a known one": stranger.attest(key, header={"x5c": attester.x5c}),
        "typ of the drafts": attest(key, header={"typ": "keyattestation+jwt"}),
        "typ of a proof": attest(key, header={"typ": "openid4vci-proof+jwt"}),
        "without x5c": attest(key, header={"x5c": ABSENT}),
        "x5c with the anchor": attest(key, header={"x5c": [*attester.x5c, *stranger.x5c]}),
        "with its own jwk": stranger.attest(key, header={"x5c": ABSENT, "jwk": stranger_jwk}),
        "alg none": attest(key, header={"alg": "none"}),
        "crit": attest(key, header={"crit": ["exp"]}),
        "over": attest(key, exp=now_s),
        "without exp": attest(key, exp=ABSENT),
        "exp text": attest(key, exp="tomorrow"),
        "without iat": attest(key, iat=ABSENT),
        "iat ahead": attest(key, iat=now_s + 61),
        "iat two years ago": attest(key, iat=now_s - 2 * 365 * 86_400),
        "no keys": attest(key, attested_keys=[]),
        "keys missing": attest(key, attested_keys=ABSENT),
        "keys an object": attest(key, attested_keys=public),
        "a key twice": attest(key, attested_keys=[public, public]),
        "a private key": attest(key, attested_keys=[private]),
        "a thousand keys": attest(key, attested_keys=[public] * 1000),
        "key_storage text": attest(key, key_storage="iso_18045_high"),
        "user_authentication of numbers": attest(key, user_authentication=[1]),
        "null": None,
        "a number": 7,
        "an object": {},
    }
    told = {}
    for name, attestation in attestations.items():
        told[name] = refusal(await ask(wallet, await wallet.proof(header={"key_attestation": attestation})))
    assert told == dict.fromkeys(attestations, "invalid_proof")
    for nonce, error in ((ABSENT, "invalid_proof"), (7, "invalid_proof"), ("x", "invalid_nonce")):
        alone = attester.attest(key, nonce=nonce)
        assert refusal(await wallet.ask_credential(await wallet.request(proofs={"attestation": [alone]}))) == error
    with_other = await wallet.proof(header={"key_attestation": attest(key, nonce="x")})
    assert refusal(await ask(wallet, with_other)) == "invalid_nonce"
    assert await issuer.count("issuance") == 0


async def test_more_attested_keys_than_a_batch_are_refused(issuer: Running, attester: KeyAttester) -> None:
    wallet = await issuer.wallet()
    attestation = attester.attest(wallet.key, *(new_key() for _ in range(32)))
    answer = await ask(wallet, await wallet.proof(header={"key_attestation": attestation}))
    assert refusal(answer) == "invalid_credential_request"


@pytest.fixture
def database(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'demanding.db'}"


@pytest.mark.parametrize(
    ("required", "demand", "attested", "untouched"),
    [
        (True, None, True, False),
        (False, KeyAttestationDemand((), ()), True, False),
        (False, KeyAttestationDemand(("iso_18045_moderate", "iso_18045_high"), ()), True, False),
        (False, KeyAttestationDemand(("iso_18045_high",), ()), False, False),
        (False, KeyAttestationDemand((), ("iso_18045_high",)), False, False),
        (False, None, True, True),
    ],
)
async def test_where_attestations_are_required_every_key_has_one_that_is_strong_enough(
    tmp_path: Path,
    clock: FakeClock,
    attester: KeyAttester,
    database: str,
    required: bool,
    demand: KeyAttestationDemand | None,
    attested: bool,
    untouched: bool,
) -> None:
    anchors, store = tmp_path / "attesters.pem", Database(database)
    anchors.write_bytes(attester.anchor_pem)
    await store.create_all()
    kind = replace(Catalogue.default().get("driving-licence"), key_attestation=demand)
    more = {"key_attestation_anchors": anchors, "key_attestation_required": required}
    issuer = await Running.start(tmp_path, clock, store, catalogue=Catalogue([kind]), **more)
    wallet = await issuer.wallet()
    plain = await ask(wallet, await wallet.proof())
    assert plain.is_success is untouched
    with_attestation = await wallet.proof(header={"key_attestation": attester.attest(wallet.key)})
    assert (await ask(wallet, with_attestation)).is_success is attested
    nonce = await issuer.nonce()
    one_of_two = [
        await wallet.proof(header={"key_attestation": attester.attest(wallet.key)}, nonce=nonce),
        await wallet.proof(key=new_key(), nonce=nonce),
    ]
    assert (await ask(wallet, *one_of_two)).is_success is untouched
    path = "/.well-known/openid-credential-issuer/city"
    configuration = (await issuer.http.get(path)).json()["credential_configurations_supported"]["driving-licence"]
    expected = demand.to_object() if demand else {} if required else None
    for proof_type in configuration["proof_types_supported"].values():
        assert proof_type.get("key_attestations_required") == expected
    await issuer.http.aclose()
    await store.close()


async def test_without_anchors_nobody_may_attest(
    tmp_path: Path, clock: FakeClock, attester: KeyAttester, database: str
) -> None:
    store = Database(database)
    await store.create_all()
    issuer = await Running.start(tmp_path, clock, store)
    wallet = await issuer.wallet()
    proof = await wallet.proof(header={"key_attestation": attester.attest(wallet.key)})
    assert refusal(await ask(wallet, proof)) == "invalid_proof"
    await issuer.http.aclose()
    await store.close()
