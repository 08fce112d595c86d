"""Fresh nonces on every answer to a request that uses them, whatever answers it (RFC 9449 §8.2, draft-10 §9.2)."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from wallet_api.oauth.service import AuthorizationServer

DPOP_NONCE = "DPoP-Nonce"
CHALLENGE = "OAuth-Client-Attestation-Challenge"


class FreshNonces:
    """Plain ASGI middleware.

    Args:
        nonce_path: where wallets fetch a c_nonce; they get their first DPoP nonce there (OpenID4VCI 1.0 §7.2).
    """

    def __init__(self, app: ASGIApp, server: AuthorizationServer, nonce_path: str) -> None:
        self._app = app
        self._server = server
        self._nonce_path = nonce_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; what it has no use for is not made."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        names = {name for name, _ in scope["headers"]}

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if b"dpop" in names or scope["path"] == self._nonce_path:
                    headers[DPOP_NONCE] = self._server.dpop_nonces.make()
                if b"oauth-client-attestation" in names:
                    headers[CHALLENGE] = self._server.challenges.make()
            await send(message)

        await self._app(scope, receive, answer)
