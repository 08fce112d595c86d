"""What every answer gets: a request id, security headers, and one log line without personal data."""

import re
import secrets
import time
from collections.abc import Mapping

import structlog
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from wallet_api.edge import Metrics, Usage

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_log = structlog.get_logger()


class RequestContext:
    """Plain ASGI middleware: `BaseHTTPMiddleware` costs more than a whole request."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request under an id, given by the caller when it is harmless, else made here."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        given = dict(scope["headers"]).get(b"x-request-id", b"")
        request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8).encode()
        structlog.contextvars.bind_contextvars(request_id=request_id.decode())
        started = time.perf_counter()
        status = 500
        method = scope["method"]
        ended = False
        if method == "HEAD":  # GET without the body (RFC 9110 §9.3.2), for every route at once
            scope = {**scope, "method": "GET", "asked_method": method}

        async def answer(message: Message) -> None:
            nonlocal status, ended
            if message["type"] == "http.response.start":
                status = message["status"]
                usage: Usage | None = scope.get("rate_usage")
                message["headers"] = [
                    *message["headers"],
                    (b"x-request-id", request_id),
                    (b"x-content-type-options", b"nosniff"),
                    (b"referrer-policy", b"no-referrer"),
                    *(usage.header_fields if usage else ()),
                ]
            elif method == "HEAD":  # a stream would go on for long, and nothing is said in it
                if ended:
                    return
                message, ended = {"type": "http.response.body", "body": b"", "more_body": False}, True
            await send(message)

        try:
            await self._app(scope, receive, answer)
        finally:
            route = getattr(scope.get("route"), "path", "unmatched")  # the template: paths may hold references
            took_s = time.perf_counter() - started
            self._metrics.request(method, route, status, took_s)
            _log.info("request", method=method, route=route, status=status, took_ms=round(took_s * 1000, 1))
            structlog.contextvars.unbind_contextvars("request_id")


class BodyLimit:
    """Ends a request whose body is larger than its path takes, as a problem document.

    The framework's own limit answers in plain text, and in the place of whatever was answered before the body was read.

    Args:
        usual: bytes.
        larger: path → bytes.
    """

    def __init__(self, app: ASGIApp, usual: int, larger: Mapping[str, int]) -> None:
        self._app = app
        self._usual = usual
        self._larger = larger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; what is declared too large is not read at all."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._larger.get(scope["path"], self._usual)
        declared = dict(scope["headers"]).get(b"content-length", b"")
        too_large = declared.isdigit() and (len(declared) > 18 or int(declared) > limit)
        arrived = 0

        async def limited() -> Message:
            nonlocal arrived, too_large
            if not too_large:
                message = await receive()
                arrived += len(message.get("body", b""))
                too_large = arrived > limit
            if too_large:
                raise HTTPException(413, f"at most {limit} bytes are taken here")
            return message

        await self._app(scope, limited, send)
