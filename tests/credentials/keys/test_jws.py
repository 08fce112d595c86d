"""Compact JWS: read back by another implementation."""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from jwcrypto.jwk import JWK
from jwcrypto.jws import JWS, InvalidJWSSignature

from credentials.keys.errors import MalformedBase64Url
from credentials.keys.formats.jws import b64u_decode, b64u_encode, json_bytes, sign_compact, x5c
from tests.credentials.keys.signing import self_signed


@given(st.binary(max_size=200))
def test_base64url_round_trip(data: bytes) -> None:
    text = b64u_encode(data)
    assert b64u_decode(text) == data
    assert not set(text) & set("+/=")


@given(st.one_of(st.text(max_size=20), st.text("ABCxyz019-_=+/\n ", max_size=20)))
def test_any_text_decodes_to_its_one_source_or_is_refused(text: str) -> None:
    try:
        data = b64u_decode(text)
    except MalformedBase64Url:
        return
    assert b64u_encode(data) == text


@pytest.mark.parametrize("text", ["QQ==", "QR", "Q", "Q+8", "Q/8", "Q Q", "QQ\n", "Ä", "QUJD="])
def test_base64url_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(MalformedBase64Url):
        b64u_decode(text)


def test_another_implementation_verifies_what_was_signed() -> None:
    signer = self_signed()
    token = sign_compact({"typ": "statuslist+jwt", "x5c": x5c(signer)}, json_bytes({"名": 1}), signer)
    jws = JWS()
    jws.deserialize(token, JWK.from_pyca(signer.public_key))
    assert json.loads(jws.payload) == {"名": 1}
    assert jws.jose_header == {"typ": "statuslist+jwt", "x5c": x5c(signer), "alg": "ES256"}


def test_a_header_cannot_ask_for_another_algorithm() -> None:
    token = sign_compact({"alg": "none"}, b"{}", self_signed())
    assert json.loads(b64u_decode(token.split(".")[0])) == {"alg": "ES256"}


def test_a_signature_does_not_verify_under_another_key() -> None:
    token = sign_compact({}, b"{}", self_signed())
    stranger = JWK.from_pyca(ec.generate_private_key(ec.SECP256R1()).public_key())
    jws = JWS()
    with pytest.raises(InvalidJWSSignature):
        jws.deserialize(token, stranger)
