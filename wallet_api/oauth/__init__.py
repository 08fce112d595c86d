"""The authorization server (RFC 6749, 7523, 7636, 9126, 9207, 9396, 9449, OpenID4VCI 1.0 §5 and §6)."""

from wallet_api.oauth.errors import AccessRefused, OAuthError, SignInRefused
from wallet_api.oauth.models import Access, ClientHeaders
from wallet_api.oauth.one_time import OneTimeValues
from wallet_api.oauth.service import (
    DEPARTMENT_SCOPE,
    OPERATOR_SCOPE,
    REGISTER_SCOPE,
    VERIFIER_SCOPE,
    AuthorizationServer,
)
from wallet_api.oauth.sign_in import SignIns

__all__ = [
    "DEPARTMENT_SCOPE",
    "OPERATOR_SCOPE",
    "REGISTER_SCOPE",
    "VERIFIER_SCOPE",
    "Access",
    "AccessRefused",
    "AuthorizationServer",
    "ClientHeaders",
    "OAuthError",
    "OneTimeValues",
    "SignInRefused",
    "SignIns",
]
