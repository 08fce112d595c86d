"""Synchronisation: the order of fetching, checking and keeping. What is kept was verified first."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from . import _fetch, _json, _status_list, _trust_list
from ._cache import Cache, HeldToken, HeldTrustList
from ._fault import told_as
from ._trust_list import TrustList, instant
from .errors import TrustError
from .models import Outcome, SyncItem, SyncReport

MAX_STATUS_LISTS = 4096  # of 2^20 entries each: more than four billion licences
MAX_AGGREGATION_BYTES = 1 << 20  # 4096 URIs of 250 characters
MAX_UNREACHABLE = 2  # in a row; then the network is gone and each further try would only cost its time-out
_STATUS_FORM = "status_list_malformed"

StatusFormat = Literal["jwt", "cwt"]


class Synchronisation:
    """One run, at one reading of the clock."""

    def __init__(
        self,
        cache: Cache,
        anchors: tuple[x509.Certificate, ...],
        url: str,
        private_network: bool,
        status_format: StatusFormat,
        now: datetime,
    ) -> None:
        self._cache = cache
        self._anchors = anchors
        self._url = url
        self._private_network = private_network
        self._status_format = status_format
        self._now = now
        self._clock_ahead: timedelta | None = None

    def run(self) -> SyncReport:
        """Fetch everything. Raises only `sqlite3.Error`; what is wrong with a document is in the report."""
        try:
            trust_list, outcome = self._trust_list()
        except TrustError as error:
            return SyncReport(self._failed(self._url, error), None, (), self._clock_ahead)
        done = SyncItem(self._url, outcome, self._age(trust_list.iat))
        try:
            uris = self._aggregation(trust_list)
        except TrustError as error:
            aggregation = self._failed(trust_list.status_list_aggregation_uri, error)
            return SyncReport(done, aggregation, (), self._clock_ahead)
        report = SyncReport(
            trust_list=done,
            aggregation=SyncItem(trust_list.status_list_aggregation_uri, Outcome.REFRESHED),
            status_lists=tuple(self._status_lists(uris, trust_list)),
            clock_ahead=self._clock_ahead,
        )
        self._forget(uris, trust_list)
        return report

    def status_list(self, uri: str, trust_list: TrustList) -> SyncItem:
        """Fetch, check and keep one status list."""
        try:
            status_list, outcome = self._status_list(uri, trust_list)
        except TrustError as error:
            return self._failed(uri, error)
        return SyncItem(uri, outcome, self._age(status_list.iat))

    def _trust_list(self) -> tuple[TrustList, Outcome]:
        anchors = sorted(anchor.public_bytes(Encoding.DER) for anchor in self._anchors)
        held = self._cache.trust_list() if self._cache.anchors() == anchors else None
        document = self._get(self._url, "application/jwt", _trust_list.MAX_TRUST_LIST_BYTES, held)
        if document.date is not None:
            self._clock_ahead = self._now - document.date
        token = _text(document, held, "trust_list_malformed")
        trust_list, path = _trust_list.read(token, self._anchors)
        _trust_list.expect_now(trust_list, path, self._now)
        new = HeldTrustList(
            url=self._url,
            token=token,
            etag=document.etag,
            iss=trust_list.iss,
            sequence=trust_list.sequence,
            iat=trust_list.iat,
            content_sha256=trust_list.content_sha256,
        )
        stored = self._cache.store_trust_list(new, anchors, lambda held: _supersedes(new, held))
        return trust_list, Outcome.REFRESHED if stored else Outcome.UNCHANGED

    def _aggregation(self, trust_list: TrustList) -> list[str]:
        uri = trust_list.status_list_aggregation_uri
        document = self._get_here(uri, "application/json", MAX_AGGREGATION_BYTES, None)
        with told_as(TrustError, {"form": "aggregation_malformed"}):
            listed = _json.as_array(_json.loads_object(document.body or b"").get("status_lists"))
            uris = list(dict.fromkeys(_json.as_text(uri) for uri in listed))
        if len(uris) > MAX_STATUS_LISTS:
            raise TrustError("aggregation_malformed", f"more than {MAX_STATUS_LISTS} status lists")
        return uris

    def _status_lists(self, uris: Iterable[str], trust_list: TrustList) -> Iterable[SyncItem]:
        unreachable = 0
        for uri in uris:
            if unreachable >= MAX_UNREACHABLE:
                yield SyncItem(
                    uri, Outcome.FAILED, self._held_age(uri), "unreachable", "not tried: the network is gone"
                )
                continue
            item = self.status_list(uri, trust_list)
            unreachable = unreachable + 1 if item.code == "unreachable" else 0
            yield item

    def _status_list(self, uri: str, trust_list: TrustList) -> tuple[_status_list.StatusList, Outcome]:
        held = self._cache.status_list(uri)
        if held is not None and isinstance(held.token, bytes) != (self._status_format == "cwt"):
            held = None  # its ETag is that of the other form
        document = self._get_here(
            uri, f"application/statuslist+{self._status_format}", _status_list.MAX_TOKEN_BYTES, held
        )
        token = _token(document, held) if self._status_format == "cwt" else _text(document, held, _STATUS_FORM)
        status_list = _status_list.read(token, uri, trust_list)
        _status_list.expect_now(status_list, self._now)
        new = HeldToken(uri, token, document.etag, status_list.iat)
        stored = self._cache.store_status_list(new, lambda held: _replaces(new, held))
        return status_list, Outcome.REFRESHED if stored else Outcome.UNCHANGED

    def _forget(self, listed: Iterable[str], trust_list: TrustList) -> None:
        """Drop the status lists that are neither listed any more nor of any use."""
        for uri in set(self._cache.status_list_uris()) - set(listed):
            held = self._cache.status_list(uri)
            try:
                if held is not None:
                    _status_list.expect_now(_status_list.read(held.token, uri, trust_list), self._now)
            except TrustError:
                self._cache.drop_status_list(uri)

    def _get(self, url: str, accept: str, max_bytes: int, held: HeldTrustList | HeldToken | None) -> _fetch.Document:
        etag = held.etag if held else None
        return _fetch.get(url, accept, max_bytes, etag=etag, private_network=self._private_network)

    def _get_here(self, url: str, accept: str, max_bytes: int, held: HeldToken | None) -> _fetch.Document:
        if _fetch.origin(url) != _fetch.origin(self._url):
            raise TrustError("host_not_allowed", "named by a document, but not on the host of the trust list")
        return self._get(url, accept, max_bytes, held)

    def _failed(self, uri: str, error: TrustError) -> SyncItem:
        return SyncItem(uri, Outcome.FAILED, self._held_age(uri), error.code, error.detail)

    def _held_age(self, uri: str) -> timedelta | None:
        held = self._cache.trust_list() if uri == self._url else self._cache.status_list(uri)
        return self._age(held.iat) if held else None

    def _age(self, iat: int) -> timedelta:
        return self._now - instant(iat)


def _token(document: _fetch.Document, held: HeldTrustList | HeldToken | None) -> str | bytes:
    return held.token if document.body is None and held is not None else document.body or b""


def _text(document: _fetch.Document, held: HeldTrustList | HeldToken | None, code: str) -> str:
    token = _token(document, held)
    try:
        return token if isinstance(token, str) else token.decode("ascii")
    except UnicodeDecodeError as error:
        raise TrustError(code, "not a compact JWS") from error


def _supersedes(new: HeldTrustList, held: HeldTrustList) -> bool:
    """Step 4 of the trust list's format: never back; the same sequence number means the same content.

    A list signed anew under its sequence number is kept only when it is the newer one.
    """
    if new.iss != held.iss:
        raise TrustError("trust_list_issuer_changed", "iss is not that of the list held")
    if new.sequence < held.sequence:
        raise TrustError("trust_list_rolled_back", f"sequence {new.sequence} after {held.sequence}")
    if new.sequence == held.sequence:
        if new.content_sha256 != held.content_sha256:
            raise TrustError("trust_list_sequence_reused", f"sequence {new.sequence} had other content")
        return new.iat > held.iat
    return True


def _replaces(new: HeldToken, held: HeldToken) -> bool:
    if new.iat < held.iat:
        raise TrustError("status_list_rolled_back", f"issued {held.iat - new.iat} s before the one held")
    return new.token != held.token
