"""Certificates after the profile of TRUST_LIST.md (RFC 5280): one root, leaves good for one purpose each."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from credentials.keys.models import Authority, KeyPurpose

KID_BYTES = 8
PURPOSE_ARC = "2.25.190658200501632449883014538961567251728"
PURPOSE_OIDS = {
    KeyPurpose.CREDENTIAL: x509.ObjectIdentifier(f"{PURPOSE_ARC}.1"),
    KeyPurpose.STATUS: x509.ObjectIdentifier(f"{PURPOSE_ARC}.2"),
    KeyPurpose.PASS: x509.ObjectIdentifier(f"{PURPOSE_ARC}.3"),
    KeyPurpose.TRUST_LIST: x509.ObjectIdentifier(f"{PURPOSE_ARC}.4"),
    KeyPurpose.METADATA: x509.ObjectIdentifier(f"{PURPOSE_ARC}.5"),
    KeyPurpose.CHECK: x509.ObjectIdentifier(f"{PURPOSE_ARC}.6"),
}
ROOT_PATH_LENGTH = 1  # room for one intermediate, should the root go off line one day
MAX_COMMON_NAME_BYTES = 64  # RFC 5280 ub-common-name; counted in bytes, as the strictest parsers do


@dataclass(frozen=True)
class Validity:
    """From when until when a certificate holds, both inclusive, whole seconds in UTC."""

    not_before: datetime
    not_after: datetime


def kid(leaf: x509.Certificate) -> bytes:
    """The key id of a certificate: the first 8 bytes of SHA-256 over its DER. Two keys can share one."""
    return hashlib.sha256(leaf.public_bytes(Encoding.DER)).digest()[:KID_BYTES]


def subject_of(purpose: KeyPurpose, authority: Authority | None) -> x509.Name:
    """The subject of a certificate.

    An authority stands with its name (CN, cut to 64 bytes of UTF-8 at a character; O in full) and its code
    (organizationIdentifier); the platform's own keys with their purpose.
    """
    if authority is None:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Liangzheng {purpose.value}")])
    cut = authority.name.encode()[:MAX_COMMON_NAME_BYTES].decode("utf-8", "ignore")
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, authority.name),
            x509.NameAttribute(NameOID.ORGANIZATION_IDENTIFIER, authority.code),
            x509.NameAttribute(NameOID.COMMON_NAME, cut),
        ]
    )


def build_root(private_key: EllipticCurvePrivateKey, validity: Validity) -> x509.Certificate:
    """A self-signed anchor: CA, keyCertSign and cRLSign only."""
    name = subject_of(KeyPurpose.ROOT, None)
    return (
        _builder(name, name, private_key.public_key(), private_key.public_key(), validity)
        .add_extension(x509.BasicConstraints(ca=True, path_length=ROOT_PATH_LENGTH), critical=True)
        .add_extension(_key_usage(sign_certificates=True), critical=True)
        .sign(private_key, hashes.SHA256())
    )


def build_leaf(
    public_key: EllipticCurvePublicKey,
    purpose: KeyPurpose,
    authority: Authority | None,
    validity: Validity,
    issuer: x509.Certificate,
    issuer_key: EllipticCurvePrivateKey,
    url: str,
) -> x509.Certificate:
    """A certificate for one purpose, signed by the issuer; it never outlives the issuer's.

    Args:
        url: what `iss` of a credential says, in ASCII. Wallets look for it among the subject alternative names
            (earlier drafts of SD-JWT VC, §3.5).
    """
    within = Validity(validity.not_before, min(validity.not_after, issuer.not_valid_after_utc))
    return (
        _builder(subject_of(purpose, authority), issuer.subject, public_key, issuer_key.public_key(), within)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(sign_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([PURPOSE_OIDS[purpose]]), critical=True)
        .add_extension(_names(url), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )


def build_request(
    private_key: EllipticCurvePrivateKey, purpose: KeyPurpose, authority: Authority | None, url: str
) -> x509.CertificateSigningRequest:
    """A request to an outside authority (PKCS #10, RFC 2986) for a certificate like `build_leaf` makes."""
    return (
        x509.CertificateSigningRequestBuilder(subject_of(purpose, authority))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(sign_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([PURPOSE_OIDS[purpose]]), critical=True)
        .add_extension(_names(url), critical=False)
        .sign(private_key, hashes.SHA256())
    )


def names_url(leaf: x509.Certificate, url: str) -> bool:
    """Whether a leaf was made for a platform at this URL."""
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    return url in names.get_values_for_type(x509.UniformResourceIdentifier)


def to_pem(certificates: Iterable[x509.Certificate]) -> str:
    """The certificates one after the other as PEM."""
    return "".join(certificate.public_bytes(Encoding.PEM).decode("ascii") for certificate in certificates)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: EllipticCurvePublicKey,
    issuer_key: EllipticCurvePublicKey,
    validity: Validity,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder(
            subject_name=subject,
            issuer_name=issuer,
            public_key=public_key,
            serial_number=x509.random_serial_number(),
            not_valid_before=validity.not_before,
            not_valid_after=validity.not_after,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False)
    )


def _names(url: str) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([x509.UniformResourceIdentifier(url)])


def _key_usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
