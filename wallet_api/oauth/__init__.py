"""The authorization server (RFC 6749, RFC 7523, RFC 9449, OpenID4VCI 1.0 §6)."""

from wallet_api.oauth.errors import AccessRefused, OAuthError
from wallet_api.oauth.models import Access
from wallet_api.oauth.one_time import OneTimeValues
from wallet_api.oauth.service import DEPARTMENT_SCOPE, GRANT_TYPES, VERIFIER_SCOPE, AuthorizationServer

__all__ = [
    "DEPARTMENT_SCOPE",
    "GRANT_TYPES",
    "VERIFIER_SCOPE",
    "Access",
    "AccessRefused",
    "AuthorizationServer",
    "OAuthError",
    "OneTimeValues",
]
