"""ES256 signatures in their JOSE form: r and s, 32 bytes each, big-endian (RFC 7518 §3.4)."""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from credentials.keys.errors import SignatureInvalid

COORDINATE_BYTES = 32
SIGNATURE_BYTES = 2 * COORDINATE_BYTES
ES256 = ECDSA(SHA256())


def sign_es256(key: EllipticCurvePrivateKey, message: bytes) -> bytes:
    """Sign: 64 bytes."""
    r, s = decode_dss_signature(key.sign(message, ES256))
    return r.to_bytes(COORDINATE_BYTES, "big") + s.to_bytes(COORDINATE_BYTES, "big")


def verify_es256(key: EllipticCurvePublicKey, message: bytes, signature: bytes) -> None:
    """Verify.

    Raises:
        SignatureInvalid: the signature is of another length, or not of this key over this message.
    """
    r, s = signature[:COORDINATE_BYTES], signature[COORDINATE_BYTES:]
    try:
        if len(signature) != SIGNATURE_BYTES:
            raise InvalidSignature
        key.verify(encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big")), message, ES256)
    except InvalidSignature as error:
        raise SignatureInvalid("the signature does not verify") from error
