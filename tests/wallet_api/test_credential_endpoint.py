"""Nonce and credential endpoint under OpenID4VCI 1.0 §7, §8 and appendix F."""

import json
import re
from collections.abc import Mapping
from typing import Any

import httpx
from jwcrypto.jwk import JWK

from tests.credentials.rows import driving_row, step_row
from tests.wallet_api.running import ABSENT, Running, b64u, jwt, new_key, unverified
from tests.wallet_api.test_metadata import schema

DESCRIPTION = re.compile(r"[\x20-\x21\x23-\x5b\x5d-\x7e]+")


def refusal(answer: httpx.Response) -> str:
    """The error of a refusal whose form is OpenID4VCI 1.0 §8.3.1.2's."""
    assert answer.status_code == 400, answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert body.keys() <= {"error", "error_description"}
    assert DESCRIPTION.fullmatch(body["error_description"])
    return str(body["error"])


async def test_a_nonce_is_fresh_unpredictable_and_not_stored(running: Running) -> None:
    seen = set()
    for content in (None, b"", b"{}", b"\xff" * 1000):
        answer = await running.post("/openid4vci/nonce", content=content)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
        assert answer.headers["cache-control"] == "no-store"
        assert answer.json().keys() == {"c_nonce"}
        seen.add(answer.json()["c_nonce"])
    assert len(seen) == 4
    assert (await running.get("/openid4vci/nonce")).status_code == 405
    assert await running.count("one_time_value") == 0


async def test_a_credential_response_holds_one_object_and_nothing_else(running: Running) -> None:
    wallet = await running.wallet()
    request = await wallet.request()
    schema("credential_request-1_0").validate(request)
    answer = await wallet.ask_credential(request)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json().keys() == {"credentials", "notification_id"}
    (entry,) = answer.json()["credentials"]
    assert entry.keys() == {"credential"}
    assert entry["credential"].endswith("~")


async def test_members_that_nobody_knows_are_ignored(running: Running) -> None:
    wallet = await running.wallet()
    extra: dict[str, Any] = {"format": "dc+sd-jwt", "vct": "x", "proof": {"proof_type": "jwt"}, "\x00": ["\ud800"]}
    assert (await wallet.ask_credential(await wallet.request(**extra))).status_code == 200
    headers = {"Content-Type": "application/json; charset=utf-8"}
    assert (await wallet.ask_credential(await wallet.request(), headers=headers)).status_code == 200


async def test_a_malformed_request_is_refused_with_the_standard_s_code(running: Running) -> None:
    wallet = await running.wallet()
    proof = await wallet.proof()
    config = "credential_configuration_id"
    jwk = wallet.key.export_public(as_dict=True)
    requests: Mapping[str, tuple[object, str]] = {
        "empty": (b"", "invalid_credential_request"),
        "no JSON": (b"{", "invalid_credential_request"),
        "an array": ([], "invalid_credential_request"),
        "a number": (1, "invalid_credential_request"),
        "null": (b"null", "invalid_credential_request"),
        "deep": (b'{"a":' * 30_000 + b"1" + b"}" * 30_000, "invalid_credential_request"),
        "not UTF-8": (b'{"a":"\xff"}', "invalid_credential_request"),
        "UTF-16": (json.dumps(await wallet.request()).encode("utf-16"), "invalid_credential_request"),
        "a byte order mark": (b"\xef\xbb\xbf{}", "invalid_credential_request"),
        "a number of ten thousand digits": (b'{"a":' + b"9" * 10_000 + b"}", "invalid_credential_request"),
        "NaN": (b'{"a":NaN}', "invalid_credential_request"),
        "a member twice": (
            json.dumps(await wallet.request()).replace("{", '{"proofs":{},', 1).encode(),
            "invalid_credential_request",
        ),
        "no configuration": (await wallet.request(**{config: ABSENT}), "invalid_credential_request"),
        "both ids": (await wallet.request(credential_identifier="x"), "invalid_credential_request"),
        "configuration no text": (await wallet.request(**{config: ["driving-licence"]}), "invalid_credential_request"),
        "configuration unknown": (await wallet.request(**{config: "x"}), "unknown_credential_configuration"),
        "configuration odd": (await wallet.request(**{config: "\x00\ud800"}), "unknown_credential_configuration"),
        "configuration of others": (
            await wallet.request(**{config: "road-transport-certificate"}),
            "unknown_credential_configuration",
        ),
        "an identifier": (
            await wallet.request(**{config: ABSENT}, credential_identifier="x"),
            "unknown_credential_identifier",
        ),
        "identifier no text": (
            await wallet.request(**{config: ABSENT}, credential_identifier=[1]),
            "invalid_credential_request",
        ),
        "no proofs": (await wallet.request(proofs=ABSENT), "invalid_proof"),
        "proof of the drafts": (
            await wallet.request(proofs=ABSENT, proof={"proof_type": "jwt", "jwt": proof}),
            "invalid_proof",
        ),
        "proofs null": (await wallet.request(proofs=None), "invalid_proof"),
        "proofs empty": (await wallet.request(proofs={}), "invalid_credential_request"),
        "proofs an array": (await wallet.request(proofs=[proof]), "invalid_credential_request"),
        "two proof types": (
            await wallet.request(proofs={"jwt": [proof], "attestation": [proof]}),
            "invalid_credential_request",
        ),
        "another proof type": (await wallet.request(proofs={"di_vp": [proof]}), "invalid_proof"),
        "two attestations": (await wallet.request(proofs={"attestation": [proof] * 2}), "invalid_credential_request"),
        "jwt empty": (await wallet.request(proofs={"jwt": []}), "invalid_credential_request"),
        "jwt no array": (await wallet.request(proofs={"jwt": proof}), "invalid_credential_request"),
        "thirty-three proofs": (await wallet.request(proofs={"jwt": [proof] * 33}), "invalid_credential_request"),
        "one key twice": (await wallet.request(proofs={"jwt": [proof, proof]}), "invalid_proof"),
        "encryption asked for in the open": (
            await wallet.request(credential_response_encryption={"jwk": {**jwk, "alg": "ECDH-ES"}, "enc": "A128GCM"}),
            "invalid_encryption_parameters",
        ),
        "encryption null": (
            await wallet.request(credential_response_encryption=None),
            "invalid_encryption_parameters",
        ),
    }
    told = {name: refusal(await wallet.ask_credential(request)) for name, (request, _) in requests.items()}
    assert told == {name: error for name, (_, error) in requests.items()}
    for content_type, error in (
        ("application/jwt", "invalid_encryption_parameters"),
        ("text/plain", "invalid_credential_request"),
        ("application/x-www-form-urlencoded", "invalid_credential_request"),
        ("", "invalid_credential_request"),
    ):
        assert refusal(await wallet.ask_credential(b"{}", headers={"Content-Type": content_type})) == error
    assert await running.count("issuance") == 0
    assert (await wallet.ask_credential(await wallet.request(proofs={"jwt": [proof]}))).status_code == 200


async def test_a_bad_key_proof_is_refused_and_nothing_is_recorded(running: Running) -> None:
    wallet, stranger, big = await running.wallet(), new_key(), new_key("P-384")
    proof, now_s = wallet.proof, wallet.now_s
    public, private = wallet.key.export_public(as_dict=True), wallet.key.export(as_dict=True)
    symmetric = JWK.generate(kty="oct", size=256)
    hmac_header = {"typ": "openid4vci-proof+jwt", "alg": "HS256", "jwk": symmetric.export(as_dict=True)}
    hmac_claims = {"aud": running.url, "iat": now_s, "nonce": await running.nonce()}
    head, body, signature = (await proof()).split(".")
    other_head = (await proof(key=stranger)).split(".")[0]
    off_curve = {**public, "y": public["x"]}
    proofs: Mapping[str, object] = {
        "typ of another JWT": await proof(header={"typ": "JWT"}),
        "typ in capitals": await proof(header={"typ": "OPENID4VCI-PROOF+JWT"}),
        "no typ": await proof(header={"typ": ABSENT}),
        "alg none": await proof(header={"alg": "none"}),
        "alg None": await proof(header={"alg": "None"}),
        "alg null": await proof(header={"alg": None}),
        "alg a list": await proof(header={"alg": ["ES256"]}),
        "alg HS256": jwt(symmetric, hmac_header, hmac_claims),
        "alg ES384": await proof(key=big, header={"alg": "ES384"}),
        "private key in the header": await proof(header={"jwk": private}),
        "private key in null": await proof(header={"jwk": {**public, "d": None}}),
        "no key": await proof(header={"jwk": ABSENT}),
        "key by kid": await proof(header={"jwk": ABSENT, "kid": "did:example:1#1"}),
        "kid beside jwk": await proof(header={"kid": "1"}),
        "x5c beside jwk": await proof(header={"x5c": []}),
        "trust_chain beside jwk": await proof(header={"trust_chain": []}),
        "jwk null": await proof(header={"jwk": None}),
        "jwk text": await proof(header={"jwk": "x"}),
        "jwk of another curve": await proof(header={"jwk": big.export_public(as_dict=True)}),
        "jwk of another curve's name": await proof(header={"jwk": {**public, "crv": "secp256k1"}}),
        "jwk off the curve": await proof(header={"jwk": off_curve}),
        "jwk at zero": await proof(header={"jwk": {**public, "x": "A" * 43, "y": "A" * 43}}),
        "jwk with padding": await proof(header={"jwk": {**public, "x": public["x"] + "="}}),
        "jwk with numbers": await proof(header={"jwk": {**public, "x": 1}}),
        "jwk of another": await proof(header={"jwk": stranger.export_public(as_dict=True)}),
        "crit": await proof(header={"crit": ["exp"]}),
        "crit empty": await proof(header={"crit": []}),
        "b64": await proof(header={"b64": True}),
        "header of another": f"{other_head}.{body}.{signature}",
        "signature cut": f"{head}.{body}.{signature[:-4]}",
        "signature with a bit flipped": f"{head}.{body}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}",
        "signature of zeros": f"{head}.{body}.{b64u(bytes(64))}",
        "signature in DER": f"{head}.{body}.{b64u(bytes([0x30, 0x44]) + bytes(68))}",
        "no signature": f"{head}.{body}.",
        "two parts": f"{head}.{body}",
        "four parts": f"{head}.{body}.{signature}.",
        "padding": f"{head}.{body}.{signature}=",
        "white space": f" {head}.{body}.{signature}",
        "JSON form": {"protected": head, "payload": body, "signature": signature},
        "null": None,
        "a number": 7,
        "empty": "",
        "surrogate": "\ud800",
        "a hundred thousand dots": "." * 100_000,
        "deep claims": jwt(wallet.key, {"typ": "openid4vci-proof+jwt", "alg": "ES256", "jwk": public}, b"[" * 40_000),
        "claims an array": jwt(wallet.key, {"typ": "openid4vci-proof+jwt", "alg": "ES256", "jwk": public}, []),
        "claims in UTF-16": jwt(
            wallet.key,
            {"typ": "openid4vci-proof+jwt", "alg": "ES256", "jwk": public},
            json.dumps(hmac_claims).encode("utf-16"),
        ),
        "claims twice": jwt(
            wallet.key, {"typ": "openid4vci-proof+jwt", "alg": "ES256", "jwk": public}, b'{"aud":1,"aud":1}'
        ),
        "aud of another": await proof(aud="https://evil.example/city"),
        "aud with a slash": await proof(aud=f"{running.url}/"),
        "aud of the endpoint": await proof(aud=f"{running.url}/openid4vci/credential"),
        "aud an array": await proof(aud=[running.url]),
        "aud missing": await proof(aud=ABSENT),
        "iss with anonymous access": await proof(iss="some-wallet"),
        "iss null": await proof(iss=None),
        "iat old": await proof(iat=now_s - 361),
        "iat ahead": await proof(iat=now_s + 61),
        "iat missing": await proof(iat=ABSENT),
        "iat true": await proof(iat=True),
        "iat text": await proof(iat=str(now_s)),
        "iat huge": await proof(iat=10**400),
        "no nonce": await proof(nonce=ABSENT),
        "nonce null": await proof(nonce=None),
        "nonce a number": await proof(nonce=1),
    }
    told = {}
    for name, compact in proofs.items():
        told[name] = refusal(await wallet.ask_credential(await wallet.request(proofs={"jwt": [compact]})))
    assert told == dict.fromkeys(proofs, "invalid_proof")
    assert await running.count("issuance") == 0
    assert await running.count("status_range", first_free=0) == await running.count("status_list")


async def test_a_nonce_that_is_not_live_is_told_apart_so_that_the_wallet_fetches_another(running: Running) -> None:
    wallet = await running.wallet()
    nonce = await running.nonce()
    flipped = ("A" if nonce[-1] != "A" else "Q") + nonce[1:]
    used = await running.nonce()
    assert (await _with_nonce(wallet, used)).status_code == 200
    over = await running.nonce()
    running.clock.forward(minutes=5)
    later = await running.redeem((await running.offer(2)).code)
    nonces = {
        "invented": b64u(bytes(40)),
        "short": b64u(b"x"),
        "empty": "",
        "altered": flipped,
        "padded": f"{await running.nonce()}=",
        "used": used,
        "over": over,
        "long": "x" * 9_000,
        "odd": "\x00\ud800💣",
    }
    told = {name: refusal(await _with_nonce(later, given)) for name, given in nonces.items()}
    assert told == dict.fromkeys(nonces, "invalid_nonce")
    assert await running.count("issuance") == 1


async def _with_nonce(wallet: Any, nonce: str) -> httpx.Response:
    answer: httpx.Response = await wallet.ask_credential(
        await wallet.request(proofs={"jwt": [await wallet.proof(nonce=nonce)]})
    )
    return answer


async def test_a_refused_request_leaves_its_nonce_usable(running: Running) -> None:
    wallet, nonce = await running.wallet(), await running.nonce()
    bad = await wallet.request(proofs={"jwt": [await wallet.proof(nonce=nonce, aud="x")]})
    assert refusal(await wallet.ask_credential(bad)) == "invalid_proof"
    assert (await _with_nonce(wallet, nonce)).status_code == 200


async def test_a_licence_that_is_not_in_force_is_denied(running: Running) -> None:
    wallet = await running.wallet()
    await running.take(step_row(1, 2, "03"))
    assert refusal(await wallet.ask_credential()) == "credential_request_denied"
    await running.take(step_row(1, 3, "06"))
    assert (await wallet.ask_credential()).status_code == 200
    await running.take(step_row(1, 4, "05", cert_state="04"))
    assert refusal(await wallet.ask_credential()) == "credential_request_denied"
    assert await running.count("issuance") == 1


async def test_the_private_key_of_a_careless_wallet_is_never_echoed(running: Running) -> None:
    wallet = await running.wallet()
    careless = {**wallet.key.export(as_dict=True), "kid": "my phone", "alg": "ES256", "use": "sig", "ext": True}
    answer = await wallet.ask_credential(
        await wallet.request(proofs={"jwt": [await wallet.proof(header={"jwk": careless})]})
    )
    assert refusal(answer) == "invalid_proof"
    assert careless["d"] not in answer.text
    careless.pop("d")
    request = await wallet.request(proofs={"jwt": [await wallet.proof(header={"jwk": careless})]})
    credential = (await wallet.ask_credential(request)).json()["credentials"][0]["credential"]
    assert unverified(credential)[1]["cnf"]["jwk"].keys() == {"kty", "crv", "x", "y"}


async def test_a_token_is_good_for_its_own_licence_only(running: Running) -> None:
    await running.take(driving_row(1), driving_row(2))
    first, second = await running.wallet(1), await running.wallet(2)
    numbers = set()
    for wallet in (first, second):
        credential = await wallet.credential()
        assert unverified(credential)[1]["vct"] == f"{running.url}/types/driving-licence/1"
        assert await running.count("issuance", licence_id=await running.licence_id(len(numbers) + 1)) == 1
        numbers.add(credential)
    assert len(numbers) == 2


async def test_a_body_over_the_limit_is_refused_with_413(running: Running) -> None:
    wallet = await running.wallet()
    huge = b'{"a":"' + b"x" * 1_100_000 + b'"}'

    async def in_pieces() -> Any:
        for at in range(0, len(huge), 10_000):
            yield huge[at : at + 10_000]

    for content in (huge, in_pieces()):
        answer = await wallet.post("/openid4vci/credential", content=content)
        assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
        answer = await running.post("/oauth/token", content=huge, headers={"Content-Type": "application/json"})
        assert answer.status_code == 413


async def test_a_proof_may_name_the_wallet_that_asked_for_the_token_and_no_other(running: Running) -> None:
    named = await running.redeem((await running.offer()).code, client_id="https://wallet.example/app")
    proofs = {"jwt": [await named.proof(iss="https://wallet.example/app")]}
    assert (await named.ask_credential(await named.request(proofs=proofs))).status_code == 200
    proofs = {"jwt": [await named.proof(iss="https://other.example")]}
    assert refusal(await named.ask_credential(await named.request(proofs=proofs))) == "invalid_proof"
    anonymous = await running.wallet()
    proofs = {"jwt": [await anonymous.proof(iss="https://wallet.example/app")]}
    assert refusal(await anonymous.ask_credential(await anonymous.request(proofs=proofs))) == "invalid_proof"
