"""What is signed is checked before it is released, and every claim stands alone."""

import base64
import json
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from credentials.issuance import SelfCheckFailed
from credentials.issuance.formats.sd_jwt_vc import PreparedCredential, encode_credential, sign_credential
from credentials.keys.formats.jwk import PublicJwk
from credentials.keys.signers import KeySigner
from credentials.status import StatusReference
from tests.credentials.keys.signing import self_signed

SIGNER = self_signed()
HOLDER = PublicJwk.from_key(ec.generate_private_key(ec.SECP256R1()).public_key())
CREDENTIAL = PreparedCredential(
    issuer="https://wallet.example",
    vct="https://wallet.example/types/food-business",
    holder_key=HOLDER,
    status=StatusReference("https://wallet.example/s/1", 7),
    issued_at_s=1_000,
    not_before_s=1_000,
    expires_at_s=2_000,
    plain={},
    concealed={"name": "张三", "items": ["a", {"deep": None}], "empty": {}, "none": []},
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "c"]), inner, max_size=3),
    max_leaves=8,
)


def decoded(text: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def revealed(value: Any, by_digest: dict[str, list[Any]]) -> Any:
    """What a reader with all disclosures sees, written apart from the writer."""
    if isinstance(value, dict):
        shown = {name: revealed(inner, by_digest) for name, inner in value.items() if name != "_sd"}
        hidden = [by_digest[digest] for digest in value.get("_sd", []) if digest in by_digest]  # the others are decoys
        return shown | {name: revealed(inner, by_digest) for _, name, inner in hidden}
    if isinstance(value, list):
        places = [isinstance(element, dict) and element.keys() == {"..."} for element in value]
        return [
            revealed(by_digest[element["..."]][1] if hidden else element, by_digest)
            for element, hidden in zip(value, places, strict=True)
        ]
    return value


def read(text: str) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    jwt, *disclosures, end = text.split("~")
    assert end == ""
    digests = [base64.urlsafe_b64encode(sha256(each.encode()).digest()).rstrip(b"=").decode() for each in disclosures]
    return decoded(jwt.split(".")[1]), dict(zip(digests, map(decoded, disclosures), strict=True))


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.sampled_from("xyz"), VALUES, max_size=3), st.frozensets(st.sampled_from("xyzabc")))
def test_whatever_is_concealed_is_revealed_by_its_disclosures(
    concealed: dict[str, object], by_element: frozenset[str]
) -> None:
    credential = replace(CREDENTIAL, concealed=concealed, by_element=by_element)
    payload, by_digest = read(encode_credential(credential, ()).signed(b""))
    hidden = {"_sd": payload.get("_sd", [])}
    assert revealed(hidden, by_digest) == concealed
    assert hidden["_sd"] == sorted(hidden["_sd"])
    salts = [disclosure[0] for disclosure in by_digest.values()]
    assert len(set(salts)) == len(salts)
    assert all(len(salt) == 24 for salt in salts)


def test_an_array_is_whole_unless_its_type_discloses_it_by_element() -> None:
    concealed: dict[str, object] = {"scope": ["内科", "外科"]}
    _, whole = read(sign_credential(replace(CREDENTIAL, concealed=concealed), SIGNER))
    assert [disclosure[1:] for disclosure in whole.values()] == [["scope", ["内科", "外科"]]]
    by_element = replace(CREDENTIAL, concealed=concealed, by_element=frozenset({"scope"}))
    _, single = read(sign_credential(by_element, SIGNER))
    assert sorted(disclosure[1] for disclosure in single.values() if len(disclosure) == 2) == ["内科", "外科"]
    (scope,) = (disclosure[2] for disclosure in single.values() if len(disclosure) == 3)
    assert all(place.keys() == {"..."} for place in scope)


def test_decoys_hide_how_many_claims_there_are() -> None:
    counts = set()
    for concealed in ({}, {"name": "张三"}, {"name": "张三", "scope": "餐饮", "none": None}):
        payload, by_digest = read(sign_credential(replace(CREDENTIAL, concealed=concealed, digest_count=3), SIGNER))
        assert len(by_digest) == len(concealed)
        assert by_digest.keys() <= set(payload["_sd"])
        assert payload["_sd"] == sorted(payload["_sd"])
        assert {len(digest) for digest in payload["_sd"]} == {43}
        counts.add(len(set(payload["_sd"])))
    assert counts == {3}


def test_two_credentials_of_one_licence_share_no_salt_and_no_digest() -> None:
    (_, one), (_, other) = read(sign_credential(CREDENTIAL, SIGNER)), read(sign_credential(CREDENTIAL, SIGNER))
    assert not one.keys() & other.keys()
    assert not {disclosure[0] for disclosure in one.values()} & {disclosure[0] for disclosure in other.values()}


def test_what_does_not_verify_under_the_certificate_is_not_released() -> None:
    certificate = x509.load_der_x509_certificate(SIGNER.x5c_der[0])
    broken = KeySigner(ec.generate_private_key(ec.SECP256R1()), (certificate,))
    with pytest.raises(SelfCheckFailed):
        sign_credential(CREDENTIAL, broken)
