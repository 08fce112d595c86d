"""A wallet's provider: it attests keys under certificates of its own, in any way it is told to."""

import base64
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from jwcrypto.jwk import JWK

from tests.wallet_api.running import bent, jwt


class KeyAttester:
    """An anchor, and a leaf under it that signs key attestations."""

    def __init__(self, now: datetime) -> None:
        root, leaf = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        self._now = now
        self.root = self._certificate("root", root, root, ca=True)
        self.leaf = self._certificate("leaf", leaf, root, ca=False)
        self.key = JWK.from_pyca(leaf)

    @property
    def anchors(self) -> tuple[x509.Certificate, ...]:
        return (self.root,)

    @property
    def anchor_pem(self) -> bytes:
        return self.root.public_bytes(Encoding.PEM)

    @property
    def x5c(self) -> list[str]:
        return [base64.b64encode(self.leaf.public_bytes(Encoding.DER)).decode()]

    def attest(self, *keys: JWK, header: Mapping[str, Any] | None = None, key: JWK | None = None, **claims: Any) -> str:
        """A key attestation; `claims` replace its own, ABSENT takes one away."""
        now_s = int(self._now.timestamp())
        content = {
            "iat": now_s,
            "exp": now_s + 86_400,
            "attested_keys": [key.export_public(as_dict=True) for key in keys],
            "key_storage": ["iso_18045_moderate"],
            "user_authentication": ["iso_18045_moderate"],
        }
        protected = {"typ": "key-attestation+jwt", "alg": "ES256", "x5c": self.x5c}
        return jwt(key or self.key, bent(protected, header or {}), bent(content, claims))

    def _certificate(
        self, name: str, key: ec.EllipticCurvePrivateKey, issuer_key: ec.EllipticCurvePrivateKey, *, ca: bool
    ) -> x509.Certificate:
        subject, issuer = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, cn)]) for cn in (name, "root"))
        names = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "crl_sign")
        names += ("encipher_only", "decipher_only")
        usage = dict.fromkeys(names, False)
        builder = x509.CertificateBuilder(
            issuer, subject, key.public_key(), 1, self._now - timedelta(days=1), self._now + timedelta(days=400)
        )
        for extension, critical in (
            (x509.BasicConstraints(ca, None), True),
            (
                x509.KeyUsage(digital_signature=not ca, key_cert_sign=ca, **usage),
                True,
            ),
            (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
            (x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), False),
        ):
            builder = builder.add_extension(extension, critical=critical)
        return builder.sign(issuer_key, hashes.SHA256())
