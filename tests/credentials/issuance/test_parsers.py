"""Whatever comes in, a parser gives a value or one of our errors; one flipped bit is refused."""

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jwcrypto.jwk import JWK

from credentials.issuance import CredentialRequestRefused
from credentials.issuance.formats.c_nonce import LIFETIME_S, NonceInvalid, check_nonce, make_nonce
from credentials.issuance.formats.credential_request import read_credential_request, read_deferred_request
from credentials.issuance.formats.key_attestation import KeyAttestation, KeyAttestationInvalid
from credentials.issuance.formats.key_proofs import KeyProofs, ProofReader
from credentials.issuance.formats.message_encryption import ResponseEncryption, open_request, request_kid
from credentials.issuance.formats.notification import licence_of, make_notification_id, read_notification
from credentials.issuance.models import CredentialRequest, IssuanceGrant
from credentials.keys.formats.jwk import KeyMalformed, PublicJwk
from credentials.keys.formats.signed_jwt import (
    JsonMalformed,
    JwtMalformed,
    JwtSignatureInvalid,
    SignedJwt,
    json_object,
)
from tests.wallet_api.key_attester import KeyAttester
from tests.wallet_api.running import b64d, b64u, jwt, new_key

VECTORS = Path(__file__).parents[2] / "vectors"
NOW = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
NONCE_KEY = b"n" * 32
ISSUER = "https://wallet.example/city"
KEY = new_key()
PUBLIC = KEY.export_public(as_dict=True)
PROVIDER = KeyAttester(NOW)

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=60)
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4),
    max_leaves=8,
)
REFUSALS = {
    "invalid_credential_request",
    "unknown_credential_configuration",
    "unknown_credential_identifier",
    "invalid_proof",
    "invalid_nonce",
    "invalid_encryption_parameters",
}
DESCRIPTION = set(map(chr, range(0x20, 0x7F))) - {'"', "\\"}  # what error_description may hold
modest = settings(max_examples=100, deadline=None)


def read(body: bytes, now: datetime = NOW) -> CredentialRequest:
    grant = IssuanceGrant("g", "h", frozenset({"driving-licence"}), "l")
    proofs = ProofReader(ISSUER, None, NONCE_KEY, PROVIDER.anchors, now)
    return read_credential_request(body, encrypted=True, grant=grant, proofs=proofs)


def good_request(nonce: str | None = None) -> dict[str, Any]:
    claims = {"aud": ISSUER, "iat": int(NOW.timestamp()), "nonce": nonce or make_nonce(NONCE_KEY, NOW)}
    header = {"typ": "openid4vci-proof+jwt", "alg": "ES256", "jwk": PUBLIC}
    return {"credential_configuration_id": "driving-licence", "proofs": {"jwt": [jwt(KEY, header, claims)]}}


def refused_or_read(body: bytes) -> None:
    try:
        read(body)
    except CredentialRequestRefused as error:
        refusal = error
    else:
        return
    assert refusal.code in REFUSALS
    assert set(refusal.detail) <= DESCRIPTION


def test_a_good_request_gives_the_key_and_the_nonce() -> None:
    nonce = make_nonce(NONCE_KEY, NOW)
    request = read(json.dumps(good_request(nonce)).encode())
    proofs = KeyProofs((PublicJwk.from_object(PUBLIC),), nonce, ())
    assert request == CredentialRequest("driving-licence", "l", proofs)


@modest
@given(st.binary(max_size=300))
def test_any_bytes_are_a_credential_request_or_refused(body: bytes) -> None:
    refused_or_read(body)


@modest
@given(ANY_JSON)
def test_any_json_is_a_credential_request_or_refused(value: object) -> None:
    refused_or_read(json.dumps(value).encode())


@modest
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "credential_configuration_id": ANY_JSON | st.just("driving-licence"),
            "credential_identifier": ANY_JSON,
            "proofs": ANY_JSON | st.fixed_dictionaries({"jwt": ANY_JSON}) | st.just(good_request()["proofs"]),
            "credential_response_encryption": ANY_JSON,
        },
    )
)
def test_any_members_of_a_credential_request_are_taken_or_refused(request: dict[str, Any]) -> None:
    refused_or_read(json.dumps(request).encode())


@modest
@given(
    st.dictionaries(st.sampled_from(["typ", "alg", "jwk", "kid", "x5c", "crit", "x"]), ANY_JSON, max_size=3),
    st.dictionaries(st.sampled_from(["aud", "iat", "nonce", "iss", "x"]), ANY_JSON, max_size=3),
)
def test_any_header_and_claims_of_a_key_proof_are_taken_or_refused(
    header: dict[str, Any], claims: dict[str, Any]
) -> None:
    good_header = {"typ": "openid4vci-proof+jwt", "alg": "ES256", "jwk": PUBLIC}
    good_claims = {"aud": ISSUER, "iat": int(NOW.timestamp()), "nonce": make_nonce(NONCE_KEY, NOW)}
    proof = _signed({**good_header, **header}, {**good_claims, **claims})
    refused_or_read(json.dumps({**good_request(), "proofs": {"jwt": [proof]}}).encode())


def _signed(header: dict[str, Any], claims: dict[str, Any]) -> str:
    alg = header.pop("alg")
    compact = jwt(KEY, {**header, "alg": "ES256"}, claims)
    head = b64u(json.dumps({**header, "alg": alg}).encode())
    return compact if alg == "ES256" else ".".join([head, *compact.split(".")[1:]])


@modest
@given(st.data())
def test_one_flipped_bit_of_a_key_proof_is_refused(data: st.DataObject) -> None:
    request = good_request()
    proof = bytearray(request["proofs"]["jwt"][0].encode())
    at = data.draw(st.integers(0, len(proof) - 1))
    proof[at] ^= 1 << data.draw(st.integers(0, 6))
    request["proofs"] = {"jwt": [proof.decode("latin-1")]}
    with pytest.raises(CredentialRequestRefused) as refusal:
        read(json.dumps(request).encode())
    assert refusal.value.code == "invalid_proof"


@modest
@given(ANY_JSON | st.builds(".".join, st.lists(st.binary(max_size=40).map(b64u) | ANY_TEXT, max_size=4)))
def test_anything_is_a_signed_jwt_or_malformed(value: object) -> None:
    for typ in (None, "dpop+jwt"):
        with suppress(JwtMalformed):
            SignedJwt.from_compact(value, typ=typ)


@modest
@given(ANY_JSON, ANY_JSON, st.binary(min_size=64, max_size=64))
def test_a_jwt_that_nobody_signed_is_never_verified(header: object, claims: object, signature: bytes) -> None:
    parts = [b64u(json.dumps(part).encode()) for part in (_with_alg(header), claims)]
    try:
        parsed = SignedJwt.from_compact(".".join([*parts, b64u(signature)]), typ=None)
    except JwtMalformed:
        return
    with pytest.raises(JwtSignatureInvalid):
        parsed.verified(PublicJwk.from_object(PUBLIC).public_key())


def _with_alg(header: object) -> object:
    return {**header, "alg": "ES256"} if isinstance(header, dict) else header


@modest
@given(st.binary(max_size=200) | ANY_JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_a_json_object_or_malformed(data: bytes) -> None:
    with suppress(JsonMalformed):
        assert isinstance(json_object(data), dict)


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":1,"a":1}',
        b'{"b":{"a":1,"a":1}}',
        b'{"a":NaN}',
        b'{"a":-Infinity}',
        b"\xef\xbb\xbf{}",
        b"{}{}",
        b"",
        b"{" * 9999,
    ],
    ids=["twice", "twice within", "NaN", "-Infinity", "byte order mark", "two", "empty", "deep"],
)
def test_json_that_two_readers_could_read_differently_is_malformed(data: bytes) -> None:
    with pytest.raises(JsonMalformed):
        json_object(data)


@modest
@given(
    ANY_JSON
    | st.fixed_dictionaries(
        {"kty": ANY_JSON | st.just("EC"), "crv": ANY_JSON | st.just("P-256")},
        optional={
            "x": ANY_JSON | st.binary(min_size=32, max_size=32).map(b64u),
            "y": ANY_JSON | st.binary(min_size=32, max_size=32).map(b64u),
            "d": ANY_JSON,
        },
    )
)
def test_anything_is_a_public_key_or_malformed(value: object) -> None:
    with suppress(KeyMalformed):
        key = PublicJwk.from_object(value)
        assert PublicJwk.from_key(key.public_key()) == key


@pytest.mark.parametrize("member", ["d", "p", "q", "dp", "dq", "qi", "oth", "k"])
def test_a_key_with_a_private_member_is_refused(member: str) -> None:
    with pytest.raises(KeyMalformed):
        PublicJwk.from_object({**PUBLIC, member: None})


def test_thumbprints_are_those_of_the_standards() -> None:
    found = [
        (item["jwk"], item["thumbprint"])
        for item in json.loads((VECTORS / "jwk_thumbprint_rfc7638.json").read_text())["items"]
        if item["jwk"]["kty"] == "EC"
    ]
    assert found
    for jwk, thumbprint in found:
        assert PublicJwk.from_object(jwk).thumbprint() == thumbprint


def test_the_standard_s_own_key_proof_verifies() -> None:
    vector = json.loads((VECTORS / "openid4vci_proof.json").read_text())
    proof = SignedJwt.from_compact(vector["proof_jwt"], typ="openid4vci-proof+jwt")
    key = PublicJwk.from_object(proof.header["jwk"])
    assert proof.verified(key.public_key()) == vector["payload"]


@modest
@given(ANY_TEXT | st.binary(max_size=60).map(b64u))
def test_any_text_is_a_nonce_of_ours_or_invalid(nonce: str) -> None:
    with pytest.raises(NonceInvalid):
        check_nonce(NONCE_KEY, nonce, NOW)


@modest
@given(st.integers(0, 2**33))
def test_a_nonce_holds_for_its_life_and_not_a_second_longer(start_s: int) -> None:
    made_at = datetime.fromtimestamp(start_s, UTC)
    nonce = make_nonce(NONCE_KEY, made_at)
    ends_at = made_at + timedelta(seconds=LIFETIME_S)
    assert check_nonce(NONCE_KEY, nonce, ends_at - timedelta(seconds=1)) == ends_at
    for key, now in ((NONCE_KEY, ends_at), (b"o" * 32, made_at)):
        with pytest.raises(NonceInvalid):
            check_nonce(key, nonce, now)


@modest
@given(st.data())
def test_one_flipped_bit_of_a_nonce_is_invalid(data: st.DataObject) -> None:
    nonce = bytearray(make_nonce(NONCE_KEY, NOW).encode())
    nonce[data.draw(st.integers(0, len(nonce) - 1))] ^= 1 << data.draw(st.integers(0, 6))
    with pytest.raises(NonceInvalid):
        check_nonce(NONCE_KEY, nonce.decode("latin-1"), NOW)


@pytest.mark.parametrize(
    "make",
    [
        lambda: JWK.generate(kty="EC", crv="P-384"),
        lambda: JWK.generate(kty="EC", crv="secp256k1"),
        lambda: JWK.generate(kty="OKP", crv="Ed25519"),
        lambda: JWK.generate(kty="RSA", size=2048),
    ],
    ids=["P-384", "secp256k1", "Ed25519", "RSA"],
)
def test_keys_of_other_kinds_are_refused(make: Callable[[], JWK]) -> None:
    with pytest.raises(KeyMalformed):
        PublicJwk.from_object(make().export_public(as_dict=True))


@modest
@given(ANY_JSON)
def test_any_json_is_a_deferred_request_or_refused(value: object) -> None:
    for member in ({"transaction_id": value}, {"transaction_id": "x", "credential_response_encryption": value}, value):
        with suppress(CredentialRequestRefused):
            read_deferred_request(json.dumps(member).encode(), encrypted=True)


@modest
@given(ANY_JSON, ANY_JSON, ANY_JSON)
def test_any_json_is_a_notification_or_refused(notification_id: object, event: object, description: object) -> None:
    members = {"notification_id": notification_id, "event": event, "event_description": description}
    for value in (members, {**members, "event": "credential_accepted"}, notification_id):
        with pytest.raises(CredentialRequestRefused) as refused:  # nobody gave out such an id
            licence_of(NONCE_KEY, "g", read_notification(json.dumps(value).encode()).notification_id)
        assert refused.value.code in ("invalid_notification_request", "invalid_notification_id")


def test_a_notification_id_is_good_under_its_own_grant_and_as_it_was_given_out() -> None:
    given_out = make_notification_id(NONCE_KEY, "grant", "licence-1")
    assert licence_of(NONCE_KEY, "grant", given_out) == "licence-1"
    for key, grant_id, text in (
        (b"x" * 32, "grant", given_out),
        (NONCE_KEY, "other", given_out),
        (NONCE_KEY, "grant", given_out[:-1]),
        (NONCE_KEY, "grant", ("A" if given_out[0] != "A" else "B") + given_out[1:]),
        (NONCE_KEY, "grant", ""),
        (NONCE_KEY, "grant", "\ud800"),
    ):
        with pytest.raises(CredentialRequestRefused) as refused:
            licence_of(key, grant_id, text)
        assert refused.value.code == "invalid_notification_id"


@modest
@given(
    st.dictionaries(st.sampled_from(["typ", "x5c", "crit", "kid"]), ANY_JSON, max_size=2),
    st.dictionaries(
        st.sampled_from(["iat", "exp", "nonce", "attested_keys", "key_storage", "user_authentication"]),
        ANY_JSON | st.lists(st.just(PUBLIC), max_size=3),
        max_size=3,
    ),
)
def test_any_header_and_claims_are_a_key_attestation_or_refused(header: dict[str, Any], claims: dict[str, Any]) -> None:
    with suppress(KeyAttestationInvalid):
        KeyAttestation.from_compact(PROVIDER.attest(KEY, header=header, **claims), PROVIDER.anchors, NOW)


ENCRYPTION_KEY = new_key()
SEALED = ResponseEncryption.from_object(
    {"jwk": {**ENCRYPTION_KEY.export_public(as_dict=True), "alg": "ECDH-ES", "kid": "k"}, "enc": "A256GCM"}
).seal(b"{}")


def _opened(compact: bytes) -> bytes | None:
    try:
        request_kid(compact)
        return open_request(compact, ENCRYPTION_KEY.export(as_dict=True))
    except CredentialRequestRefused as error:
        refused = error
    assert refused.code == "invalid_encryption_parameters"
    assert set(refused.detail) <= DESCRIPTION
    return None


def test_a_sealed_message_opens_under_its_key() -> None:
    assert request_kid(SEALED.encode()) == "k"
    assert _opened(SEALED.encode()) == b"{}"


@modest
@given(st.data())
def test_one_flipped_bit_of_a_sealed_message_is_refused(data: st.DataObject) -> None:
    sealed = bytearray(SEALED.encode())
    at = data.draw(st.integers(0, len(sealed) - 1))
    sealed[at] ^= 1 << data.draw(st.integers(0, 7))
    assert _opened(bytes(sealed)) is None


@modest
@given(
    st.dictionaries(st.sampled_from(["alg", "enc", "kid", "epk", "zip", "crit", "apu", "apv", "p2c"]), ANY_JSON),
    st.lists(st.text("AZaz09-_=.", max_size=20), max_size=6),
)
def test_any_header_and_parts_are_a_sealed_message_or_refused(header: dict[str, Any], parts: list[str]) -> None:
    good = json.loads(b64d(SEALED.split(".")[0]))
    head = b64u(json.dumps({**good, **header}).encode())
    assert _opened(".".join([head, *SEALED.split(".")[1:]]).encode()) in (None, b"{}")
    assert _opened(".".join([head, *parts]).encode()) is None


@modest
@given(ANY_JSON, ANY_JSON, ANY_JSON)
def test_any_json_are_encryption_parameters_or_refused(value: object, enc: object, kid: object) -> None:
    jwk = {**PUBLIC, "alg": "ECDH-ES", "kid": kid}
    for one, other in ((value, "A128GCM"), (jwk, enc), (jwk, "A128GCM")):
        with suppress(CredentialRequestRefused):
            ResponseEncryption.from_object({"jwk": one, "enc": other}).seal(b"{}")
    with suppress(CredentialRequestRefused):
        ResponseEncryption.from_object(value)
