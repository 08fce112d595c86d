"""Key proofs of a credential request (OpenID4VCI 1.0 §8.2.1, appendix F): which keys to issue to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509

from credentials.issuance.errors import CredentialRequestRefused
from credentials.issuance.formats.c_nonce import NonceInvalid, check_nonce
from credentials.issuance.formats.key_attestation import KeyAttestation, KeyAttestationInvalid
from credentials.keys.formats.jwk import KeyMalformed, PublicJwk
from credentials.keys.formats.signed_jwt import JwtMalformed, JwtSignatureInvalid, SignedJwt

PROOF_TYP = "openid4vci-proof+jwt"
PROOF_TYPES = ("jwt", "attestation")
BATCH_SIZE = 32  # a month of daily one-time copies
PROOF_AGE = timedelta(minutes=5)  # as long as a c_nonce lives
SKEW = timedelta(seconds=60)  # phones' clocks


@dataclass(frozen=True)
class KeyProofs:
    """What the proofs of a request prove.

    Attributes:
        keys: distinct, in the order of the request; one credential is issued to each.
        nonce: the one c_nonce of all proofs, its MAC and time checked; it is burned by whoever acts on it.
        attestations: that cover every key, or none at all.
    """

    keys: tuple[PublicJwk, ...]
    nonce: str
    attestations: tuple[KeyAttestation, ...]


@dataclass(frozen=True)
class ProofReader:
    """Reads the proofs of one request.

    Args:
        issuer: the Credential Issuer Identifier, which `aud` must equal.
        client_id: what the wallet called itself when it asked for the token; None when it stayed anonymous.
        anchors: of those who may attest keys.
    """

    issuer: str
    client_id: str | None
    nonce_key: bytes
    anchors: tuple[x509.Certificate, ...]
    now: datetime
    _known: dict[object, KeyAttestation] = field(default_factory=dict)

    def read(self, proofs: object) -> KeyProofs:
        """The keys that a request's `proofs` prove.

        Raises:
            CredentialRequestRefused: `invalid_proof`, `invalid_nonce`, or `invalid_credential_request` for the form.
        """
        if proofs is None:
            raise _invalid("proofs are missing")
        if not isinstance(proofs, dict) or len(proofs) != 1:
            raise CredentialRequestRefused("invalid_credential_request", "proofs holds exactly one proof type")
        ((proof_type, compacts),) = proofs.items()
        if proof_type not in PROOF_TYPES:
            raise _invalid("only the proof types jwt and attestation are supported")
        most = BATCH_SIZE if proof_type == "jwt" else 1
        if not isinstance(compacts, list) or not 1 <= len(compacts) <= most:
            raise CredentialRequestRefused(
                "invalid_credential_request", "proofs.jwt holds 1 to 32 proofs, proofs.attestation exactly one"
            )
        return self._jwt(compacts) if proof_type == "jwt" else self._attestation(compacts[0])

    def _jwt(self, compacts: list[object]) -> KeyProofs:
        """§F.1: a signature by each key; each may bring an attestation that names it."""
        keys, attestations, nonces = [], [], set()
        for compact in compacts:
            header, claims, key = self._verified(compact)
            nonces.add(self._live_nonce(claims.get("nonce")))
            keys.append(key)
            if "key_attestation" in header:
                attestations.append(self._naming(key, header["key_attestation"]))
        if len(nonces) > 1:
            raise _invalid("the proofs of one request carry one c_nonce")
        if len(attestations) < len(keys):
            attestations = []
        elif len(keys) == 1:  # "SHOULD issue a Credential for each cryptographic public key in attested_keys"
            keys += [key for key in attestations[0].keys if key != keys[0]]
        return KeyProofs(_batch(keys), nonces.pop(), tuple(attestations))

    def _attestation(self, compact: object) -> KeyProofs:
        """§F.3: an attestation alone; its nonce shows that it is fresh."""
        attestation = self._attested(compact)
        return KeyProofs(_batch(attestation.keys), self._live_nonce(attestation.nonce), (attestation,))

    def _verified(self, compact: object) -> tuple[Mapping[str, Any], Mapping[str, Any], PublicJwk]:
        """Header, claims and key of a proof whose signature, audience, time and issuer hold (§F.1, §F.4)."""
        try:
            proof = SignedJwt.from_compact(compact, typ=PROOF_TYP)
            if {"kid", "x5c", "trust_chain"} & proof.header.keys():
                raise _invalid("the key is given as jwk, and by nothing else")
            key = PublicJwk.from_object(proof.header.get("jwk"))
            claims = proof.verified(key.public_key())
        except (JwtMalformed, JwtSignatureInvalid, KeyMalformed) as error:
            raise _invalid(error.detail) from error
        if claims.get("aud") != self.issuer:
            raise _invalid("aud is not the credential issuer")
        _check_iat(claims.get("iat"), self.now)
        if "iss" in claims and (self.client_id is None or claims["iss"] != self.client_id):
            raise _invalid("iss is not the client that the token was asked for by")
        return proof.header, claims, key

    def _naming(self, key: PublicJwk, compact: object) -> KeyAttestation:
        attestation = self._attested(compact)
        if not attestation.expires:
            raise _invalid("exp of the key attestation is required")
        if attestation.nonce is not None:
            self._live_nonce(attestation.nonce)
        if key not in attestation.keys:
            raise _invalid("the proof's key is not among the attested keys")
        return attestation

    def _attested(self, compact: object) -> KeyAttestation:
        """Verified once, however many proofs of the request carry it."""
        known = self._known.get(compact) if isinstance(compact, str) else None
        if known is None:
            try:
                known = KeyAttestation.from_compact(compact, self.anchors, self.now)
            except KeyAttestationInvalid as error:
                raise _invalid(error.detail) from error
            self._known[compact] = known
        return known

    def _live_nonce(self, nonce: object) -> str:
        if not isinstance(nonce, str):
            raise _invalid("the proof has no nonce")
        try:
            check_nonce(self.nonce_key, nonce, self.now)
        except NonceInvalid as error:
            raise CredentialRequestRefused("invalid_nonce", "fetch a new c_nonce") from error
        return nonce


def _batch(keys: list[PublicJwk] | tuple[PublicJwk, ...]) -> tuple[PublicJwk, ...]:
    if len(keys) > BATCH_SIZE:
        raise CredentialRequestRefused("invalid_credential_request", "more keys than batch_size")
    if len(set(keys)) < len(keys):
        raise _invalid("each key takes one credential of a request")
    return tuple(keys)


def _check_iat(iat: object, now: datetime) -> None:
    if isinstance(iat, bool) or not isinstance(iat, int | float):
        raise _invalid("iat is required")
    if not (now - PROOF_AGE - SKEW).timestamp() <= iat <= (now + SKEW).timestamp():
        raise _invalid("iat is outside the window")


def _invalid(detail: str) -> CredentialRequestRefused:
    return CredentialRequestRefused("invalid_proof", detail)
