"""All network access of the SDK: a bounded GET and a bounded POST.

Only https, and http for this machine itself; never a redirect; the address is looked at before the connection
is made and then connected to, so that a second look-up cannot give another one; proxies of the environment are
ignored, because a proxy would resolve the name itself.
"""

import http.client
import ipaddress
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import SplitResult, urlsplit

from .errors import TrustError

CONNECT_TIMEOUT_S = 10  # a phone network's worst; also between two pieces of the body
TOTAL_TIMEOUT_S = 60  # 4 MiB at 70 kB/s; a server that drips cannot hold the program longer
_PIECE_BYTES = 1 << 16
_LOOPBACK_NAMES = ("localhost",)


@dataclass(frozen=True, slots=True)
class Document:
    """What a server answered.

    Attributes:
        body: None when it said that nothing has changed (304).
        date: The server's clock as its `Date` has it, None when it does not say. Nothing signs it.
    """

    body: bytes | None
    etag: str | None
    date: datetime | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered to a POST."""

    status: int
    content_type: str
    body: bytes


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port of a URL that may be fetched at all.

    Raises:
        TrustError: `url_not_allowed`: neither https nor http on this machine, or a user, fragment or odd
            character in it.
    """
    return _origin(_split(url))


def get(url: str, accept: str, max_bytes: int, *, etag: str | None = None, private_network: bool = False) -> Document:
    """GET one document.

    Args:
        url: https, or http on this machine.
        accept: The media type that is wanted; the answer must have exactly this one.
        max_bytes: More than this is refused.
        etag: Of the copy held, to be told that nothing has changed.
        private_network: Whether the host may have a private address, as in a government's own network.

    Raises:
        TrustError: `url_not_allowed`, `address_not_allowed`, `unreachable`, `http_status`, `redirect_refused`,
            `content_type_wrong`, `too_large`.
    """
    parts = _split(url)
    headers = {"Accept": accept} | ({"If-None-Match": etag} if etag is not None else {})
    with _exchange(parts, private_network, "GET", headers, None) as response:
        if response.status == 304 and etag is not None:
            return Document(None, etag, _date(response))
        _expect_answer(response, accept)
        return Document(_body(response, max_bytes), response.headers.get("ETag"), _date(response))


def post(
    url: str, content_type: str, body: bytes, max_bytes: int, bearer: str | None, *, private_network: bool = False
) -> Answer:
    """POST a body; the answer is given whatever its status, but for a redirect.

    Args:
        url: https, or http on this machine.
        content_type: Of the body.
        max_bytes: A longer answer is refused.
        bearer: The access token, None where none is needed.
        private_network: As for `get`.

    Raises:
        TrustError: `url_not_allowed`, `address_not_allowed`, `unreachable`, `redirect_refused`, `content_type_wrong`,
            `too_large`.
    """
    headers = {"Accept": "application/json, application/problem+json", "Content-Type": content_type}
    if bearer is not None:
        headers["Authorization"] = f"Bearer {bearer}"
    with _exchange(_split(url), private_network, "POST", headers, body) as response:
        if 300 <= response.status < 400:
            raise TrustError("redirect_refused", f"the server answered {response.status}")
        _expect_plain(response)
        return Answer(response.status, response.headers.get_content_type(), _body(response, max_bytes))


@contextmanager
def _exchange(
    parts: SplitResult, private_network: bool, method: str, headers: Mapping[str, str], body: bytes | None
) -> Iterator[http.client.HTTPResponse]:
    connection = _connect(parts, private_network)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    always = {"Accept-Encoding": "identity", "User-Agent": "liangzheng-verifier"}
    try:
        connection.request(method, target, body, {**always, **headers})
        with closing(connection.getresponse()) as response:
            yield response
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise TrustError("unreachable", f"{type(error).__name__} while fetching") from error
    finally:
        connection.close()


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise TrustError("url_not_allowed", "not a URL") from error
    if not url.isascii() or any(character <= " " or character in '\\"<>\x7f' for character in url):
        raise TrustError("url_not_allowed", "the URL has characters that do not belong there")
    if not parts.hostname or "@" in parts.netloc or parts.fragment or port == 0:
        raise TrustError("url_not_allowed", "the URL has no host, or a user or fragment")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_this_machine(parts.hostname)):
        raise TrustError("url_not_allowed", "neither https nor http on this machine")
    return parts


def _origin(parts: SplitResult) -> tuple[str, str, int]:
    return parts.scheme, str(parts.hostname), parts.port or (443 if parts.scheme == "https" else 80)


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host in _LOOPBACK_NAMES


def _connect(parts: SplitResult, private_network: bool) -> http.client.HTTPConnection:
    scheme, host, port = _origin(parts)
    address = _address(host, port, private_network)
    return (_PinnedHTTPS if scheme == "https" else _PinnedHTTP)(address, host, port)


def _address(host: str, port: int, private_network: bool) -> str:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise TrustError("unreachable", "the host's name does not resolve") from error
    addresses = [str(entry[4][0]) for entry in found]
    if _is_this_machine(host):
        allowed = all(_is_this_machine(address) for address in addresses)
    else:
        allowed = all(_is_outside(address, private_network) for address in addresses)
    if not allowed:
        raise TrustError("address_not_allowed", "the host's name resolves to an address that may not be asked")
    return addresses[0]


def _is_outside(address: str, private_network: bool) -> bool:
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    if ip.is_loopback or ip.is_link_local or ip.is_multicast or ip.is_unspecified or ip.is_reserved:
        return False
    return ip.is_global or (private_network and ip.is_private)


class _PinnedHTTP(http.client.HTTPConnection):
    """A connection to the address that was looked at."""

    def __init__(self, address: str, host: str, port: int) -> None:
        super().__init__(host, port, timeout=CONNECT_TIMEOUT_S)
        self._address = address

    def connect(self) -> None:
        self.sock = socket.create_connection((self._address, self.port), self.timeout)


class _PinnedHTTPS(_PinnedHTTP):
    """The same under TLS; the certificate must be for the host's name."""

    default_port = http.client.HTTPS_PORT

    def connect(self) -> None:
        super().connect()
        self.sock = ssl.create_default_context().wrap_socket(self.sock, server_hostname=self.host)


def _expect_answer(response: http.client.HTTPResponse, accept: str) -> None:
    if 300 <= response.status < 400:
        raise TrustError("redirect_refused", f"the server answered {response.status}")
    if response.status != 200:
        raise TrustError("http_status", f"the server answered {response.status}")
    if response.headers.get_content_type() != accept:
        raise TrustError("content_type_wrong", f"the server did not send {accept}")
    _expect_plain(response)


def _expect_plain(response: http.client.HTTPResponse) -> None:
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise TrustError("content_type_wrong", "the server sent a compressed body that was not asked for")


def _date(response: http.client.HTTPResponse) -> datetime | None:
    try:
        date = parsedate_to_datetime(response.headers.get("Date", ""))
    except (ValueError, OverflowError):
        return None
    return date if date.tzinfo is not None else date.replace(tzinfo=UTC)


def _body(response: http.client.HTTPResponse, max_bytes: int) -> bytes:
    deadline = time.monotonic() + TOTAL_TIMEOUT_S
    body = bytearray()
    while piece := response.read1(_PIECE_BYTES):
        body += piece
        if len(body) > max_bytes:
            raise TrustError("too_large", f"more than {max_bytes} bytes")
        if time.monotonic() > deadline:
            raise TrustError("unreachable", "the body took too long")
    return bytes(body)
