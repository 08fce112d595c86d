"""Certificate paths (the RFC 5280 §6 subset that the trust list's format needs).

Checked: names chain, signatures (ECDSA P-256 or P-384 with SHA-256 or SHA-384), version 3, basicConstraints and
path length, keyUsage, exactly one critical extendedKeyUsage on the leaf, unknown critical extensions, path
length bounds, the anchor left out. The window in which the whole path holds is returned, not judged: the caller
has the clock.

Not checked: CRLs and OCSP (a key is withdrawn by leaving the trust list), name constraints and policies
(refused where critical).
"""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import ExtensionOID, NameOID, SignatureAlgorithmOID

from ._fault import Fault

PURPOSES = {
    purpose: x509.ObjectIdentifier(f"2.25.190658200501632449883014538961567251728.{arc}")
    for arc, purpose in enumerate(("credential", "status", "pass", "trust-list", "issuer-metadata", "check"), start=1)
}

_SIGNATURES = (SignatureAlgorithmOID.ECDSA_WITH_SHA256, SignatureAlgorithmOID.ECDSA_WITH_SHA384)
_UNDERSTOOD = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.SUBJECT_KEY_IDENTIFIER,
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
    }
)
_UNREADABLE = (
    x509.InvalidVersion,
    CryptographyDeprecationWarning,  # a serial number below 1, where warnings are errors
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)


@dataclass(frozen=True, slots=True)
class Path:
    """A path that holds between `not_before` and `not_after`, both inclusive; `key` is the leaf's."""

    key: ec.EllipticCurvePublicKey
    subject_name: str
    not_before: datetime
    not_after: datetime

    def holds_at(self, now: datetime) -> bool:
        """Whether every certificate of the path, the anchor included, is inside its validity."""
        return self.not_before <= now <= self.not_after


def load_anchor(pem_or_der: bytes) -> x509.Certificate:
    """A root certificate to pin: self-signed, a CA, ECDSA.

    Raises:
        Fault: Anything else.
    """
    try:
        is_pem = pem_or_der.lstrip().startswith(b"-----BEGIN")
        anchor = (x509.load_pem_x509_certificate if is_pem else x509.load_der_x509_certificate)(pem_or_der)
        _expect_ca(anchor, intermediates_below=0)
        _expect_signed_by(anchor, anchor)
    except _UNREADABLE as error:
        raise Fault("not a certificate", "chain") from error
    return anchor


def validate(chain_der: Sequence[bytes], anchors: Iterable[x509.Certificate], purpose: str) -> Path:
    """Build and check the path from a leaf to a pinned anchor.

    Args:
        chain_der: Leaf first, then its intermediates in order, the anchor left out.
        anchors: The pinned roots; an empty set trusts nothing.
        purpose: A key of `PURPOSES`.

    Raises:
        Fault: With the rule `chain`.
    """
    anchors = tuple(anchors)
    try:
        chain = [x509.load_der_x509_certificate(der) for der in chain_der]
        _expect_leaf(chain[0], PURPOSES[purpose])
        for position, certificate in enumerate(chain[1:]):
            _expect_ca(certificate, intermediates_below=position, purpose=PURPOSES[purpose])
        for child, parent in itertools.pairwise(chain):
            _expect_signed_by(child, parent)
        path = [*chain, _anchor_of(chain, anchors)]
        return Path(
            key=_p256(chain[0]),
            subject_name=_common_name(chain[0]),
            not_before=max(certificate.not_valid_before_utc for certificate in path),
            not_after=min(certificate.not_valid_after_utc for certificate in path),
        )
    except _UNREADABLE as error:
        raise Fault("a certificate cannot be read", "chain") from error


def _anchor_of(chain: Sequence[x509.Certificate], anchors: Sequence[x509.Certificate]) -> x509.Certificate:
    if any(certificate in anchors for certificate in chain):
        raise Fault("the chain carries the anchor itself", "chain")
    for anchor in anchors:
        if anchor.subject != chain[-1].issuer:
            continue
        try:
            _expect_ca(anchor, intermediates_below=len(chain) - 1)
            _expect_signed_by(chain[-1], anchor)
        except Fault:
            continue  # two anchors may bear one name
        return anchor
    raise Fault("the chain does not lead to a pinned anchor", "chain")


def _expect_signed_by(child: x509.Certificate, parent: x509.Certificate) -> None:
    if child.signature_algorithm_oid not in _SIGNATURES:
        raise Fault("a certificate is signed with an algorithm that is not allowed", "chain")
    # The library reads a bit string of fewer bits as whole octets: one certificate would have several forms.
    if not child.public_bytes(Encoding.DER).endswith(b"\0" + child.signature):
        raise Fault("a certificate's signature is not a whole number of octets", "chain")
    try:
        child.verify_directly_issued_by(parent)
    except (InvalidSignature, *_UNREADABLE) as error:
        raise Fault("a certificate was not issued by the next one", "chain") from error


def _expect_leaf(leaf: x509.Certificate, purpose: x509.ObjectIdentifier) -> None:
    _expect_understood(leaf)
    if leaf.subject == leaf.issuer:
        raise Fault("the leaf is self-signed", "chain")
    constraints = _extension(leaf, x509.BasicConstraints)
    if constraints is None or constraints.value.ca:
        raise Fault("the leaf is not marked as no CA", "chain")
    usage = _extension(leaf, x509.KeyUsage)
    if usage is None or not usage.critical or not usage.value.digital_signature:
        raise Fault("the leaf's keyUsage is not a critical digitalSignature", "chain")
    purposes = _extension(leaf, x509.ExtendedKeyUsage)
    if purposes is None or not purposes.critical or list(purposes.value) != [purpose]:
        raise Fault("the leaf is for another purpose", "chain")


def _expect_ca(
    certificate: x509.Certificate, intermediates_below: int, purpose: x509.ObjectIdentifier | None = None
) -> None:
    _expect_understood(certificate)
    constraints = _extension(certificate, x509.BasicConstraints)
    if constraints is None or not constraints.critical or not constraints.value.ca:
        raise Fault("an issuer is not a CA", "chain")
    if constraints.value.path_length is not None and constraints.value.path_length < intermediates_below:
        raise Fault("the path is longer than its CA allows", "chain")
    usage = _extension(certificate, x509.KeyUsage)
    if usage is None or not usage.value.key_cert_sign:
        raise Fault("an issuer may not sign certificates", "chain")
    purposes = _extension(certificate, x509.ExtendedKeyUsage)
    if purpose is not None and purposes is not None and purpose not in purposes.value:
        raise Fault("an issuer is not for this purpose", "chain")
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1 | ec.SECP384R1):
        raise Fault("an issuer's key is neither P-256 nor P-384", "chain")


def _expect_understood(certificate: x509.Certificate) -> None:
    if certificate.version is not x509.Version.v3:
        raise Fault("not an X.509 version 3 certificate", "chain")
    if any(extension.critical and extension.oid not in _UNDERSTOOD for extension in certificate.extensions):
        raise Fault("a critical extension is unknown here", "chain")


_ExtensionType = TypeVar("_ExtensionType", bound=x509.ExtensionType)


def _extension(
    certificate: x509.Certificate, extension_type: type[_ExtensionType]
) -> x509.Extension[_ExtensionType] | None:
    try:
        return certificate.extensions.get_extension_for_class(extension_type)
    except x509.ExtensionNotFound:
        return None


def _p256(leaf: x509.Certificate) -> ec.EllipticCurvePublicKey:
    key = leaf.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise Fault("the leaf's key is not P-256", "chain")
    return key


def _common_name(leaf: x509.Certificate) -> str:
    names = leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else ""
