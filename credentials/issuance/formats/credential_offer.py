"""Credential offers (OpenID4VCI 1.0 §4.1)."""

from credentials.issuance.models import CredentialOffer

PRE_AUTHORIZED_CODE = "urn:ietf:params:oauth:grant-type:pre-authorized_code"
AUTHORIZATION_CODE = "authorization_code"
TX_CODE_LENGTH = 6


def offer_object(offer: CredentialOffer, issuer: str) -> dict[str, object]:
    """The credential offer as a wallet fetches it (§4.1.1)."""
    grants: dict[str, object] = {}
    if offer.issuer_state is not None:
        grants[AUTHORIZATION_CODE] = {"issuer_state": offer.issuer_state}
    if offer.pre_authorized_code is not None:
        grant: dict[str, object] = {"pre-authorized_code": offer.pre_authorized_code}
        if offer.asks_tx_code:
            grant["tx_code"] = {"input_mode": "numeric", "length": TX_CODE_LENGTH}
        grants[PRE_AUTHORIZED_CODE] = grant
    return {
        "credential_issuer": issuer,
        "credential_configuration_ids": [offer.configuration_id],
        "grants": grants,
    }
