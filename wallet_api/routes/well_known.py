"""Metadata where the standards put it: inserted between host and path of the issuer's identifier."""

import re
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from credentials.issuance import issuer_metadata, signed_issuer_metadata
from credentials.keys import KeyPurpose
from wallet_api.dependencies import AppPlatform
from wallet_api.oauth.metadata import authorization_server_metadata

METADATA_HEADERS = {"Vary": "Accept", "Cache-Control": "public, max-age=300", "Access-Control-Allow-Origin": "*"}
_QUALITY = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?")


def router(url_path: str) -> APIRouter:
    """The well-known routes of an issuer whose identifier has this path."""
    routes = APIRouter(tags=["wallets"])

    @routes.get(f"/.well-known/openid-credential-issuer{url_path}")
    async def credential_issuer_metadata(request: Request, platform: AppPlatform) -> Response:
        """Credential Issuer Metadata (OpenID4VCI 1.0 §12.2): JSON, or signed on `Accept: application/jwt`."""
        issuer, policy = platform.settings.public_url, platform.settings.key_attestation_required
        request_jwk = await platform.request_keys.public_jwk(platform.database)
        metadata = issuer_metadata(platform.catalogue, issuer, request_jwk, attestations_required=policy)
        if not _prefers_jwt(request.headers.get("Accept", "")):
            return JSONResponse(metadata, headers=METADATA_HEADERS)
        signer = platform.key_ring.signer(KeyPurpose.METADATA)
        signed = signed_issuer_metadata(metadata, signer, platform.clock.now())
        return Response(signed, headers=METADATA_HEADERS, media_type="application/jwt")

    @routes.get(f"/.well-known/oauth-authorization-server{url_path}")
    async def oauth_metadata(platform: AppPlatform) -> dict[str, Any]:
        """Authorization Server Metadata (RFC 8414 §2)."""
        codes = [kind.code for kind in platform.catalogue.types()]
        return authorization_server_metadata(platform.oauth, codes, signs_in=platform.settings.signs_in)

    return routes


def _prefers_jwt(accept: str) -> bool:
    """Whether `application/jwt` is named and nowhere behind JSON (RFC 9110 §12.5.1); else it is JSON (§12.2.2)."""
    quality = {}
    for part in accept.split(","):
        media_type, *parameters = (piece.strip().lower() for piece in part.split(";"))
        given = next((value[2:] for value in parameters if value.startswith("q=")), "1")
        quality[media_type] = float(given) if _QUALITY.fullmatch(given) else 0.0
    return quality.get("application/jwt", 0.0) > 0 and quality["application/jwt"] >= quality.get("application/json", 0)
