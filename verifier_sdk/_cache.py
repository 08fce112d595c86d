"""The cache: one SQLite file that any number of processes and threads may share.

It keeps the documents as they were fetched; who loads them verifies them again. Each change of trust or status
raises `generation`, by which other processes notice. All SQL of the SDK stands here.
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ._change_counter import ChangeCounter

FILE_NAME = "verifier.sqlite3"
BUSY_TIMEOUT_S = 5.0  # a writer holds the file for milliseconds; longer means that something is wrong
_SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE state (id INTEGER PRIMARY KEY CHECK (id = 1), generation INTEGER NOT NULL);
INSERT INTO state VALUES (1, 0);
CREATE TABLE anchor (der BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE trust_list (
    id INTEGER PRIMARY KEY CHECK (id = 1), url TEXT NOT NULL, token TEXT NOT NULL, etag TEXT,
    iss TEXT NOT NULL, sequence INTEGER NOT NULL, iat INTEGER NOT NULL, content_sha256 TEXT NOT NULL
);
CREATE TABLE status_list (uri TEXT PRIMARY KEY, token TEXT NOT NULL, etag TEXT, iat INTEGER NOT NULL) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class HeldTrustList:
    """The trust list's row; `content_sha256` is the digest of what the sequence number stands for."""

    url: str
    token: str
    etag: str | None
    iss: str
    sequence: int
    iat: int
    content_sha256: str


@dataclass(frozen=True, slots=True)
class HeldToken:
    """A status list's row; the token is a text as JWT and bytes as CWT."""

    uri: str
    token: str | bytes
    etag: str | None
    iat: int


class Cache:
    """The file and what is asked of it. Every method may raise `sqlite3.Error`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._known_at, self._generation = -1, -1
        self._changes = ChangeCounter(folder)
        self._connection = sqlite3.connect(
            folder / FILE_NAME, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        try:
            self._write_ahead()
            self._connection.execute("PRAGMA synchronous = NORMAL")  # what a power cut loses is fetched again
            self._create()
        except BaseException:
            self._connection.close()
            self._changes.close()
            raise

    def _write_ahead(self) -> None:
        """Checks go on while another process synchronises. In this one switch SQLite does not wait; we do."""
        deadline = time.monotonic() + BUSY_TIMEOUT_S
        while True:
            try:
                self._connection.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()
            self._changes.close()

    def generation(self) -> int:
        """A number that changes whenever trust or status changes; asked in every check, seldom of the database."""
        with self._lock:
            change = self._changes.read()
            if change != self._known_at or change % 2:
                self._known_at = change  # read before the database: a change in between is noticed next time
                self._generation = int(self._connection.execute("SELECT generation FROM state").fetchone()[0])
            return self._generation

    def anchors(self) -> list[bytes]:
        """The remembered anchors, DER."""
        with self._lock:
            return [row[0] for row in self._connection.execute("SELECT der FROM anchor ORDER BY der")]

    def trust_list(self) -> HeldTrustList | None:
        """The trust list held."""
        with self._lock:
            row = self._connection.execute(
                "SELECT url, token, etag, iss, sequence, iat, content_sha256 FROM trust_list"
            ).fetchone()
        return HeldTrustList(*row) if row else None

    def store_trust_list(
        self, new: HeldTrustList, anchors: list[bytes], supersedes: Callable[[HeldTrustList], bool]
    ) -> bool:
        """Keep a verified list, if it supersedes the one held now (another process may have been faster).

        Under other anchors than the remembered ones everything held before is dropped first.
        """
        with self._write() as connection:
            if self.anchors() != anchors:
                for table in ("anchor", "trust_list", "status_list"):
                    connection.execute(f"DELETE FROM {table}")  # noqa: S608 - three literals
                connection.executemany("INSERT INTO anchor VALUES (?)", [(der,) for der in anchors])
            held = self.trust_list()
            if held is not None and not supersedes(held):
                return False
            connection.execute(
                "INSERT OR REPLACE INTO trust_list VALUES (1, ?, ?, ?, ?, ?, ?, ?)",
                (new.url, new.token, new.etag, new.iss, new.sequence, new.iat, new.content_sha256),
            )
            connection.execute("UPDATE state SET generation = generation + 1")
            return True

    def status_list(self, uri: str) -> HeldToken | None:
        """The status list token held for a URI."""
        with self._lock:
            row = self._connection.execute(
                "SELECT uri, token, etag, iat FROM status_list WHERE uri = ?", (uri,)
            ).fetchone()
        return HeldToken(*row) if row else None

    def status_list_uris(self) -> list[str]:
        """The URIs of all status lists held."""
        with self._lock:
            return [row[0] for row in self._connection.execute("SELECT uri FROM status_list ORDER BY uri")]

    def store_status_list(self, new: HeldToken, supersedes: Callable[[HeldToken], bool]) -> bool:
        """Keep a verified token, if it supersedes the one held at this moment."""
        with self._write() as connection:
            held = self.status_list(new.uri)
            if held is not None and not supersedes(held):
                return False
            connection.execute(
                "INSERT OR REPLACE INTO status_list VALUES (?, ?, ?, ?)", (new.uri, new.token, new.etag, new.iat)
            )
            connection.execute("UPDATE state SET generation = generation + 1")
            return True

    def drop_status_list(self, uri: str) -> None:
        """Forget a status list."""
        with self._write() as connection:
            connection.execute("DELETE FROM status_list WHERE uri = ?", (uri,))
            connection.execute("UPDATE state SET generation = generation + 1")

    def _create(self) -> None:
        if self._version() == _SCHEMA_VERSION:
            return
        with self._write() as connection:
            version = self._version()  # another process may have been faster
            if version not in (0, _SCHEMA_VERSION):
                raise sqlite3.DatabaseError("the cache was written by another version of this program")
            if version == 0:
                for statement in _SCHEMA.split(";"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")

    def _version(self) -> int:
        return int(self._connection.execute("PRAGMA user_version").fetchone()[0])

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            with self._changes.changing():
                self._connection.execute("COMMIT")
