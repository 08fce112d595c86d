"""Modules of the OIDF conformance suite (release-v5.2.3) about the credential issuer, under their names (`vci_issuer`).

Those that fetch a credential run with a pre-authorized code, and with an attested wallet's authorization code.
"""

import base64
import json
from itertools import pairwise
from typing import Any

import httpx
from cryptography import x509
from jwcrypto.jwe import JWE
from jwcrypto.jwk import JWK

from credentials.keys import KeyPurpose
from credentials.keys.formats.x509 import PURPOSE_OIDS
from tests.wallet_api.key_attester import KeyAttester
from tests.wallet_api.running import ABSENT, Json, Running, Wallet, b64d, b64u, new_key, unverified
from tests.wallet_api.test_credential_endpoint import refusal
from tests.wallet_api.test_metadata import schema

METADATA = "/.well-known/openid-credential-issuer/city"


async def metadata(issuer: Running) -> Json:
    answer = await issuer.http.get(METADATA)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    content: Json = answer.json()
    return content


async def batch(wallet: Wallet, keys: list[JWK], **members: Any) -> Json:
    """A request with a proof by each key, all with one nonce."""
    nonce = await wallet.running.nonce()
    return await wallet.request(proofs={"jwt": [await wallet.proof(key=key, nonce=nonce) for key in keys]}, **members)


def disclosed(credential: str) -> dict[str, Any]:
    parts = [json.loads(b64d(text)) for text in credential.split("~")[1:-1]]
    return {part[1]: part[2] for part in parts if len(part) == 3}


async def check_credential(issuer: Running, credential: str, key: JWK) -> Json:
    """What the suite looks at in every credential; gives its claims."""
    header, claims = unverified(credential)
    assert credential.endswith("~")
    assert (header["typ"], header["alg"]) == ("dc+sd-jwt", "ES256")
    leaf = x509.load_der_x509_certificate(base64.b64decode(header["x5c"][0]))
    assert leaf.subject != leaf.issuer
    public = key.export_public(as_dict=True)
    assert claims["cnf"]["jwk"] == {name: public[name] for name in ("kty", "crv", "x", "y")}
    for name in ("iat", "nbf", "exp"):
        assert claims[name] % 3600 == 0  # rounded
    document = (await issuer.http.get(issuer.path(claims["vct"]))).json()
    schema("type_metadata").validate(document)
    assert document["vct"] == claims["vct"]
    mandatory = {claim["path"][0] for claim in document["claims"] if claim["mandatory"]}
    assert mandatory <= disclosed(credential).keys() | claims.keys()
    status = claims["status"]["status_list"]
    token = await issuer.http.get(issuer.path(status["uri"]))
    assert token.headers["content-type"] == "application/statuslist+jwt"
    assert unverified(token.text)[1]["sub"] == status["uri"]
    return claims


def credentials(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json().keys() <= {"credentials", "notification_id"}
    return [entry["credential"] for entry in answer.json()["credentials"]]


async def test_vci_issuer_metadata_test(issuer: Running) -> None:
    content = await metadata(issuer)
    schema("credential_issuer_metadata-1_0").validate(content)
    assert content["credential_issuer"] == issuer.url
    assert all(value.startswith("https://") for name, value in content.items() if name.endswith("_endpoint"))
    assert content["batch_credential_issuance"]["batch_size"] >= 2
    for name in ("credential_request_encryption", "credential_response_encryption"):
        assert content[name]["enc_values_supported"] == ["A128GCM", "A256GCM"]
        assert content[name]["encryption_required"] is False
    (jwk,) = content["credential_request_encryption"]["jwks"]["keys"]
    assert jwk.keys() == {"kty", "crv", "x", "y", "kid", "use", "alg"}
    for configuration_id, configuration in content["credential_configurations_supported"].items():
        assert configuration["scope"] == configuration_id
        assert configuration["format"] == "dc+sd-jwt"
        assert configuration["proof_types_supported"].keys() == {"jwt", "attestation"}
        assert configuration["cryptographic_binding_methods_supported"] == ["jwk"]
        for displayed in [configuration["credential_metadata"], *configuration["credential_metadata"]["claims"]]:
            assert [entry["locale"] for entry in displayed["display"]] == ["zh-CN", "en"]


async def test_vci_issuer_metadata_signed_test(issuer: Running) -> None:
    answer = await issuer.http.get(METADATA, headers={"Accept": "application/jwt"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/jwt")
    header, claims = unverified(answer.text)
    assert (header["typ"], header["alg"]) == ("openidvci-issuer-metadata+jwt", "ES256")
    assert (claims.pop("sub"), claims.pop("iat")) == (issuer.url, int(issuer.clock.now().timestamp()))
    assert claims == await metadata(issuer)
    (leaf,) = (x509.load_der_x509_certificate(base64.b64decode(text)) for text in header["x5c"])
    anchor = x509.load_pem_x509_certificate((await issuer.get("/api/v1/trust-anchor")).content)
    leaf.verify_directly_issued_by(anchor)
    usages = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usages) == [PURPOSE_OIDS[KeyPurpose.METADATA]]


async def test_metadata_are_json_unless_a_jwt_is_asked_for(issuer: Running) -> None:
    for accept, media_type in (
        ("*/*", "application/json"),
        ("", "application/json"),
        ("application/json", "application/json"),
        ("application/jwt;q=0.5, application/json", "application/json"),
        ("application/jwt;q=0", "application/json"),
        ("application/jwt;q=nonsense", "application/json"),
        ("application/json;q=0.5, application/jwt", "application/jwt"),
        ("Application/JWT", "application/jwt"),
    ):
        answer = await issuer.http.get(METADATA, headers={"Accept": accept})
        assert answer.headers["content-type"] == media_type, accept


async def test_vci_issuer_happy_flow(issuer: Running, wallet: Wallet) -> None:
    request = await wallet.request()
    schema("credential_request-1_0").validate(request)
    answer = await wallet.ask_credential(request)
    (credential,) = credentials(answer)
    await check_credential(issuer, credential, wallet.key)
    event = {"notification_id": answer.json()["notification_id"], "event": "credential_accepted"}
    assert (await wallet.post("/openid4vci/notification", json=event)).status_code == 204


async def test_vci_issuer_happy_flow_additional_requests(issuer: Running, wallet: Wallet) -> None:
    places = set()
    for _ in range(3):
        (credential,) = credentials(await wallet.ask_credential())
        status = (await check_credential(issuer, credential, wallet.key))["status"]["status_list"]
        places.add((status["uri"], status["idx"]))
    assert len(places) == 3


async def test_vci_issuer_happy_flow_multiple_clients(issuer: Running) -> None:
    first, second = await issuer.wallet(1), await issuer.wallet(2)
    stolen = Wallet(issuer, first.token, second.key)
    assert (await stolen.ask_credential()).status_code == 401
    for wallet in (first, second):
        await check_credential(issuer, await wallet.credential(), wallet.key)


async def test_vci_issuer_happy_flow_with_skip_notification(issuer: Running, wallet: Wallet) -> None:
    await wallet.credential()
    issuer.clock.forward(minutes=30)
    await wallet.credential()


async def test_vci_issuer_batch_issuance(issuer: Running, wallet: Wallet) -> None:
    keys = [new_key() for _ in range(32)]
    issued = credentials(await wallet.ask_credential(await batch(wallet, keys)))
    assert len(issued) == len(keys)
    claims = [await check_credential(issuer, credential, key) for credential, key in zip(issued, keys, strict=True)]
    assert all(disclosed(credential) == disclosed(issued[0]) for credential in issued)
    salts = [json.loads(b64d(text))[0] for credential in issued for text in credential.split("~")[1:-1]]
    assert len(set(salts)) == len(salts)
    indexes = [one["status"]["status_list"]["idx"] for one in claims]
    assert len(set(indexes)) == len(indexes)
    assert len({later - earlier for earlier, later in pairwise(sorted(indexes))}) > 1
    assert len({one["status"]["status_list"]["uri"] for one in claims}) == 1
    digests = [digest for one in claims for digest in one["_sd"]]
    assert len(set(digests)) == len(digests)
    for shared in ("iss", "vct", "iat", "nbf", "exp"):
        assert len({one[shared] for one in claims}) == 1
    assert len({len(one["_sd"]) for one in claims}) == 1


async def test_a_batch_is_issued_whole_or_not_at_all(issuer: Running, signed_in: Wallet) -> None:
    nonce, other = await issuer.nonce(), await issuer.nonce()
    good = [await signed_in.proof(key=new_key(), nonce=nonce) for _ in range(3)]
    for bad, error in (
        (await signed_in.proof(key=new_key(), nonce=nonce, aud="x"), "invalid_proof"),
        (await signed_in.proof(key=new_key(), nonce=other), "invalid_proof"),
        (await signed_in.proof(key=new_key(), nonce="x"), "invalid_nonce"),
        (good[0], "invalid_proof"),
    ):
        assert refusal(await signed_in.ask_credential(await signed_in.request(proofs={"jwt": [*good, bad]}))) == error
    assert await issuer.count("issuance") == 0
    assert len(credentials(await signed_in.ask_credential(await signed_in.request(proofs={"jwt": good})))) == 3


async def test_vci_issuer_fail_on_invalid_nonce(signed_in: Wallet) -> None:
    request = await signed_in.request(proofs={"jwt": [await signed_in.proof(nonce="invalid-nonce")]})
    assert refusal(await signed_in.ask_credential(request)) == "invalid_nonce"


async def test_vci_issuer_fail_on_invalid_jwt_proof_signature(signed_in: Wallet) -> None:
    head, claims, signature = (await signed_in.proof()).split(".")
    broken = f"{head}.{claims}.{b64u(bytes(byte ^ 0x5A for byte in b64d(signature)))}"
    assert refusal(await signed_in.ask_credential(await signed_in.request(proofs={"jwt": [broken]}))) == "invalid_proof"


async def test_vci_issuer_fail_on_invalid_key_attestation_signature(signed_in: Wallet, attester: KeyAttester) -> None:
    broken = attester.attest(signed_in.key, key=new_key())
    proof = await signed_in.proof(header={"key_attestation": broken})
    assert refusal(await signed_in.ask_credential(await signed_in.request(proofs={"jwt": [proof]}))) == "invalid_proof"
    alone = attester.attest(signed_in.key, key=new_key(), nonce=await signed_in.running.nonce())
    assert (
        refusal(await signed_in.ask_credential(await signed_in.request(proofs={"attestation": [alone]})))
        == "invalid_proof"
    )


async def test_vci_issuer_fail_on_missing_proof(signed_in: Wallet) -> None:
    assert refusal(await signed_in.ask_credential(await signed_in.request(proofs=ABSENT))) == "invalid_proof"


async def test_vci_issuer_fail_on_unknown_credential_configuration_id(signed_in: Wallet) -> None:
    request = await signed_in.request(credential_configuration_id="unknown-configuration")
    assert refusal(await signed_in.ask_credential(request)) == "unknown_credential_configuration"


async def test_vci_issuer_fail_on_unknown_credential_identifier(signed_in: Wallet) -> None:
    request = await signed_in.request(credential_configuration_id=ABSENT, credential_identifier="unknown")
    assert refusal(await signed_in.ask_credential(request)) == "unknown_credential_identifier"


async def test_vci_issuer_fail_on_request_with_access_token_in_query(issuer: Running, signed_in: Wallet) -> None:
    body = json.dumps(await signed_in.request()).encode()
    for path in ("/openid4vci/credential", "/openid4vci/deferred-credential", "/openid4vci/notification"):
        with_header = await signed_in.post(path, params={"access_token": signed_in.token}, content=body)
        assert with_header.status_code == 400
        without = await issuer.post(f"{path}?access_token={signed_in.token}", content=body)
        assert 400 <= without.status_code < 500
        assert {with_header.headers["cache-control"], without.headers["cache-control"]} == {"no-store"}
    assert await issuer.count("issuance") == 0


async def sealed(wallet: Wallet, request: Json, **header: Any) -> bytes:
    """The request, encrypted to the key of the metadata."""
    (jwk,) = (await metadata(wallet.running))["credential_request_encryption"]["jwks"]["keys"]
    protected = {"alg": "ECDH-ES", "enc": "A128GCM", "kid": jwk["kid"], **header}
    named = {name: value for name, value in protected.items() if value is not ABSENT}
    message = JWE(json.dumps(request).encode(), json.dumps(named), recipient=JWK(**jwk))
    return str(message.serialize(compact=True)).encode()


async def ask_sealed(wallet: Wallet, message: bytes, path: str = "/openid4vci/credential") -> httpx.Response:
    return await wallet.post(path, content=message, headers={"Content-Type": "application/jwt"})


def response_encryption(key: JWK, **members: Any) -> Json:
    jwk = {**key.export_public(as_dict=True), "alg": "ECDH-ES", "kid": "wallet-1", "use": "enc"}
    return {"jwk": jwk, "enc": "A256GCM", **members}


async def test_vci_issuer_happy_flow_with_an_encrypted_request_and_response(issuer: Running, wallet: Wallet) -> None:
    key = new_key()
    request = await wallet.request(credential_response_encryption=response_encryption(key))
    answer = await ask_sealed(wallet, await sealed(wallet, request))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/jwt")
    assert answer.headers["cache-control"] == "no-store"
    opened = JWE()
    opened.deserialize(answer.text, key)
    header = json.loads(opened.objects["protected"])
    assert (header["alg"], header["enc"], header["kid"]) == ("ECDH-ES", "A256GCM", "wallet-1")
    (entry,) = json.loads(opened.payload)["credentials"]
    await check_credential(issuer, entry["credential"], wallet.key)
    answer = await ask_sealed(wallet, await sealed(wallet, await wallet.request()))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")


async def test_vci_issuer_fail_on_unsupported_encryption_algorithm(signed_in: Wallet) -> None:
    key, big = new_key(), new_key("P-384")
    private = {**key.export(as_dict=True), "alg": "ECDH-ES"}
    public = key.export_public(as_dict=True)
    parameters: dict[str, object] = {
        "enc": response_encryption(key, enc="A128CBC-HS256"),
        "no enc": {"jwk": response_encryption(key)["jwk"]},
        "enc a list": response_encryption(key, enc=["A128GCM"]),
        "alg": response_encryption(key, jwk={**public, "alg": "RSA-OAEP-256"}),
        "alg of a wrap": response_encryption(key, jwk={**public, "alg": "ECDH-ES+A128KW"}),
        "no alg": response_encryption(key, jwk=public),
        "zip": response_encryption(key, zip="DEF"),
        "a curve": response_encryption(key, jwk={**big.export_public(as_dict=True), "alg": "ECDH-ES"}),
        "a private key": response_encryption(key, jwk=private),
        "no key": {"enc": "A128GCM"},
        "null": None,
    }
    for name, value in parameters.items():
        request = await signed_in.request(credential_response_encryption=value)
        answer = await ask_sealed(signed_in, await sealed(signed_in, request))
        assert refusal(answer) == "invalid_encryption_parameters", name
    good = await signed_in.request(credential_response_encryption=response_encryption(key))
    assert (
        refusal(await signed_in.ask_credential(good)) == "invalid_encryption_parameters"
    )  # the request itself is open
    for header in ({"zip": "DEF"}, {"kid": "unknown"}, {"kid": ABSENT}, {"enc": "A192GCM"}, {"alg": "ECDH-ES+A128KW"}):
        message = await sealed(signed_in, await signed_in.request(), **header)
        assert refusal(await ask_sealed(signed_in, message)) == "invalid_encryption_parameters", header
    bomb = await sealed(signed_in, {**await signed_in.request(), "x": "x" * 200_000}, zip="DEF")
    for message in (b"", b"....", b"\xff", b"e30.e30.e30", bomb):
        assert refusal(await ask_sealed(signed_in, message)) == "invalid_encryption_parameters"


async def test_a_refusal_is_never_encrypted(signed_in: Wallet) -> None:
    request = await signed_in.request(proofs=ABSENT, credential_response_encryption=response_encryption(new_key()))
    assert refusal(await ask_sealed(signed_in, await sealed(signed_in, request))) == "invalid_proof"


async def test_a_request_encrypted_to_the_key_before_the_present_one_is_still_read(issuer: Running) -> None:
    other = await Running.start(issuer.platform.settings.data_dir, issuer.clock, issuer.platform.database)
    (before,) = (await metadata(issuer))["credential_request_encryption"]["jwks"]["keys"]

    async def ask(number: int) -> httpx.Response:
        wallet = await other.wallet(number)
        header = json.dumps({"alg": "ECDH-ES", "enc": "A128GCM", "kid": before["kid"]})
        message = JWE(json.dumps(await wallet.request()).encode(), header, recipient=JWK(**before))
        return await ask_sealed(wallet, str(message.serialize(compact=True)).encode())

    issuer.clock.forward(days=30)
    keys = [(await metadata(process))["credential_request_encryption"]["jwks"]["keys"] for process in (other, issuer)]
    assert keys[0] == keys[1] != [before]  # two processes share the next one
    assert (await ask(2)).status_code == 200
    issuer.clock.forward(days=30)
    assert refusal(await ask(3)) == "invalid_encryption_parameters"
    await other.http.aclose()
