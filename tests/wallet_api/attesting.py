"""A wallet whose provider attests it: attestations and proofs of possession that can be bent."""

import base64
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from jwcrypto.jwk import JWK

from credentials.keys import Authority, KeyPurpose
from credentials.keys.formats.x509 import Validity, build_leaf, build_root, to_pem
from tests.fakes import FakeClock
from tests.wallet_api.running import Json, Running, bent, jwt, new_key
from tests.wallet_api.signing_in import SigningWallet
from wallet_api.database import Database

VALIDITY = Validity(datetime(2026, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC))


class WalletProvider:
    """An attester, with a bare key or a certificate under an anchor."""

    def __init__(self, *, with_certificate: bool = True) -> None:
        self.key = new_key()
        self.root_key = ec.generate_private_key(ec.SECP256R1())
        self.anchor = build_root(self.root_key, VALIDITY)
        public = self.key.get_op_key("verify")
        name = Authority("WALLET", "Wallet provider")
        leaf = build_leaf(
            public, KeyPurpose.CREDENTIAL, name, VALIDITY, self.anchor, self.root_key, "https://provider.example"
        )
        self.leaf_x5c = base64.b64encode(leaf.public_bytes(Encoding.DER)).decode()
        self.x5c = [self.leaf_x5c] if with_certificate else None

    def settings(self, folder: Path) -> Json:
        """Settings that trust this provider."""
        if self.x5c is None:
            path = folder / "attesters.json"
            path.write_text(json.dumps({"keys": [self.key.export_public(as_dict=True)]}))
            return {"wallet_attester_keys": path}
        path = folder / "attesters.pem"
        path.write_text(to_pem([self.anchor]))
        return {"wallet_attester_anchors": path}


@dataclass
class AttestedWallet(SigningWallet):
    """`attestation` and `pop` hold what is to be bent in every request."""

    provider: WalletProvider = field(default_factory=WalletProvider)
    instance: JWK = field(default_factory=lambda: new_key())
    attestation: Json = field(default_factory=dict)
    pop: Json = field(default_factory=dict)

    def client_headers(self) -> dict[str, str]:
        return {
            "OAuth-Client-Attestation": self.attest(**self.attestation),
            "OAuth-Client-Attestation-PoP": self.prove(**self.pop),
        }

    def attest(self, *, key: JWK | None = None, header: Mapping[str, Any] | None = None, **claims: Any) -> str:
        content = {
            "sub": self.client_id,
            "iat": self.now_s,
            "exp": self.now_s + 3_600,
            "cnf": {"jwk": self.instance.export_public(as_dict=True)},
        }
        protected: Json = {"typ": "oauth-client-attestation+jwt", "alg": "ES256"}
        if self.provider.x5c is not None:
            protected["x5c"] = self.provider.x5c
        return jwt(key or self.provider.key, bent(protected, header or {}), bent(content, claims))

    def prove(self, *, key: JWK | None = None, header: Mapping[str, Any] | None = None, **claims: Any) -> str:
        content = {"aud": self.running.url, "jti": secrets.token_urlsafe(16), "iat": self.now_s}
        protected = {"typ": "oauth-client-attestation-pop+jwt", "alg": "ES256"}
        return jwt(key or self.instance, bent(protected, header or {}), bent(content, claims))


async def haip_platform(
    folder: Path, clock: FakeClock, database: Database, provider: WalletProvider, **more: Any
) -> Running:
    """A platform that asks of wallets what HAIP 1.0 §4 does: attestations and DPoP."""
    required = {"wallet_attestation_required": True, **provider.settings(folder), **more}
    return await Running.start(folder, clock, database, **required)
