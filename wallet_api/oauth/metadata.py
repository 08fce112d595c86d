"""Authorization Server Metadata (RFC 8414 §2 and what RFC 9126, 9207, 9396, 9449 and OpenID4VCI 1.0 §12.3 add)."""

from collections.abc import Iterable
from typing import Any

from wallet_api.oauth.models import INBOX_SCOPE
from wallet_api.oauth.service import (
    DEPARTMENT_SCOPE,
    GRANT_TYPES,
    OPERATOR_SCOPE,
    REGISTER_SCOPE,
    VERIFIER_SCOPE,
    AuthorizationServer,
)


def authorization_server_metadata(
    server: AuthorizationServer, configuration_ids: Iterable[str], *, signs_in: bool
) -> dict[str, Any]:
    """The metadata document.

    Args:
        configuration_ids: scope values for credentials.
        signs_in: whether holders can sign in here; if not, wallets get credentials by pre-authorized code only.
    """
    issuer, policy = server.issuer, server.policy
    attests, anonymous = bool(policy.attesters), not policy.attestation_required
    metadata: dict[str, Any] = {
        "issuer": issuer,
        "token_endpoint": server.token_endpoint,
        "grant_types_supported": [kind for kind in GRANT_TYPES if signs_in or kind != "authorization_code"],
        "response_types_supported": ["code"] if signs_in else [],
        "scopes_supported": [
            *configuration_ids,
            *([INBOX_SCOPE] if signs_in else []),
            DEPARTMENT_SCOPE,
            VERIFIER_SCOPE,
            OPERATOR_SCOPE,
            REGISTER_SCOPE,
        ],
        "token_endpoint_auth_methods_supported": [
            *(["none"] if anonymous else []),
            *(["attest_jwt_client_auth"] if attests else []),
            "private_key_jwt",
        ],
        "token_endpoint_auth_signing_alg_values_supported": ["ES256"],
        "dpop_signing_alg_values_supported": ["ES256"],
        "authorization_details_types_supported": ["openid_credential"],
        "pre-authorized_grant_anonymous_access_supported": anonymous,
        "status_list_aggregation_endpoint": f"{issuer}/s",
    }
    if signs_in:
        metadata |= {
            "authorization_endpoint": f"{issuer}/oauth/authorize",
            "pushed_authorization_request_endpoint": server.par_endpoint,
            "require_pushed_authorization_requests": True,
            "response_modes_supported": ["query"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
            "ui_locales_supported": ["zh-CN", "en"],
        }
    if attests:
        metadata |= {
            "challenge_endpoint": f"{issuer}/oauth/challenge",
            "client_attestation_signing_alg_values_supported": ["ES256"],
            "client_attestation_pop_signing_alg_values_supported": ["ES256"],
        }
    return metadata
