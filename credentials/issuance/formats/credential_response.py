"""Credential responses, immediate and deferred (OpenID4VCI 1.0 §8.3, §9.2)."""

from credentials.issuance.models import CredentialResponse

DEFERRED_INTERVAL_S = 60  # a clerk takes minutes or days; a wallet that asks every minute costs little


def response_object(response: CredentialResponse) -> dict[str, object]:
    """The response as JSON."""
    if response.transaction_id is not None:
        return {"transaction_id": response.transaction_id, "interval": DEFERRED_INTERVAL_S}
    return {
        "credentials": [{"credential": credential} for credential in response.credentials],
        "notification_id": response.notification_id,
    }
