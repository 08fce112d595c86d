"""Certificate paths that others send us (RFC 5280 §6.1): wallet attesters, key attestations, outside authorities.

`cryptography` validates: names and signatures chain to an anchor, every certificate, the anchor included, holds
now, issuers are CAs, path lengths are kept, no critical extension is unknown. This module adds what our formats
and HAIP 1.0 demand beyond it: the chain is given whole and in order (RFC 7515 §4.1.6) without its anchor, key usages,
ECDSA only.
"""

import base64
import binascii
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import ExtendedKeyUsageOID, SignatureAlgorithmOID
from cryptography.x509.verification import Criticality, ExtensionPolicy, PolicyBuilder, Store, VerificationError

from credentials.keys.errors import CertificatePathInvalid

MAX_CERTIFICATES = 5  # DoS bound: hierarchies of attesters have two or three below the anchor
MAX_DER_BYTES = 16_384  # DoS bound: certificates of attesters have one or two kilobytes
_SIGNATURES = frozenset({SignatureAlgorithmOID.ECDSA_WITH_SHA256, SignatureAlgorithmOID.ECDSA_WITH_SHA384})
_UNREADABLE = (
    VerificationError,
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
    CryptographyDeprecationWarning,  # a serial number below 1, where warnings are errors
)
_ANY = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE
_CA = ExtensionPolicy.permit_all().require_present(x509.BasicConstraints, Criticality.CRITICAL, None)
_LEAF = ExtensionPolicy.permit_all()


@dataclass(frozen=True)
class CertificatePath:
    """A path that was validated.

    Attributes:
        certificates: as they were given, leaf first; the anchor is apart.
        key: the leaf's, on P-256: what verifies ES256.
        not_after: when the first certificate of the path, anchor included, is over.
    """

    certificates: tuple[x509.Certificate, ...]
    anchor: x509.Certificate
    key: ec.EllipticCurvePublicKey
    not_after: datetime

    @property
    def leaf(self) -> x509.Certificate:
        """The certificate of the key that signs."""
        return self.certificates[0]


def chain_from_x5c(x5c: object) -> tuple[bytes, ...]:
    """The DER certificates of an `x5c` header parameter (RFC 7515 §4.1.6), not validated yet.

    Raises:
        CertificatePathInvalid: not an array of one to five certificates in standard base64.
    """
    if not isinstance(x5c, list | tuple) or not 1 <= len(x5c) <= MAX_CERTIFICATES:
        raise CertificatePathInvalid(f"x5c is an array of 1 to {MAX_CERTIFICATES} certificates")
    if not all(isinstance(text, str) and len(text) <= MAX_DER_BYTES * 4 // 3 + 4 for text in x5c):
        raise CertificatePathInvalid("x5c holds something that is no certificate of bounded size")
    try:
        chain = tuple(base64.b64decode(text, validate=True) for text in x5c)
    except (binascii.Error, ValueError) as error:  # ValueError: not ASCII
        raise CertificatePathInvalid("x5c holds something that is not base64") from error
    if [base64.b64encode(der).decode() for der in chain] != list(x5c):
        raise CertificatePathInvalid("x5c holds base64 that is not in its one canonical form")
    return chain


def validate_path(
    chain_der: Sequence[bytes],
    anchors: Iterable[x509.Certificate],
    now: datetime,
    *,
    purpose: x509.ObjectIdentifier | None = None,
) -> CertificatePath:
    """Validate a chain up to one of our anchors, in these steps:

    1. Bounded number and size; every certificate is readable, and its signature a whole number of octets: the library
       reads no further into that bit string, so that one certificate would have several forms.
    2. The path of RFC 5280 §6.1 from the leaf to an anchor, at `now`.
    3. It runs through exactly the certificates given, in their order; none is an anchor (HAIP 1.0 §7).
    4. The leaf is not self-issued, no CA, may sign data, its key is on P-256, and it is good for `purpose`.
    5. Issuers may sign certificates and use ECDSA on P-256 or P-384 with SHA-256 or SHA-384.

    Not checked: revocation (CRL, OCSP). Name constraints are refused, as nothing here has names to hold against them.

    Args:
        chain_der: leaf first, each certified by the next one, without the anchor.
        anchors: whom to trust; none of them, and nothing is trusted. Not required to be self-signed.
        now: aware.
        purpose: an extended key usage that the leaf must have; issuers that name usages must name it or `any` too.

    Raises:
        CertificatePathInvalid: the chain breaks one of the rules, or cannot be read; the detail says which.
    """
    anchors = tuple(anchors)
    if not 1 <= len(chain_der) <= MAX_CERTIFICATES or any(len(der) > MAX_DER_BYTES for der in chain_der):  # (1)
        raise CertificatePathInvalid("too many certificates, or too large ones")
    if not anchors:
        raise CertificatePathInvalid("no anchor is configured, so that nothing is trusted")
    try:
        chain = tuple(map(x509.load_der_x509_certificate, chain_der))
        if not all(der.endswith(b"\0" + one.signature) for der, one in zip(chain_der, chain, strict=True)):
            raise CertificatePathInvalid("a certificate's signature is not a whole number of octets")
        path = _build(chain, anchors, now)  # (2)
        _expect_exactly(chain, path, anchors)  # (3)
        key = _expect_leaf(chain[0], purpose)  # (4)
        for issuer, certified in zip(path[1:], path, strict=False):  # (5)
            _expect_issuer(issuer, certified, purpose)
        not_after = min(certificate.not_valid_after_utc for certificate in path)
    except _UNREADABLE as error:
        raise CertificatePathInvalid("a certificate cannot be read, or no path leads to an anchor") from error
    return CertificatePath(chain, path[-1], key, not_after)


def _build(
    chain: Sequence[x509.Certificate], anchors: Sequence[x509.Certificate], now: datetime
) -> list[x509.Certificate]:
    policy = PolicyBuilder().store(Store(list(anchors))).time(now).max_chain_depth(MAX_CERTIFICATES)
    verifier = policy.extension_policies(ca_policy=_CA, ee_policy=_LEAF).build_client_verifier()
    return verifier.verify(chain[0], list(chain[1:])).chain


def _expect_exactly(
    chain: Sequence[x509.Certificate], path: Sequence[x509.Certificate], anchors: Sequence[x509.Certificate]
) -> None:
    if any(certificate in anchors for certificate in chain):
        raise CertificatePathInvalid("the chain carries the anchor itself")
    if list(path[:-1]) != list(chain):
        raise CertificatePathInvalid("the chain is out of order, or holds a certificate that is no part of it")


def _expect_leaf(leaf: x509.Certificate, purpose: x509.ObjectIdentifier | None) -> ec.EllipticCurvePublicKey:
    if leaf.subject == leaf.issuer:
        raise CertificatePathInvalid("the leaf is self-signed")
    constraints = _extension(leaf, x509.BasicConstraints)
    if constraints is not None and constraints.ca:
        raise CertificatePathInvalid("the leaf is a CA")
    usage = _extension(leaf, x509.KeyUsage)
    if usage is not None and not usage.digital_signature:
        raise CertificatePathInvalid("the leaf may not sign data")
    usages = _extension(leaf, x509.ExtendedKeyUsage)
    if purpose is not None and (usages is None or purpose not in usages):
        raise CertificatePathInvalid("the leaf is for another purpose")
    key = leaf.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise CertificatePathInvalid("the leaf's key is not on P-256")
    return key


def _expect_issuer(
    issuer: x509.Certificate, certified: x509.Certificate, purpose: x509.ObjectIdentifier | None
) -> None:
    if certified.signature_algorithm_oid not in _SIGNATURES:
        raise CertificatePathInvalid("a certificate is not signed with ECDSA and SHA-256 or SHA-384")
    key = issuer.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1 | ec.SECP384R1):
        raise CertificatePathInvalid("an issuer's key is neither on P-256 nor on P-384")
    usage = _extension(issuer, x509.KeyUsage)
    if usage is None or not usage.key_cert_sign:
        raise CertificatePathInvalid("an issuer may not sign certificates")
    usages = _extension(issuer, x509.ExtendedKeyUsage)
    if purpose is not None and usages is not None and not {purpose, _ANY} & set(usages):
        raise CertificatePathInvalid("an issuer is for another purpose")
    if _extension(issuer, x509.NameConstraints) is not None:
        raise CertificatePathInvalid("name constraints are not understood here")


_ExtensionType = TypeVar("_ExtensionType", bound=x509.ExtensionType)


def _extension(certificate: x509.Certificate, kind: type[_ExtensionType]) -> _ExtensionType | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
