"""A key and its certificate, ready to sign."""

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import Encoding

from credentials.keys.errors import KeyCertificateMismatch, SignatureInvalid
from credentials.keys.formats import x509 as certificates
from credentials.keys.formats.es256 import sign_es256, verify_es256
from credentials.keys.ports import Signer

_PROOF = b"liangzheng: does this key belong to its certificate?"


class KeySigner:
    """A `Signer` over a private key, in memory or in a token.

    Args:
        private_key: on P-256; in a token, one use at a time is seen to there.
        chain: leaf first, without the anchor. `prove` tells whether key and leaf belong together.
    """

    def __init__(self, private_key: EllipticCurvePrivateKey, chain: tuple[x509.Certificate, ...]) -> None:
        self._private_key = private_key
        public_key = chain[0].public_key()
        if not isinstance(public_key, EllipticCurvePublicKey):
            raise KeyCertificateMismatch("the certificate does not hold an elliptic curve key")
        self.public_key = public_key
        self.kid = certificates.kid(chain[0])
        self.not_after = min(certificate.not_valid_after_utc for certificate in chain)
        self.x5c_der = tuple(certificate.public_bytes(Encoding.DER) for certificate in chain)

    def sign(self, message: bytes) -> bytes:
        """ES256 over the message: 64 bytes, r and s big-endian."""
        return sign_es256(self._private_key, message)


def prove(signer: Signer) -> None:
    """Sign something and verify it under the certificate's key.

    Raises:
        KeyCertificateMismatch: the signature does not verify; the detail names the kid.
    """
    try:
        verify_es256(signer.public_key, _PROOF, signer.sign(_PROOF))
    except SignatureInvalid as error:
        raise KeyCertificateMismatch(
            f"the private key of {signer.kid.hex()} is not the one of its certificate: restore it from its backup"
        ) from error
