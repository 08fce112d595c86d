"""The platform's web server: what stands at which path, and a log of who asked for what."""

import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.verifier_sdk.issuer import NOW, Issuer, to_json

TRUST_LIST, AGGREGATION, STATUS = "/api/v1/trust-list", "/api/v1/status-lists", "/s/1"


@dataclass
class Answer:
    body: bytes
    content_type: str
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


Taker = Callable[[bytes, str | None], "Answer | None"]


@dataclass
class Server:
    """`answers` (GET) and `takers` (POST) by path may be changed while it runs; `asked` lists the paths in order.

    A taker gets the body and the `Authorization` header. None for an answer breaks the connection off.
    """

    base: str
    issuer: Issuer
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    now: datetime = NOW
    takers: dict[str, Taker] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return self.base + TRUST_LIST

    @property
    def status_uri(self) -> str:
        return self.base + STATUS

    def trust_list(self, **changes: Any) -> str:
        defaults = {"iss": self.base, "status_list_aggregation_uri": self.base + AGGREGATION}
        return self.issuer.trust_list(**{**defaults, **changes})

    def status_list(self, statuses: Mapping[int, int] | None = None, **changes: Any) -> str:
        return self.issuer.status_list(statuses, **{"sub": self.status_uri, **changes})

    def offer_trust_list(self, text: str, **more: Any) -> None:
        self.answers[TRUST_LIST] = Answer(text.encode(), **{"content_type": "application/jwt", **more})

    def offer_status_list(self, text: str, path: str = STATUS, **more: Any) -> None:
        self.answers[path] = Answer(text.encode(), **{"content_type": "application/statuslist+jwt", **more})

    def offer_aggregation(self, value: object, **more: Any) -> None:
        body = value if isinstance(value, bytes) else to_json(value)
        self.answers[AGGREGATION] = Answer(body, **{"content_type": "application/json", **more})

    def offer_all(self) -> None:
        self.offer_trust_list(self.trust_list())
        self.offer_aggregation({"status_lists": [self.status_uri]})
        self.offer_status_list(self.status_list())


@contextmanager
def serve(issuer: Issuer, tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    """Serve on this machine, with a complete set of documents."""
    http = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    if tls is not None:
        http.socket = tls.wrap_socket(http.socket, server_side=True)
    host = f"https://localhost:{http.server_port}" if tls else f"http://127.0.0.1:{http.server_port}"
    server = Server(host, issuer)
    server.offer_all()
    http.served = server  # type: ignore[attr-defined]
    thread = threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        thread.join()
        http.server_close()


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        served: Server = self.server.served  # type: ignore[attr-defined]
        served.asked.append(self.path)
        self._answer(served.answers.get(self.path, Answer(b"", "text/plain", 404)))

    def do_POST(self) -> None:
        served: Server = self.server.served  # type: ignore[attr-defined]
        served.asked.append(self.path)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        take = served.takers.get(self.path, lambda body, authorization: Answer(b"", "text/plain", 404))
        answer = take(body, self.headers.get("Authorization"))
        if answer is not None:
            self._answer(answer)

    def _answer(self, answer: Answer) -> None:
        etag = answer.headers.get("ETag")
        if etag is not None and self.headers.get("If-None-Match") == etag:
            answer = Answer(b"", answer.content_type, 304)
        self.send_response(answer.status)
        if answer.status != 304:
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(len(answer.body)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)

    def date_time_string(self, timestamp: int | None = None) -> str:
        served: Server = self.server.served  # type: ignore[attr-defined]
        return format_datetime(served.now, usegmt=True)

    def log_message(self, *_: object) -> None:
        """Tests are quiet."""
