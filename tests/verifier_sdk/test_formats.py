"""The formats against official test vectors, and against any input."""

import base64
import contextlib
import json
import zlib
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import cbor2
import pytest
from cryptography import x509
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.verifier_sdk.issuer import b64u
from verifier_sdk import NotValid, _base64url, _cbor, _ecdsa, _json, _live_code, _sd_jwt, _status_list
from verifier_sdk._cose import Sign1
from verifier_sdk._fault import Fault
from verifier_sdk._jws import Jws
from verifier_sdk._sd_jwt import SdJwt

VECTORS = Path(__file__).parent.parent / "vectors"


def load(name: str) -> Any:
    return json.loads((VECTORS / f"{name}.json").read_bytes())


def public_key(jwk: dict[str, str]) -> _ecdsa.PublicKey:
    return _ecdsa.from_coordinates(_base64url.decode(jwk["x"]), _base64url.decode(jwk["y"]))


# SD-JWT (RFC 9901) and SD-JWT VC (draft 19)

SPECIFICATION_TOKENS = [
    (name, token)
    for name in ("sd_jwt_rfc9901", "sd_jwt_vc_draft19")
    for token in load(name)["tokens"]
    if token["kind"] != "issuer_jwt"
]


@pytest.mark.parametrize(
    ("name", "token"), SPECIFICATION_TOKENS, ids=lambda each: each["section"] if isinstance(each, dict) else each
)
def test_the_tokens_of_the_specifications_are_read_as_they_say(name: str, token: dict[str, Any]) -> None:
    keys = load(name)
    sd_jwt = SdJwt.from_text(token["value"])
    jws = Jws.from_compact(sd_jwt.issuer_jwt, 1 << 16)
    payload = jws.verify(public_key(keys["issuer_key"]))
    assert payload == token["payload"]
    processed = _sd_jwt.process(payload, sd_jwt.disclosures)
    assert processed == token["processed_payload"]
    if sd_jwt.kb_jwt:
        binding = Jws.from_compact(sd_jwt.kb_jwt, 1 << 16)
        claims = binding.verify(public_key(keys["holder_key"]))
        assert claims["sd_hash"] == b64u(sha256(sd_jwt.presented.encode()).digest())


IMPLEMENTATION_CASES = [
    case
    for case in load("sd_jwt_python_testcases")["cases"]
    if case["serialization"] == "compact" and case["reference_agrees"]
]


@pytest.mark.parametrize("case", IMPLEMENTATION_CASES, ids=lambda case: case["name"])
def test_the_reference_implementations_cases_are_read_as_it_reads_them(case: dict[str, Any]) -> None:
    issuer_keys = [public_key(key) for key in load("sd_jwt_python_testcases")["issuer_keys"]]
    sd_jwt = SdJwt.from_text(case["presentation"])
    jws = Jws.from_compact(sd_jwt.issuer_jwt, 1 << 16)
    payload = next(payload for key in issuer_keys if (payload := verified(jws, key)))
    if payload.get("_sd_alg", "sha-256") != "sha-256":
        with pytest.raises(NotValid, match="sd_alg_not_allowed"):
            _sd_jwt.process(payload, sd_jwt.disclosures)
        return
    assert _sd_jwt.process(payload, sd_jwt.disclosures) == case["expected_verified_payload"]


def verified(jws: Jws, key: _ecdsa.PublicKey) -> Any:
    try:
        return jws.verify(key)
    except Fault:
        return None


# Token Status List


@pytest.mark.parametrize("kind", ["short", "long"])
def test_the_status_lists_of_the_specification_are_decoded(kind: str) -> None:
    for vector in load("status_list")[kind]:
        statuses = _status_list.StatusArray.from_json(vector["json"])
        if kind == "short":
            assert [statuses.status(idx) for idx in range(len(statuses))] == vector["statuses"]
        else:
            assert len(statuses) == vector["size"]
            expected = {int(idx): status for idx, status in vector["status"].items() if status}
            assert {idx: status for idx in range(len(statuses)) if (status := statuses.status(idx))} == expected
        assert statuses.status(len(statuses)) is None
        assert statuses.status(-1) is None


def test_the_status_list_token_of_the_specification_verifies() -> None:
    vectors = load("status_list")
    jws = Jws.from_compact(vectors["status_list_jwt"]["value"], 1 << 16)
    jws.expect_header("statuslist+jwt")
    assert jws.verify(public_key(vectors["key"]))["sub"] == "https://example.com/statuslists/1"


def test_a_status_list_that_inflates_to_more_than_its_bound_is_refused() -> None:
    limit = _status_list.MAX_ENTRIES // 8
    assert len(_status_list.StatusArray.from_deflated(1, zlib.compress(bytes(limit)))) == _status_list.MAX_ENTRIES
    for stream in (zlib.compress(bytes(limit + 1)), zlib.compress(b"") + b"x", zlib.compress(b"abc")[:-1], b""):
        with pytest.raises(Fault):
            _status_list.StatusArray.from_deflated(1, stream)


# COSE and CWT


OUTSIDE_THE_PROFILE = {
    "sign1-tests/sign-pass-01.json": "an empty protected header, written as a map",
    "sign1-tests/sign-pass-03.json": "no tag",
}


def sign1_vectors() -> list[dict[str, Any]]:
    return [
        item for item in load("cose_sign1")["items"] if item["key"].get("crv") == "P-256" and item["alg"] == "ES256"
    ]


@pytest.mark.parametrize("item", sign1_vectors(), ids=lambda item: item["file"])
def test_cose_vectors_verify_or_fail_as_they_say(item: dict[str, Any]) -> None:
    def verify() -> None:
        value = cbor2.loads(bytes.fromhex(item["cbor_hex"]))
        if not isinstance(value, cbor2.CBORTag) or value.tag != 18:
            raise Fault("not a tagged COSE_Sign1")
        protected, _, payload, signature = value.value  # kid stands unprotected in these
        signed = Sign1.from_cbor(_cbor.Tagged([protected, {}, payload, signature]))
        signed.verify(public_key(item["key"]), bytes.fromhex(item.get("external_aad_hex") or ""))

    if item["must_fail"] or item["file"] in OUTSIDE_THE_PROFILE:
        with pytest.raises(Fault):
            verify()
    else:
        verify()


def test_the_signed_cwt_of_rfc_8392_verifies() -> None:
    vectors = load("cwt_rfc8392")
    tag = cbor2.loads(bytes.fromhex(vectors["rfc_bytes"]["SAMPLE_CWT_RFC8392_A3"]))
    protected, _, payload, signature = tag.value
    Sign1(protected, payload, signature).verify(public_key(vectors["ecdsa_key_jwk"]), b"")
    claims = _cbor.loads(payload)
    assert isinstance(claims, dict)
    assert (claims[1], claims[4]) == ("coap://as.example.com", 1444064944)


# CBOR against an independent decoder

profile_values: Any = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 64), (1 << 64) - 1) | st.binary(max_size=300) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=30)
        | st.dictionaries(st.integers(-70000, 70000) | st.text(max_size=3), inner, max_size=5)
    ),
    max_leaves=10,
)


@settings(max_examples=200)
@given(value=profile_values)
def test_what_the_profile_allows_is_read_as_another_decoder_reads_it(value: object) -> None:
    data = cbor2.dumps(value)
    if depth(value) > _cbor.MAX_DEPTH:
        with pytest.raises(Fault, match="nested too deeply"):
            _cbor.loads(data)
    else:
        assert _cbor.loads(data) == value


def depth(value: object) -> int:
    if isinstance(value, list | dict):
        return 1 + max(map(depth, value.values() if isinstance(value, dict) else value), default=0)
    return 0


@settings(max_examples=200)
@given(data=st.binary(max_size=40))
@example(b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff")
@example(b"\x5b\xff\xff\xff\xff\xff\xff\xff\xff")
@example(b"\xbb\xff\xff\xff\xff\xff\xff\xff\xff")
def test_any_bytes_are_one_canonical_value_or_a_fault(data: bytes) -> None:
    try:
        value = _cbor.loads(data)
    except Fault:
        return
    assert cbor2.dumps(untagged(value)) == data


def untagged(value: object) -> object:
    if isinstance(value, _cbor.Tagged):
        return cbor2.CBORTag(18, untagged(value.value))
    if isinstance(value, list):
        return [untagged(each) for each in value]
    if isinstance(value, dict):
        return {key: untagged(each) for key, each in value.items()}
    return value


# Text encodings and JSON


@settings(max_examples=200)
@given(data=st.binary(max_size=100))
def test_base32_without_padding_is_read_back(data: bytes) -> None:
    text = base64.b32encode(data).decode().rstrip("=")
    if data:
        assert _live_code._decode_base32(text) == data


@pytest.mark.parametrize("text", ["A", "AB=", "A+", "A/", "AB\n", "AA==", "AB ", "Ã", "AAAAA", "AB"])
def test_base64url_has_one_text_for_one_value(text: str) -> None:
    with pytest.raises(Fault):
        _base64url.decode(text)


READERS: list[Callable[[bytes], object]] = [
    _json.loads,
    _json.loads_object,
    _cbor.loads,
    lambda data: _base64url.decode(data.decode("latin-1")),
    lambda data: _base64url.decode_standard(data.decode("latin-1")),
    lambda data: Jws.from_compact(data.decode("latin-1"), 1000),
    lambda data: SdJwt.from_text(data.decode("latin-1")),
    lambda data: _status_list.StatusArray.from_deflated(2, data),
    lambda data: _status_list.StatusArray.from_json(_json.loads(data)),
    lambda data: _ecdsa.from_compressed(data, True),
    lambda data: _ecdsa.from_coordinates(data[:32], data[32:]),
]


@pytest.mark.parametrize("read", READERS)
@settings(max_examples=100)
@given(data=st.binary(max_size=64) | st.text(alphabet='{}[]":,.0129eE-truefalsn', max_size=40).map(str.encode))
@example(b"[" * 100_000)
@example(b"1" * 5000)
@example(b'"\\ud800"')
@example(b"-Infinity")
@example(b"\xff" * 32)
def test_any_bytes_are_read_or_are_a_fault(read: Callable[[bytes], object], data: bytes) -> None:
    with contextlib.suppress(Fault):
        read(data)


def dcc_samples() -> list[dict[str, Any]]:
    return [item for item in load("eu_dcc_cose")["items"] if item["alg"] == -7]


@pytest.mark.parametrize("item", dcc_samples(), ids=lambda item: item["file"])
def test_the_covid_certificates_cose_layer_verifies_or_fails_as_it_says(item: dict[str, Any]) -> None:
    """The same layers as ours up to COSE; theirs may also be tagged as CWT (61), which our profile refuses."""
    key = x509.load_der_x509_certificate(base64.b64decode(item["certificate"])).public_key()
    assert isinstance(key, _ecdsa.PublicKey)

    def verify() -> None:
        signed, _ = Sign1.with_unprotected(_cbor.loads(bytes.fromhex(item["cose_hex"])))
        signed.verify(key, b"")

    if item["signature_holds"] and item["tags"] == [18]:
        verify()
    else:
        with pytest.raises(Fault):
            verify()
