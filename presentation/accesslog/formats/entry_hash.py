"""The hash of a row of the access log, version 1.

SHA-256 over: the 32 bytes of the holder's row before (zeros for the first), then the row's members as a JSON array in
the order below, UTF-8, no white space. Times are microseconds since 1970.
"""

import hashlib
import json
from datetime import UTC, datetime

from presentation.accesslog.models import AccessEntry

VERSION = "lz-access-log-1"
GENESIS = bytes(32)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def entry_hash(previous: bytes, entry: AccessEntry) -> bytes:
    """32 bytes. `entry.recorded_at` is set."""
    assert entry.recorded_at is not None
    members = [
        VERSION,
        entry.holder_id,
        entry.sequence,
        _microseconds(entry.at),
        _microseconds(entry.recorded_at),
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
    return hashlib.sha256(previous + json.dumps(members, ensure_ascii=False, separators=(",", ":")).encode()).digest()


def _microseconds(at: datetime) -> int:
    span = at - _EPOCH
    return (span.days * 86_400 + span.seconds) * 1_000_000 + span.microseconds
