"""ES256 with the `cryptography` package: signatures as r‖s (RFC 7518 §3.4, RFC 9053 §2.1)."""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from ._fault import Fault

PublicKey = ec.EllipticCurvePublicKey
PrivateKey = ec.EllipticCurvePrivateKey

SIGNATURE_BYTES = 64
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # n of P-256, FIPS 186-5
_ES256 = ec.ECDSA(SHA256())


def verify(key: PublicKey, signature: bytes, message: bytes) -> None:
    """Check an ES256 signature.

    Args:
        key: A P-256 key that the caller trusts for this message.
        signature: r‖s, 64 bytes, each in [1, n-1].
        message: The bytes that were signed.

    Raises:
        Fault: With the rule `signature`, when it does not hold.
    """
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    if len(signature) != SIGNATURE_BYTES or not (0 < r < _ORDER and 0 < s < _ORDER):
        raise Fault("not an ES256 signature", "signature")
    try:
        key.verify(encode_dss_signature(r, s), message, _ES256)
    except InvalidSignature as error:
        raise Fault("the signature does not hold", "signature") from error


def sign(key: PrivateKey, message: bytes) -> bytes:
    """An ES256 signature, r‖s."""
    r, s = decode_dss_signature(key.sign(message, _ES256))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def from_compressed(x: bytes, y_is_odd: bool) -> PublicKey:
    """A P-256 key from a compressed point (RFC 9053 §7.1.1). Raises `Fault` when no such point exists."""
    if len(x) != 32:
        raise Fault("not a coordinate of P-256")
    return _from_point((b"\x03" if y_is_odd else b"\x02") + x)


def from_coordinates(x: bytes, y: bytes) -> PublicKey:
    """A P-256 key from both coordinates, 32 bytes each. Raises `Fault` when the point is not on the curve."""
    if len(x) != 32 or len(y) != 32:
        raise Fault("not a coordinate of P-256")
    return _from_point(b"\x04" + x + y)


def _from_point(point: bytes) -> PublicKey:
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    except ValueError as error:
        raise Fault("not a point of P-256") from error
