"""JWTs that clients sign: key proofs, DPoP proofs, client assertions."""

import base64
import hashlib
import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from jwcrypto.jwk import JWK
from jwcrypto.jwt import JWT

Json = Mapping[str, Any]


def signed(key: JWK, typ: str, claims: Json, *, with_jwk: bool = False) -> str:
    """A compact ES256 JWT; with the public key in the header where the receiver learns it from there."""
    header: dict[str, Any] = {"alg": "ES256", "typ": typ}
    if with_jwk:
        header["jwk"] = key.export_public(as_dict=True)
    token = JWT(header=header, claims=dict(claims))
    token.make_signed_token(key)
    return str(token.serialize())


def dpop_proof(
    key: JWK, method: str, url: str, now: datetime, access_token: str | None = None, nonce: str | None = None
) -> str:
    """A DPoP proof (RFC 9449 §4.2), bound to the access token and the server's nonce when there is one."""
    claims: dict[str, Any] = {
        "jti": secrets.token_urlsafe(16),
        "htm": method,
        "htu": url,
        "iat": int(now.timestamp()),
    }
    if nonce is not None:
        claims["nonce"] = nonce
    if access_token is not None:
        digest = hashlib.sha256(access_token.encode()).digest()
        claims["ath"] = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    return signed(key, "dpop+jwt", claims, with_jwk=True)
