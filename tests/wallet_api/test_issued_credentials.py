"""What is issued, read by the independent verifier and by the letter of RFC 9901, SD-JWT VC and HAIP 1.0."""

import asyncio
import base64
import hashlib
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from jwcrypto.jwk import JWK
from jwcrypto.jws import JWS

from tests.credentials.rows import driving_row, resident_id, step_row
from tests.fakes import FakeClock
from tests.quiet_server import quiet
from tests.wallet_api.running import Running, b64u, jwt, new_key, unverified
from verifier_sdk import Expected, NotValid, TrustStore, Verifier
from wallet_api.database import Database

DAY_S = 86_400


def disclosures(credential: str) -> dict[str, Any]:
    """Name → value of the object disclosures at the top."""
    parts = [json.loads(base64.urlsafe_b64decode(text + "==")) for text in credential.split("~")[1:-1]]
    return {part[1]: part[2] for part in parts if len(part) == 3}


@asynccontextmanager
async def served(tmp_path: Path, clock: FakeClock, database: Database) -> AsyncIterator[Running]:
    """The platform on a real port of this machine, under the URL that it is reached by."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/city"
        running = await Running.start(tmp_path / "platform", clock, database, url)
        server = uvicorn.Server(quiet(running.app, lifespan="off"))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:  # noqa: ASYNC110  (uvicorn has no event for it)
            await asyncio.sleep(0.01)
        yield running
        server.should_exit = True
        await serving
        await running.http.aclose()


async def synchronised(running: Running, home: Path) -> TrustStore:
    anchor = (await running.get("/api/v1/trust-anchor")).content
    trust = TrustStore.open(home, [anchor], clock=running.clock)
    report = await asyncio.to_thread(trust.sync, f"{running.url}/api/v1/trust-list")
    assert report.complete, report
    return trust


async def test_the_independent_verifier_accepts_what_is_issued_until_it_is_revoked(
    tmp_path: Path, clock: FakeClock, database: Database
) -> None:
    async with served(tmp_path, clock, database) as running:
        wallet = await running.wallet()
        credential = await wallet.credential()
        trust = await synchronised(running, tmp_path / "inspector")
        verifier = Verifier(trust, clock=clock)
        received = verifier.check_credential(credential)
        assert received.state == "valid"
        assert received.type_code == "driving-licence"
        assert received.claims["certificate_number"] == resident_id(1)
        assert received.cnf_jwk == {name: wallet.key.get(name) for name in ("kty", "crv", "x", "y")}

        expected = Expected(audience="x509_hash:abc", nonce="n" * 43, vct=f"{running.url}/types/driving-licence/1")
        shown = verifier.check_presentation(presented(credential, wallet.key, clock, expected), expected)
        assert "certificate_number" not in shown.claims
        assert shown.claims["holder_name"] == "张三丰"
        with pytest.raises(NotValid):
            verifier.check_presentation(presented(credential, new_key(), clock, expected), expected)

        clock.forward(minutes=10)
        await running.take(step_row(1, 2, "05", cert_state="07"))
        await running.platform.publish_status()
        assert (await asyncio.to_thread(trust.sync)).complete
        with pytest.raises(NotValid) as refusal:
            verifier.check_credential(credential)
        assert refusal.value.code == "revoked"
        trust.close()


def presented(credential: str, key: JWK, clock: FakeClock, expected: Expected) -> str:
    """A presentation that discloses the holder's name only."""
    issuer_jwt, *texts, _ = credential.split("~")
    chosen = [text for text in texts if b'"holder_name"' in base64.urlsafe_b64decode(text + "==")]
    shown = "~".join([issuer_jwt, *chosen, ""])
    claims = {
        "iat": int(clock.now().timestamp()),
        "aud": expected.audience,
        "nonce": expected.nonce,
        "sd_hash": b64u(hashlib.sha256(shown.encode()).digest()),
    }
    return shown + jwt(key, {"typ": "kb+jwt", "alg": "ES256"}, claims)


async def test_a_credential_has_the_form_of_the_profile(running: Running) -> None:
    wallet = await running.wallet()
    credential = await wallet.credential()
    header, claims = unverified(credential)
    assert header.keys() == {"alg", "typ", "x5c"}
    assert (header["alg"], header["typ"]) == ("ES256", "dc+sd-jwt")
    visible = {"iss", "vct", "iat", "nbf", "exp", "cnf", "status", "_sd", "_sd_alg"}
    assert claims.keys() == visible
    assert claims["iss"] == running.url
    assert claims["cnf"] == {"jwk": {name: wallet.key.get(name) for name in ("kty", "crv", "x", "y")}}
    assert claims["status"]["status_list"].keys() == {"idx", "uri"}
    assert claims["_sd_alg"] == "sha-256"
    assert claims["_sd"] == sorted(claims["_sd"])
    text = json.dumps(claims, ensure_ascii=False) + json.dumps(header)
    for personal in ("张三丰", resident_id(1), "人民大道"):
        assert personal not in text


async def test_the_signing_certificate_chains_to_the_anchor_which_is_left_out(running: Running) -> None:
    credential = await (await running.wallet()).credential()
    token = (await running.get("/s/1")).text
    anchor = x509.load_pem_x509_certificate((await running.get("/api/v1/trust-anchor")).content)
    for compact in (credential.split("~")[0], token):
        header, _ = unverified(compact)
        chain = [x509.load_der_x509_certificate(base64.b64decode(text, validate=True)) for text in header["x5c"]]
        assert anchor not in chain
        leaf = chain[0]
        assert leaf.issuer != leaf.subject
        for child, parent in zip(chain, [*chain[1:], anchor], strict=True):
            child.verify_directly_issued_by(parent)
        key = leaf.public_key()
        assert isinstance(key, EllipticCurvePublicKey)
        signed = JWS()
        signed.deserialize(compact, JWK.from_pyca(key))
        assert signed.is_valid


async def test_times_tell_nothing_of_the_hour(running: Running) -> None:
    wallet = await running.wallet()
    first = unverified(await wallet.credential())[1]
    running.clock.forward(minutes=50)
    second = unverified(await wallet.credential())[1]
    for name in ("iat", "nbf", "exp"):
        assert first[name] == second[name]
        assert first[name] % DAY_S in (0, 16 * 3600)  # midnight in UTC, or in Shanghai
    assert first["iat"] <= running.clock.now().timestamp() < first["exp"]
    assert first["exp"] <= datetime(2027, 11, 23, tzinfo=UTC).timestamp()


async def test_two_credentials_of_one_licence_share_nothing_that_links_them(running: Running) -> None:
    wallet = await running.wallet()
    credentials = [await wallet.credential() for _ in range(3)]
    salts = [
        json.loads(base64.urlsafe_b64decode(text + "=="))[0]
        for credential in credentials
        for text in credential.split("~")[1:-1]
    ]
    assert len(set(salts)) == len(salts)
    assert all(len(salt) >= 22 for salt in salts)  # 128 bits
    digests = [digest for credential in credentials for digest in unverified(credential)[1]["_sd"]]
    assert len(set(digests)) == len(digests)
    assert len({unverified(credential)[1]["status"]["status_list"]["idx"] for credential in credentials}) == 3
    assert disclosures(credentials[0]) == disclosures(credentials[1])


async def test_every_disclosure_is_referenced_once_by_its_own_text(running: Running) -> None:
    credential = await (await running.wallet()).credential()
    texts = credential.split("~")[1:-1]
    digests = [b64u(hashlib.sha256(text.encode()).digest()) for text in texts]
    kind = running.platform.catalogue.get("driving-licence")
    shown = unverified(credential)[1]["_sd"]
    assert len(set(digests)) == len(digests)
    assert set(digests) < set(shown)  # this type has no nested items
    assert len(shown) == len(kind.common_claims) + len(kind.items)  # decoys stand for what this licence does not have


async def test_the_type_metadata_speaks_of_exactly_what_is_issued(running: Running) -> None:
    credential = await (await running.wallet()).credential()
    vct = unverified(credential)[1]["vct"]
    document = (await running.http.get(running.path(vct))).json()
    assert document["vct"] == vct
    shown = disclosures(credential)
    described = {claim["path"][0]: claim for claim in document["claims"]}
    assert shown.keys() <= described.keys()
    assert {name for name, claim in described.items() if claim["mandatory"]} <= shown.keys()
    assert all(described[name]["sd"] in ("always", "allowed") for name in shown)


async def test_a_long_term_licence_says_so_with_null(running: Running) -> None:
    await running.take(driving_row(certificate_validate_end=None))
    credential = await (await running.wallet()).credential()
    assert disclosures(credential)["valid_until"] is None
