"""Metadata where the standards put it: inserted between host and path of the issuer's identifier."""

from typing import Any

from fastapi import APIRouter

from credentials.catalogue import LicenceType
from wallet_api.dependencies import AppPlatform
from wallet_api.oauth.metadata import authorization_server_metadata


def router(url_path: str) -> APIRouter:
    """The well-known routes of an issuer whose identifier has this path."""
    routes = APIRouter(tags=["wallets"])

    @routes.get(f"/.well-known/openid-credential-issuer{url_path}")
    async def credential_issuer_metadata(platform: AppPlatform) -> dict[str, Any]:
        """Credential Issuer Metadata (OpenID4VCI 1.0 §12.2)."""
        issuer = platform.settings.public_url
        return {
            "credential_issuer": issuer,
            "credential_endpoint": f"{issuer}/openid4vci/credential",
            "nonce_endpoint": f"{issuer}/openid4vci/nonce",
            "display": [{"name": "亮证", "locale": "zh-CN"}, {"name": "Liangzheng", "locale": "en"}],
            "credential_configurations_supported": {
                kind.code: _configuration(kind, issuer) for kind in platform.catalogue.types()
            },
        }

    @routes.get(f"/.well-known/oauth-authorization-server{url_path}")
    async def oauth_metadata(platform: AppPlatform) -> dict[str, Any]:
        """Authorization Server Metadata (RFC 8414 §2)."""
        codes = [kind.code for kind in platform.catalogue.types()]
        return authorization_server_metadata(platform.oauth, codes, signs_in=platform.settings.signs_in)

    return routes


def _configuration(kind: LicenceType, issuer: str) -> dict[str, Any]:
    claims = [(claim.name, claim.label) for claim in kind.common_claims] + [(i.name, i.label) for i in kind.items]
    return {
        "format": "dc+sd-jwt",
        "vct": kind.vct(issuer),
        "scope": kind.code,
        "cryptographic_binding_methods_supported": ["jwk"],
        "credential_signing_alg_values_supported": ["ES256"],
        "proof_types_supported": {"jwt": {"proof_signing_alg_values_supported": ["ES256"]}},
        "credential_metadata": {
            "display": [
                {
                    "name": name,
                    "locale": locale,
                    "background_color": kind.face.background_color,
                    "text_color": kind.face.text_color,
                }
                for name, locale in ((kind.name.zh, "zh-CN"), (kind.name.en, "en"))
            ],
            "claims": [
                {
                    "path": [name],
                    "display": [{"name": label.zh, "locale": "zh-CN"}, {"name": label.en, "locale": "en"}],
                }
                for name, label in claims
            ],
        },
    }
