"""Wallets that run in browsers call our public endpoints from pages of their own (CORS)."""

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

PREFLIGHT_MAX_AGE_S = 600
EXPOSED = ("DPoP-Nonce", "OAuth-Client-Attestation-Challenge", "WWW-Authenticate")
_OPEN = ("/oauth/token", "/oauth/par", "/oauth/challenge", "/openid4vci/", "/api/v1/me/", "/api/v1/push-")


class CrossOrigin:
    """Opens to every origin what is guarded by tokens and proofs alone. Sign-in has a cookie and stays closed."""

    def __init__(self, app: ASGIApp, url_path: str) -> None:
        self._app = app
        self._open = ("/.well-known/", *(f"{url_path}{path}" for path in _OPEN))
        self._cors = CORSMiddleware(
            app,
            allow_origins=["*"],
            allow_methods=["GET", "POST", "PUT", "DELETE"],  # messages and devices go, settings are put
            allow_headers=["*"],
            expose_headers=EXPOSED,
            max_age=PREFLIGHT_MAX_AGE_S,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        is_open = scope["type"] == "http" and scope["path"].startswith(self._open)
        await (self._cors if is_open else self._app)(scope, receive, send)
