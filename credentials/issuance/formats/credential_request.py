"""Credential requests and deferred credential requests as JSON (OpenID4VCI 1.0 §8.2, §9.1)."""

from collections.abc import Mapping
from typing import Any

from credentials.issuance.errors import CredentialRequestRefused
from credentials.issuance.formats.key_proofs import ProofReader
from credentials.issuance.formats.message_encryption import ResponseEncryption
from credentials.issuance.models import CredentialRequest, DeferredRequest, IssuanceGrant
from credentials.keys.formats.signed_jwt import JsonMalformed, json_object

MAX_TRANSACTION_ID_CHARS = 64  # ours have 43


def read_credential_request(
    body: bytes, *, encrypted: bool, grant: IssuanceGrant, proofs: ProofReader
) -> CredentialRequest:
    """Check a credential request and its proofs.

    Args:
        body: the JSON, deciphered when it came `encrypted`.
        grant: what the access token is good for.

    Raises:
        CredentialRequestRefused: with the error code of §8.3.1.2. The nonce is not burned here.
    """
    request = _json_object(body)
    configuration_id, licence_id = _asked_for(request, grant)
    encryption = _response_encryption(request, encrypted=encrypted)
    return CredentialRequest(configuration_id, licence_id, proofs.read(request.get("proofs")), encryption)


def read_deferred_request(body: bytes, *, encrypted: bool) -> DeferredRequest:
    """Check a deferred credential request; its encryption parameters count, not those of the first request.

    Raises:
        CredentialRequestRefused: `invalid_credential_request`, `invalid_transaction_id` or
            `invalid_encryption_parameters`.
    """
    request = _json_object(body)
    transaction_id = request.get("transaction_id")
    if not isinstance(transaction_id, str):
        raise CredentialRequestRefused("invalid_credential_request", "transaction_id is required")
    encryption = _response_encryption(request, encrypted=encrypted)
    if len(transaction_id) > MAX_TRANSACTION_ID_CHARS or not transaction_id.isascii():
        raise CredentialRequestRefused("invalid_transaction_id", "there is no such transaction, or it is over")
    return DeferredRequest(transaction_id, encryption)


def _json_object(body: bytes) -> Mapping[str, Any]:
    try:
        return json_object(body)
    except JsonMalformed as error:
        raise CredentialRequestRefused("invalid_credential_request", error.detail) from error


def _response_encryption(request: Mapping[str, Any], *, encrypted: bool) -> ResponseEncryption | None:
    if "credential_response_encryption" not in request:
        return None
    encryption = ResponseEncryption.from_object(request["credential_response_encryption"])
    if not encrypted:  # §8.2: else whoever sits in between puts a key of their own
        raise CredentialRequestRefused("invalid_encryption_parameters", "encrypt a request for an encrypted response")
    return encryption


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
