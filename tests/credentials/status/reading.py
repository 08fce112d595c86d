"""A reader of status lists, written apart from the writer."""

import base64
import json
import zlib
from typing import Any

import cbor2
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from jwcrypto.jwk import JWK
from jwcrypto.jws import JWS


def unbase64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def statuses(bits: int, compressed: bytes) -> list[int]:
    """Every entry of a compressed list."""
    return [byte >> shift & (1 << bits) - 1 for byte in zlib.decompress(compressed) for shift in range(0, 8, bits)]


def not_valid(bits: int, compressed: bytes) -> dict[int, int]:
    """The entries of a compressed list that are not 0; fast where there are few."""
    packed = zlib.decompress(compressed)
    per_byte = 8 // bits
    found = (
        (at * per_byte + n, packed[at] >> n * bits & (1 << bits) - 1)
        for at in range(len(packed))
        if packed[at]
        for n in range(per_byte)
    )
    return {idx: value for idx, value in found if value}


def read_jwt(token: bytes, key: EllipticCurvePublicKey | None = None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims of a JWT, verified under a key or the leaf of its x5c."""
    header = json.loads(unbase64url(token.decode().split(".")[0]))
    jws = JWS()
    jws.deserialize(token.decode(), JWK.from_pyca(key or _leaf_key(base64.b64decode(header["x5c"][0]))))
    return header, json.loads(jws.payload)


def read_cwt(token: bytes, key: EllipticCurvePublicKey | None = None) -> tuple[dict[int, Any], dict[int, Any]]:
    """Protected header and claims of a CWT, verified under a key or the leaf of its x5chain."""
    message = cbor2.loads(token)
    assert message.tag == 18
    protected, unprotected, payload, signature = message.value
    header = cbor2.loads(protected)
    if key is None:
        assert unprotected == {}
        key = _leaf_key(header[33])
    halves = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    signed = cbor2.dumps(["Signature1", protected, b"", payload])
    key.verify(encode_dss_signature(*halves), signed, ECDSA(SHA256()))
    return header, cbor2.loads(payload)


def _leaf_key(der: bytes) -> EllipticCurvePublicKey:
    key = x509.load_der_x509_certificate(der).public_key()
    assert isinstance(key, EllipticCurvePublicKey)
    return key
