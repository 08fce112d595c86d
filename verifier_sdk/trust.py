"""What this device trusts: pinned anchors, the trust list, the status lists, and which codes it has seen.

with TrustStore.open("/var/lib/inspector", anchors=[root_pem]) as trust:
    report = trust.sync("https://wallet.example.gov.cn/api/v1/trust-list")
"""

import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Iterable
from datetime import datetime
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from . import _status_list, _trust_list, _x509
from ._cache import Cache
from ._fault import told_as
from ._replay_record import ReplayRecord
from ._status_list import StatusList
from ._sync import StatusFormat, Synchronisation
from ._trust_list import TrustList, instant
from .clock import Clock, SystemClock
from .errors import TrustError
from .models import HeldStatusList, Knowledge, SyncItem, SyncReport

MAX_LISTS_IN_MEMORY = 64  # 256 kB each at 2^20 entries of 2 bits: 16 MB


class Trust(Protocol):
    """What a `Verifier` knows: the trust list, the status lists, and which codes were seen."""

    @property
    def anchors(self) -> tuple[x509.Certificate, ...]:
        """The pinned roots."""
        ...

    def trust_list(self) -> TrustList | None:
        """The verified trust list, None when there is none."""
        ...

    def status_list(self, uri: str) -> StatusList | None:
        """The verified status list of a URI, None when there is none."""
        ...

    def record_code(self, cti: bytes, now: datetime, window_s: int) -> bool:
        """Record a live code as seen; False when it was seen within the window already."""
        ...


class TrustInHand:
    """One trust list, without a folder, status lists or record: enough for `Verifier.check_shown`.

    Args:
        token: The trust list, a compact JWS.
        anchors: The platform's root certificates, PEM or DER.

    Raises:
        TrustError: `anchor_invalid`, or the trust list is malformed or not of these anchors.
    """

    def __init__(self, token: str, anchors: Iterable[bytes]) -> None:
        with told_as(TrustError, {"form": "anchor_invalid"}):
            self._anchors = tuple(_x509.load_anchor(anchor) for anchor in anchors)
        self._trust_list, _ = _trust_list.read(token, self._anchors)

    @property
    def anchors(self) -> tuple[x509.Certificate, ...]:
        """The pinned roots."""
        return self._anchors

    def trust_list(self) -> TrustList | None:
        """The list."""
        return self._trust_list

    def status_list(self, uri: str) -> StatusList | None:
        """None: the caller knows the licence's state by other means."""
        return None

    def record_code(self, cti: bytes, now: datetime, window_s: int) -> bool:
        """Refuse: the caller burns codes itself.

        Raises:
            TrustError: `cache_unavailable`, always.
        """
        raise TrustError("cache_unavailable", "a trust list in hand keeps no record of codes")


class TrustStore:
    """The device's knowledge, kept in a folder that several threads and processes may share."""

    def __init__(
        self, cache: Cache, seen_codes: ReplayRecord, anchors: tuple[x509.Certificate, ...], clock: Clock
    ) -> None:
        self._cache = cache
        self._seen_codes = seen_codes
        self._anchors = anchors
        self._clock = clock
        self._lock = threading.Lock()
        self._generation = -1
        self._trust_list: TrustList | None = None
        self._status_lists: OrderedDict[str, StatusList] = OrderedDict()

    @classmethod
    def open(
        cls,
        folder: str | PathLike[str],
        anchors: Iterable[bytes] = (),
        *,
        replace_anchors: bool = False,
        clock: Clock | None = None,
    ) -> Self:
        """Open the folder, which is made when it does not exist.

        Args:
            folder: Where the cache is kept. With `anchors` given, whoever can write to it can make this device
                forget, but not trust; the remembered anchors are as safe as the folder.
            anchors: The platform's root certificates, PEM or DER. They are remembered with the first trust list
                that verifies under them; without any, the remembered ones hold.
            replace_anchors: Take `anchors` although others are remembered; the next trust list that verifies under
                them drops everything held before.
            clock: Another clock than the machine's.

        Raises:
            TrustError: `anchor_invalid`, `anchor_changed`, `cache_unavailable`.
        """
        with told_as(TrustError, {"form": "anchor_invalid"}):
            given = {_der(anchor): anchor for anchor in map(_x509.load_anchor, anchors)}
        with _cache_errors():
            cache = Cache(Path(folder))
        opened: list[Cache | ReplayRecord] = [cache]
        try:
            with _cache_errors():
                seen_codes = ReplayRecord(Path(folder))
            opened.append(seen_codes)
            with _cache_errors(), told_as(TrustError, {"form": "cache_unavailable"}):
                remembered = {der: _x509.load_anchor(der) for der in cache.anchors()}
            if given and remembered and given.keys() != remembered.keys() and not replace_anchors:
                raise TrustError("anchor_changed", "the folder remembers other anchors; replace them explicitly")
        except BaseException:
            for each in opened:
                each.close()
            raise
        return cls(cache, seen_codes, tuple((given or remembered).values()), clock or SystemClock())

    def close(self) -> None:
        """Close the files."""
        self._cache.close()
        self._seen_codes.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def sync(
        self, url: str | None = None, *, private_network: bool = False, status_format: StatusFormat = "jwt"
    ) -> SyncReport:
        """Fetch the trust list, then the list of status lists it names, then each of these.

        Nothing a document names is fetched before the document's signature has been checked, and only from the
        host of `url`. Whatever fails leaves what was held before as it is and is reported.

        Args:
            url: Of the trust list; the one of the last success by default.
            private_network: Whether the host may have a private address (a government's own network).
            status_format: In which form status lists are fetched; a CWT is a quarter smaller.

        Returns:
            What happened to each document. Nothing is raised for a document.

        Raises:
            TrustError: `anchor_missing`, `url_not_allowed` (none given or remembered), `cache_unavailable`.
        """
        with _cache_errors():
            return self._synchronisation(url, private_network, status_format).run()

    def refresh_status_list(
        self, uri: str, *, private_network: bool = False, status_format: StatusFormat = "jwt"
    ) -> SyncItem:
        """Fetch one status list, after a check answered `status_missing` or `status_stale`.

        Args:
            uri: As the credential or pass names it; only on the host of the trust list.
            private_network, status_format: As for `sync`.

        Raises:
            TrustError: `anchor_missing`, `url_not_allowed` (never synchronised), `cache_unavailable`.
        """
        with _cache_errors():
            synchronisation = self._synchronisation(None, private_network, status_format)
            trust_list = self.trust_list()
            if trust_list is None:
                raise TrustError("url_not_allowed", "no trust list is held yet")
            return synchronisation.status_list(uri, trust_list)

    @property
    def anchors(self) -> tuple[x509.Certificate, ...]:
        """The pinned anchors."""
        return self._anchors

    def trust_list(self) -> TrustList | None:
        """The verified trust list held, whatever its age; None when there is none or it does not verify (any more).

        Raises:
            TrustError: `cache_unavailable`.
        """
        with self._lock, _cache_errors():
            self._reload()
            return self._trust_list

    def status_list(self, uri: str) -> StatusList | None:
        """The verified status list held for a URI, whatever its age; None when there is none.

        Raises:
            TrustError: `cache_unavailable`.
        """
        with self._lock, _cache_errors():
            self._reload()
            status_list = self._status_lists.get(uri)
            if status_list is not None:
                self._status_lists.move_to_end(uri)
                return status_list
            status_list = self._load_status_list(uri)
            if status_list is not None:
                self._status_lists[uri] = status_list
                if len(self._status_lists) > MAX_LISTS_IN_MEMORY:
                    self._status_lists.popitem(last=False)
            return status_list

    def record_code(self, cti: bytes, now: datetime, window_s: int) -> bool:
        """Record a live code as seen; False when it was seen within the window already.

        Raises:
            TrustError: `cache_unavailable`.
        """
        with _cache_errors():
            return self._seen_codes.record(cti, int(now.timestamp()), window_s)

    def knowledge(self) -> Knowledge:
        """What is held and how old it is.

        Raises:
            TrustError: `cache_unavailable`.
        """
        now = self._clock.now()
        trust_list = self.trust_list()
        with _cache_errors():
            held, uris = self._cache.trust_list(), self._cache.status_list_uris()
        lists = [status_list for uri in uris if (status_list := self.status_list(uri))]
        return Knowledge(
            url=held.url if held else None,
            sequence=trust_list.sequence if trust_list else None,
            trust_age=now - instant(trust_list.iat) if trust_list else None,
            trust_expires_at=instant(trust_list.exp) if trust_list else None,
            status_lists=tuple(
                HeldStatusList(each.uri, now - instant(each.iat), instant(each.exp) if each.exp is not None else None)
                for each in lists
            ),
            scenes=tuple(trust_list.scenes.values()) if trust_list else (),
        )

    def _synchronisation(self, url: str | None, private_network: bool, status_format: StatusFormat) -> Synchronisation:
        if not self._anchors:
            raise TrustError("anchor_missing", "no anchor was given and none is remembered")
        held = self._cache.trust_list()
        url = url or (held.url if held else None)
        if url is None:
            raise TrustError("url_not_allowed", "no URL was given and none is remembered")
        return Synchronisation(self._cache, self._anchors, url, private_network, status_format, self._clock.now())

    def _reload(self) -> None:
        """Verify anew when this or another process has changed something."""
        generation = self._cache.generation()
        if generation == self._generation:
            return
        held = self._cache.trust_list()
        self._trust_list = None
        self._status_lists.clear()
        if held is not None:
            try:
                self._trust_list, _ = _trust_list.read(held.token, self._anchors)
            except TrustError:
                self._trust_list = None  # held under other anchors: as if there were none
        self._generation = generation

    def _load_status_list(self, uri: str) -> StatusList | None:
        held = self._cache.status_list(uri)
        if held is None or self._trust_list is None:
            return None
        try:
            return _status_list.read(held.token, uri, self._trust_list)
        except TrustError:
            return None  # its key has left the trust list


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


class _cache_errors:
    """Turn what goes wrong with the cache into `cache_unavailable`."""

    __slots__ = ()

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, sqlite3.Error | OSError | ValueError):  # ValueError: the mapping is closed
            raise TrustError("cache_unavailable", f"{type(error).__name__} in the cache") from error
