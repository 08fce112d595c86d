"""Providers' HTTP servers on this machine: what all of them have in common."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TypeVar


class HttpFarEnd(ThreadingHTTPServer):
    """A server on a free port, with room for a batch that comes all at once."""

    request_queue_size = 600

    def __init__(self, handler: type["Answering"]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.over = threading.Event()  # set at the end: whoever keeps a client waiting lets go

    @property
    def url(self) -> str:
        """Without a path."""
        return f"http://127.0.0.1:{self.server_port}"

    def leave(self) -> None:
        """Be gone: from now on connections are refused."""
        self.shutdown()
        self.socket.close()


class Answering(BaseHTTPRequestHandler):
    """Reads requests and answers them."""

    def body(self) -> bytes:
        """The request's."""
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def answer(self, status: int, headers: Mapping[str, str], body: bytes = b"") -> None:
        """Answer with this and nothing else."""
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Stay silent."""


_Server = TypeVar("_Server", bound=HttpFarEnd)


@contextmanager
def serving(server: _Server) -> Iterator[_Server]:
    """Let it answer, in a thread of its own."""
    with server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:  # also when a test fails: the thread would keep the run from ending
            server.over.set()
            server.shutdown()
            thread.join()
