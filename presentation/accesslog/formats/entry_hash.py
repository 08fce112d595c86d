"""The hash of a row of the access log, version 1.

`digest` is SHA-256 over the row's members as a JSON array in the order below, UTF-8, no white space, times in
microseconds since 1970. The row's hash is SHA-256 over the 32 bytes of the holder's row before (zeros for the first),
the row's sequence in 8 bytes, big endian, and the digest: the place in the chain stays outside the digest, so that a
database can take it and compute the hash in the one statement that writes the row.
"""

import hashlib
import json
from datetime import UTC, datetime

from presentation.accesslog.models import Release

VERSION = "lz-access-log-1"
GENESIS = bytes(32)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def entry_digest(entry: Release, recorded_at: datetime) -> bytes:
    """32 bytes over all that a row says, but for its place in the chain."""
    members = [
        VERSION,
        entry.holder_id,
        _microseconds(entry.at),
        _microseconds(recorded_at),
        entry.check_id,
        entry.client_id,
        entry.organisation,
        entry.system_name,
        entry.licence_id,
        entry.type_code,
        entry.type_version,
        entry.number_masked,
        list(entry.items),
        entry.scene_id,
        entry.scene_version,
        entry.offline,
        entry.reason,
        entry.operator,
    ]
    return hashlib.sha256(json.dumps(members, ensure_ascii=False, separators=(",", ":")).encode()).digest()


def chained(previous: bytes, sequence: int, digest: bytes) -> bytes:
    """32 bytes: the row's hash."""
    return hashlib.sha256(previous + sequence.to_bytes(8, "big") + digest).digest()


def _microseconds(at: datetime) -> int:
    span = at - _EPOCH
    return (span.days * 86_400 + span.seconds) * 1_000_000 + span.microseconds
