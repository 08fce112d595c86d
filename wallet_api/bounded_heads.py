"""HTTP/1.1 whose request heads are bounded: the server's own parser keeps as much as a caller cares to send."""

from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES = 2**18  # three JWTs of 64 KiB: DPoP, a wallet's attestation and its proof of possession; and the rest
TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class BoundedHeads(HttpToolsProtocol):
    """Ends a connection whose request line and header fields come to no end within the limit (RFC 6585 §5)."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_bytes: int | None = 0  # of the request whose head is being read; None: it has been read

    def data_received(self, data: bytes) -> None:
        """Take what arrived; at most one piece more than the limit is ever kept."""
        if self._head_bytes is not None:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._head_bytes is not None and self._head_bytes > MAX_HEAD_BYTES:
            self.transport.write(TOO_LARGE)
            self.transport.close()

    def on_headers_complete(self) -> None:
        """The head has been read."""
        self._head_bytes = None
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """What follows is the next request's head."""
        super().on_message_complete()
        self._head_bytes = 0
