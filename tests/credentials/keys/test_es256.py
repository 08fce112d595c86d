"""Signatures in their JOSE form."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from credentials.keys.errors import SignatureInvalid
from credentials.keys.formats.es256 import sign_es256, verify_es256

KEY = ec.generate_private_key(ec.SECP256R1())
SIGNATURE = sign_es256(KEY, b"message")


def test_a_signature_verifies_over_its_message_only() -> None:
    verify_es256(KEY.public_key(), b"message", SIGNATURE)
    with pytest.raises(SignatureInvalid):
        verify_es256(KEY.public_key(), b"another", SIGNATURE)
    with pytest.raises(SignatureInvalid):
        verify_es256(ec.generate_private_key(ec.SECP256R1()).public_key(), b"message", SIGNATURE)


@settings(max_examples=150)
@given(st.integers(0, 511))
def test_one_flipped_bit_is_refused(bit: int) -> None:
    flipped = bytearray(SIGNATURE)
    flipped[bit >> 3] ^= 1 << (bit & 7)
    with pytest.raises(SignatureInvalid):
        verify_es256(KEY.public_key(), b"message", bytes(flipped))


@settings(max_examples=150)
@given(st.one_of(st.binary(max_size=70), st.sampled_from([bytes(64), b"\xff" * 64, SIGNATURE + b"\0", SIGNATURE[:63]])))
def test_any_bytes_are_refused(signature: bytes) -> None:
    with pytest.raises(SignatureInvalid):
        verify_es256(KEY.public_key(), b"message", signature)
