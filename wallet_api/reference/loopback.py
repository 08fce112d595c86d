"""How an app on a desktop receives an authorization response: on this machine's own address (RFC 8252 §7.3)."""

import secrets
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl, urlsplit

_PAGE = "<!doctype html><meta charset=utf-8><p>可以关闭本页，回到终端。 You may close this page now.</p>"


class Loopback:
    """Listens for one response.

    with Loopback() as loopback:
        open_browser(url_with(loopback.redirect_uri))
        answer = loopback.wait()
    """

    def __init__(self) -> None:
        self._path = f"/{secrets.token_hex(8)}"
        self._answer: dict[str, str] | None = None
        loopback = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                if parts.path != loopback._path:
                    self.send_error(404)
                    return
                loopback._answer = dict(parse_qsl(parts.query))
                self.send_response(200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.end_headers()
                self.wfile.write(_PAGE.encode())

            def log_message(self, format: str, *args: object) -> None:
                """Codes have no place in a log."""

        self._server = HTTPServer(("127.0.0.1", 0), Handler)

    @property
    def redirect_uri(self) -> str:
        """Where the response is to be sent; its path is this sign-in's own."""
        return f"http://127.0.0.1:{self._server.server_port}{self._path}"

    def wait(self) -> dict[str, str]:
        """The parameters of the response; what comes to other paths is answered 404."""
        while self._answer is None:
            self._server.handle_request()
        return self._answer

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.server_close()
