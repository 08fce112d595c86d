"""OpenID4VCI 1.0 on the wire: credential offers, credential requests and their `jwt` key proofs."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from credentials.issuance.errors import CredentialRequestRefused
from credentials.issuance.formats.c_nonce import NonceInvalid, check_nonce
from credentials.issuance.models import CredentialOffer, CredentialRequest, IssuanceGrant
from credentials.keys.formats.jwk import KeyMalformed, PublicJwk
from credentials.keys.formats.signed_jwt import (
    JsonMalformed,
    JwtMalformed,
    JwtSignatureInvalid,
    SignedJwt,
    json_object,
)

PRE_AUTHORIZED_CODE = "urn:ietf:params:oauth:grant-type:pre-authorized_code"
PROOF_TYP = "openid4vci-proof+jwt"
TX_CODE_LENGTH = 6
PROOF_AGE = timedelta(minutes=5)  # as long as a c_nonce lives
SKEW = timedelta(seconds=60)  # phones' clocks


def offer_object(offer: CredentialOffer, issuer: str) -> dict[str, object]:
    """The credential offer as a wallet fetches it (§4.1.1)."""
    grant: dict[str, object] = {"pre-authorized_code": offer.pre_authorized_code}
    if offer.tx_code is not None:
        grant["tx_code"] = {"input_mode": "numeric", "length": TX_CODE_LENGTH}
    return {
        "credential_issuer": issuer,
        "credential_configuration_ids": [offer.configuration_id],
        "grants": {PRE_AUTHORIZED_CODE: grant},
    }


def read_credential_request(
    body: bytes,
    *,
    issuer: str,
    grant: IssuanceGrant,
    nonce_key: bytes,
    now: datetime,
) -> CredentialRequest:
    """Check a credential request and its proof (§8.2, appendix F.1, F.4).

    Args:
        issuer: the Credential Issuer Identifier, which a proof's `aud` must equal.
        grant: what the access token is good for.

    Raises:
        CredentialRequestRefused: with the error code of §8.3.1.2. The nonce is not burned here.
    """
    request = _json_object(body)
    configuration_id, licence_id = _asked_for(request, grant)
    if "credential_response_encryption" in request:
        raise CredentialRequestRefused("invalid_encryption_parameters", "encrypted responses are not offered")
    claims, key = _verified_proof(_single_proof(request))
    if claims.get("aud") != issuer:
        raise CredentialRequestRefused("invalid_proof", "aud is not the credential issuer")
    _check_iat(claims.get("iat"), now)
    if "iss" in claims and (grant.client_id is None or claims["iss"] != grant.client_id):
        raise CredentialRequestRefused("invalid_proof", "iss is not the client that the token was asked for by")
    nonce = claims.get("nonce")
    if not isinstance(nonce, str):
        raise CredentialRequestRefused("invalid_proof", "the proof has no nonce")
    try:
        check_nonce(nonce_key, nonce, now)
    except NonceInvalid as error:
        raise CredentialRequestRefused("invalid_nonce", "fetch a new c_nonce") from error
    return CredentialRequest(configuration_id, licence_id, holder_key=key, nonce=nonce)


def _json_object(body: bytes) -> Mapping[str, Any]:
    try:
        return json_object(body)
    except JsonMalformed as error:
        raise CredentialRequestRefused("invalid_credential_request", error.detail) from error


def _asked_for(request: Mapping[str, Any], grant: IssuanceGrant) -> tuple[str | None, str | None]:
    """Configuration id or licence id: whichever says more."""
    by_id, by_identifier = request.get("credential_configuration_id"), request.get("credential_identifier")
    if (by_id is None) == (by_identifier is None):
        raise CredentialRequestRefused(
            "invalid_credential_request", "exactly one of credential_configuration_id and credential_identifier"
        )
    asked = by_identifier if by_id is None else by_id
    if not isinstance(asked, str):
        raise CredentialRequestRefused("invalid_credential_request", "the id of what is asked for is a string")
    if by_id is None:
        if asked not in grant.credential_identifiers:
            raise CredentialRequestRefused("unknown_credential_identifier", "not an identifier given with this token")
        return None, grant.credential_identifiers[asked]
    if asked not in grant.configuration_ids:
        raise CredentialRequestRefused("unknown_credential_configuration", "not what this token is for")
    if grant.credential_identifiers:
        raise CredentialRequestRefused("invalid_credential_request", "ask by a credential_identifier of the token")
    return asked, grant.licence_id


def _single_proof(request: Mapping[str, Any]) -> object:
    proofs = request.get("proofs")
    if proofs is None:
        raise CredentialRequestRefused("invalid_proof", "proofs are missing")
    if not isinstance(proofs, dict) or len(proofs) != 1:
        raise CredentialRequestRefused("invalid_credential_request", "proofs holds exactly one proof type")
    jwts = proofs.get("jwt")
    if jwts is None:
        raise CredentialRequestRefused("invalid_proof", "only the proof type jwt is supported")
    if not isinstance(jwts, list) or not jwts:
        raise CredentialRequestRefused("invalid_credential_request", "proofs.jwt is a non-empty array")
    if len(jwts) > 1:
        raise CredentialRequestRefused("invalid_credential_request", "one key at a time: batches are not offered")
    return jwts[0]


def _verified_proof(compact: object) -> tuple[Mapping[str, Any], PublicJwk]:
    try:
        proof = SignedJwt.from_compact(compact, typ=PROOF_TYP)
        if {"kid", "x5c", "trust_chain"} & proof.header.keys():
            raise CredentialRequestRefused("invalid_proof", "the key is given as jwk, and by nothing else")
        key = PublicJwk.from_object(proof.header.get("jwk"))
        return proof.verified(key.public_key()), key
    except (JwtMalformed, JwtSignatureInvalid, KeyMalformed) as error:
        raise CredentialRequestRefused("invalid_proof", error.detail) from error


def _check_iat(iat: object, now: datetime) -> None:
    if isinstance(iat, bool) or not isinstance(iat, int | float):
        raise CredentialRequestRefused("invalid_proof", "iat is required")
    if not (now - PROOF_AGE - SKEW).timestamp() <= iat <= (now + SKEW).timestamp():
        raise CredentialRequestRefused("invalid_proof", "iat is outside the window")
