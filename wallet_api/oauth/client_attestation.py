"""Attestation-based client authentication (draft-ietf-oauth-attestation-based-client-auth, drafts 07 and 10).

A wallet provider (the attester) signs that a wallet instance holds a key; the instance proves it at the pushed request
and at the token endpoint. What the drafts allow and this does not: the combined mode with DPoP (draft-10 §6).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy.ext.asyncio import AsyncSession

from credentials.issuance.formats.c_nonce import NonceInvalid
from credentials.keys.errors import CertificatePathInvalid
from credentials.keys.formats.certificate_path import chain_from_x5c, validate_path
from credentials.keys.formats.jwk import KeyMalformed, PublicJwk
from credentials.keys.formats.signed_jwt import JwtMalformed, JwtSignatureInvalid, SignedJwt
from credentials.registry.ports import Clock
from wallet_api.oauth.client_ids import WALLET_ID
from wallet_api.oauth.errors import OAuthError
from wallet_api.oauth.one_time import OneTimeValues
from wallet_api.oauth.server_nonces import ServerNonces

ATTESTATION_TYP = "oauth-client-attestation+jwt"
POP_TYP = "oauth-client-attestation-pop+jwt"
POP_AGE = timedelta(minutes=5)  # as long as a challenge lives
SKEW = timedelta(seconds=60)  # phones' clocks
MAX_JTI_CHARS = 256


@dataclass(frozen=True)
class Attesters:
    """Wallet providers that are trusted: by certificates that lead to an anchor, or by their bare keys.

    With neither, nobody is trusted.
    """

    anchors: tuple[x509.Certificate, ...] = ()
    keys: tuple[PublicJwk, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.anchors or self.keys)

    def verified(self, attestation: SignedJwt, now: datetime) -> Mapping[str, Any]:
        """The claims of an attestation that one of them signed.

        Raises:
            CertificatePathInvalid: its `x5c` leads to no anchor.
            JwtSignatureInvalid: none of the keys verifies it.
        """
        candidates: list[ec.EllipticCurvePublicKey] = [key.public_key() for key in self.keys]
        if "x5c" in attestation.header and self.anchors:
            candidates = [validate_path(chain_from_x5c(attestation.header["x5c"]), self.anchors, now).key]
        for key in candidates:
            try:
                return attestation.verified(key)
            except JwtSignatureInvalid:
                continue
        raise JwtSignatureInvalid("no trusted attester signed the attestation")


@dataclass(frozen=True)
class AttestedWallet:
    """A wallet instance that proved itself: whose product it is, and its own key."""

    client_id: str
    instance_key: PublicJwk


class ClientAttestations:
    """Authenticates wallets by their attestations."""

    def __init__(
        self,
        attesters: Attesters,
        one_time: OneTimeValues,
        clock: Clock,
        challenges: ServerNonces,
        issuer: str,
        *,
        challenge_required: bool = False,
    ) -> None:
        self._attesters = attesters
        self._one_time = one_time
        self._clock = clock
        self._challenges = challenges
        self._issuer = issuer
        self._challenge_required = challenge_required

    async def wallet(self, session: AsyncSession, attestations: Sequence[str], pops: Sequence[str]) -> AttestedWallet:
        """Check attestation and proof of possession, and burn the proof's `jti` (draft-10 §8):

        1. Each header field stands there once.
        2. The attestation is signed by a trusted attester, names a client, its instance's key, and is not over.
        3. The proof is signed with that key, is for this server, and fresh.
        4. Its challenge, where it has or needs one, is ours and live.
        5. It was not used before.

        Raises:
            OAuthError: `invalid_client`, or `use_attestation_challenge`.
        """
        if len(attestations) != 1 or len(pops) != 1:  # (1)
            raise OAuthError("invalid_client", "one client attestation and one proof of possession are wanted")
        now = self._clock.now()
        try:
            wallet = read_attestation(attestations[0], self._attesters, now)  # (2)
            claims = read_pop(pops[0], wallet, self._issuer, now)  # (3)
        except (JwtMalformed, JwtSignatureInvalid, KeyMalformed, CertificatePathInvalid) as error:
            raise OAuthError("invalid_client", error.detail) from error
        challenge = claims.get("challenge", claims.get("nonce"))  # drafts before 07 called it nonce
        if challenge is not None or self._challenge_required:
            self._check_challenge(challenge)  # (4)
        once = f"{wallet.instance_key.thumbprint()}:{claims['jti']}"
        if not await self._one_time.burn(session, "client_attestation_pop", once, now + 2 * POP_AGE):  # (5)
            raise OAuthError("invalid_client", "this proof of possession was used before")
        return wallet

    def _check_challenge(self, challenge: object) -> None:
        try:
            self._challenges.check(challenge)
        except NonceInvalid as error:
            raise OAuthError("use_attestation_challenge", "sign the proof anew with a fresh challenge") from error


def read_attestation(compact: str, attesters: Attesters, now: datetime) -> AttestedWallet:
    """The wallet instance that an attestation speaks of. `iss`, which drafts before 08 had, says nothing here.

    Raises:
        JwtMalformed, JwtSignatureInvalid, KeyMalformed, CertificatePathInvalid: it does not hold.
    """
    claims = attesters.verified(SignedJwt.from_compact(compact, typ=ATTESTATION_TYP), now)
    subject, confirmation = claims.get("sub"), claims.get("cnf")
    if not isinstance(subject, str) or not WALLET_ID.fullmatch(subject):
        raise JwtMalformed("sub of the attestation is no client_id")
    if not isinstance(confirmation, dict):
        raise JwtMalformed("cnf of the attestation is missing")
    if _seconds(claims, "exp") <= now.timestamp():
        raise JwtMalformed("the attestation is over")
    latest = (now + SKEW).timestamp()
    if any(name in claims and _seconds(claims, name) > latest for name in ("iat", "nbf")):
        raise JwtMalformed("the attestation is not good yet")
    return AttestedWallet(subject, PublicJwk.from_object(confirmation.get("jwk")))


def read_pop(compact: str, wallet: AttestedWallet, issuer: str, now: datetime) -> Mapping[str, Any]:
    """The claims of a proof of possession by this instance, for this server, now; its challenge is not checked.

    Raises:
        JwtMalformed, JwtSignatureInvalid: it does not hold.
    """
    claims = SignedJwt.from_compact(compact, typ=POP_TYP).verified(wallet.instance_key.public_key())
    if claims.get("aud") not in (issuer, [issuer]):
        raise JwtMalformed("aud of the proof of possession is not this server's issuer identifier")
    if claims.get("iss", wallet.client_id) != wallet.client_id:
        raise JwtMalformed("iss of the proof of possession is another client")
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 0 < len(jti) <= MAX_JTI_CHARS:
        raise JwtMalformed("jti of the proof of possession is missing")
    if not (now - POP_AGE).timestamp() <= _seconds(claims, "iat") <= (now + SKEW).timestamp():
        raise JwtMalformed("iat of the proof of possession is outside the window")
    if "exp" in claims and _seconds(claims, "exp") <= now.timestamp():
        raise JwtMalformed("the proof of possession is over")
    return claims


def _seconds(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise JwtMalformed(f"{name} is no number")
    return value
