"""Client authentication with `private_key_jwt` (RFC 7523 §3, OpenID Connect Core §9)."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeGuard

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncSession

from credentials.keys.formats.jwk import KeyMalformed, PublicJwk
from credentials.keys.formats.signed_jwt import JwtMalformed, JwtSignatureInvalid, SignedJwt
from wallet_api.oauth import repository
from wallet_api.oauth.client_ids import CLIENT_ID
from wallet_api.oauth.errors import OAuthError
from wallet_api.oauth.one_time import OneTimeValues

ASSERTION_LIFETIME = timedelta(minutes=5)
SKEW = timedelta(seconds=60)
CLIENT_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


async def authenticated_client(
    session: AsyncSession,
    one_time: OneTimeValues,
    form: Mapping[str, str],
    *,
    audiences: Collection[str],
    now: datetime,
) -> Row[Any]:
    """The registered client whose assertion a request carries; its `jti` is burned.

    Args:
        audiences: what `aud` may be.

    Raises:
        OAuthError: `invalid_client`.
    """
    if form.get("client_assertion_type") != CLIENT_ASSERTION_TYPE:
        raise OAuthError("invalid_client", "authenticate with private_key_jwt")
    try:
        assertion = SignedJwt.from_compact(form.get("client_assertion"), typ=None)
    except JwtMalformed as error:
        raise OAuthError("invalid_client", error.detail) from error
    unverified_id = assertion.unverified_claims.get("sub")
    if not isinstance(unverified_id, str) or not CLIENT_ID.fullmatch(unverified_id):
        raise OAuthError("invalid_client", "sub of the assertion is not a client id")
    client = await repository.active_client(session, unverified_id)
    if client is None or form.get("client_id", unverified_id) != unverified_id:
        raise OAuthError("invalid_client", "the client is unknown or suspended")
    claims = _verified_by_any(assertion, client.jwks)
    audience = claims.get("aud")
    if claims.get("iss") != client.client_id or not isinstance(audience, str) or audience not in audiences:
        raise OAuthError("invalid_client", "iss or aud of the assertion is wrong")
    _check_times(claims, now)
    jti = claims.get("jti")
    if not isinstance(jti, str) or not jti:
        raise OAuthError("invalid_client", "jti of the assertion is missing")
    memory = now + ASSERTION_LIFETIME + 3 * SKEW
    if not await one_time.burn(session, "client_assertion", f"{client.client_id}:{jti}", memory):
        raise OAuthError("invalid_client", "this assertion was used before")
    return client


def _verified_by_any(assertion: SignedJwt, jwks: Sequence[object]) -> Mapping[str, object]:
    """The claims under one of the client's registered keys."""
    for jwk in jwks:
        try:
            return assertion.verified(PublicJwk.from_object(jwk).public_key())
        except (JwtSignatureInvalid, KeyMalformed):
            continue
    raise OAuthError("invalid_client", "no registered key verifies the assertion")


def _check_times(claims: Mapping[str, object], now: datetime) -> None:
    """`exp` is required and near, `nbf` is optional (RFC 7523 §3, items 4 and 5)."""
    expires_s, starts_s = claims.get("exp"), claims.get("nbf", 0)
    if not _is_number(expires_s) or not _is_number(starts_s):
        raise OAuthError("invalid_client", "exp of the assertion is missing, or nbf is no number")
    if not now.timestamp() < expires_s + SKEW.seconds <= (now + ASSERTION_LIFETIME + 2 * SKEW).timestamp():
        raise OAuthError("invalid_client", "the assertion is over, or good for longer than five minutes")
    if starts_s > (now + SKEW).timestamp():
        raise OAuthError("invalid_client", "the assertion is not good yet")


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
