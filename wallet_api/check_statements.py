"""`presentation.checks.ports.CheckRecords` on PostgreSQL: a check is one statement that reads and one that writes.

Both go to the driver directly (`Database.fetch_one`), past SQLAlchemy: this is the one path that a whole city's
inspectors take at once. What they mean is what `presentation.checks.StoredRecords` says statement by statement; the
same tests run over both.
"""

from collections.abc import Sequence
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import orjson

from credentials.issuance import IssuedToken
from credentials.registry import Registry
from presentation.accesslog import Release
from presentation.accesslog.formats.entry_hash import GENESIS, entry_digest
from presentation.accesslog.service import sealed_note
from presentation.checks import ShownLicence, StatusPlaceKey
from presentation.checks.models import Ground, Written
from presentation.checks.patterns import (
    HOLDERS_WITHIN,
    LONGEST_RUN,
    MOST_COUNTED,
    REFUSALS_WITHIN,
    SEQUENCE_WITHIN,
)
from presentation.checks.records import BURN_PURPOSE
from presentation.scenes import Scene
from presentation.scenes.repository import scene_of
from presentation.verifiers.repository import verifier_of
from wallet_api.checking import ShownLicences
from wallet_api.database import Database
from wallet_api.oauth.one_time import value_hash
from wallet_api.protection import DataProtector

# $1 client, $2 scene, $3 status URI, $4 index, $5 now, $6 and $7 the patterns' times, $8 the most rows that count
_LOOK_UP = """
SELECT v.client_id, v.organisation, v.system_name, v.scenes, v.holders_per_minute, v.refusals_per_10_minutes,
       v.registered_at, v.suspended_at,
       s.id AS scene_id, s.version AS scene_version, s.content, s.by_operator, s.retired,
       i.licence_id, i.holder_id, i.format, i.issued_at, i.expires_at, l.*,
       (SELECT count(*) FROM (
            SELECT 1 FROM check_trace t
            WHERE t.client_id = v.client_id AND t.refusal IS NOT NULL
              AND t.at > $5::timestamptz - $6::interval * least(1, $8::int / v.refusals_per_10_minutes::float8)
            LIMIT $8::int) refused) AS refusals,
       (SELECT count(DISTINCT seen.holder_id) FROM (
            SELECT t.holder_id FROM check_trace t
            WHERE t.client_id = v.client_id AND t.holder_id IS NOT NULL
              AND t.at > $5::timestamptz - $7::interval * least(1, $8::int / v.holders_per_minute::float8)
            ORDER BY t.at DESC LIMIT $8::int) seen) AS holders
FROM (SELECT 1) one
LEFT JOIN verifier v ON v.client_id = $1::text
LEFT JOIN scene s ON s.id = $2::text AND s.version = (SELECT max(version) FROM scene WHERE id = $2::text)
LEFT JOIN issuance i ON i.status_uri = $3::text AND i.status_index = $4::int
LEFT JOIN licence l ON l.id = i.licence_id
"""

# A row of the log stands only where the head moved, the head moves only where the code was burned, and the code burns
# only where nothing has changed and the numbers do not follow one another: one statement, which is a transaction.
_WRITE = """
WITH unchanged AS (
    SELECT 1 FROM licence l, verifier v
    WHERE l.id = $8::text AND l.state = '01' AND v.client_id = $3::text AND v.suspended_at IS NULL),
run AS (
    SELECT 1 + coalesce((SELECT max(number_run) FROM check_trace
        WHERE client_id = $3::text AND number_mark = ANY($20::bytea[]) AND at > $21::timestamptz), 0) AS length
    FROM unchanged),
burned AS (
    INSERT INTO one_time_value (value_hash, expires_at) SELECT $1::bytea, $2::timestamptz FROM run
    WHERE length <= $22::int
    ON CONFLICT DO NOTHING RETURNING 1),
traced AS (
    INSERT INTO check_trace (client_id, at, holder_id, number_mark, number_run)
    SELECT $3::text, $5::timestamptz, $4::text, $19::bytea, run.length FROM burned, run),
head AS (
    INSERT INTO access_log_head AS old (holder_id, sequence, entry_hash)
    SELECT $4::text, 1, sha256($18::bytea || int8send(1) || $17::bytea) FROM burned
    ON CONFLICT (holder_id) DO UPDATE SET sequence = old.sequence + 1,
        entry_hash = sha256(old.entry_hash || int8send(old.sequence + 1) || $17::bytea)
    RETURNING sequence, entry_hash),
entry AS (
    INSERT INTO access_log (holder_id, sequence, at, recorded_at, check_id, client_id, organisation, system_name,
        licence_id, type_code, type_version, number_masked, items, scene_id, scene_version, offline, note_sealed,
        entry_hash)
    SELECT $4::text, head.sequence, $5::timestamptz, $5::timestamptz, $9::text, $3::text, $6::text, $7::text,
        $8::text, $10::text, $11::int, $12::text, $13::json, $14::text, $15::int, false, $16::bytea,
        head.entry_hash FROM head
    RETURNING 1)
SELECT (SELECT length FROM run) AS run, (SELECT count(*) FROM burned) AS burned
"""


class CheckStatements:
    """Reads and writes of checks, in one statement each."""

    def __init__(
        self, database: Database, licences: ShownLicences, registry: Registry, protector: DataProtector
    ) -> None:
        self._database = database
        self._licences = licences
        self._registry = registry
        self._protector = protector
        self._scenes: dict[tuple[str, int], Scene] = {}  # versions never change

    async def look_up(self, client_id: str, scene_id: str, place: StatusPlaceKey | None, now: datetime) -> Ground:
        """See `presentation.checks.ports.CheckRecords`."""
        uri, idx = (place.uri, place.idx) if place else (None, None)
        if idx is not None and idx >= 1 << 31:  # no list has such an index
            uri = idx = None
        row = await self._database.fetch_one(
            _LOOK_UP, client_id, scene_id, uri, idx, now, REFUSALS_WITHIN, HOLDERS_WITHIN, MOST_COUNTED
        )
        found = SimpleNamespace(**dict(row))
        return Ground(
            verifier=self._verifier(found),
            scene=self._scene(found),
            licence=self._licence(found),
            refusals=found.refusals,
            holders=found.holders,
        )

    async def write(self, release: Release, burned: bytes, burned_until: datetime, marks: Sequence[bytes]) -> Written:
        """See `presentation.checks.ports.CheckRecords`."""
        row = await self._database.fetch_one(
            _WRITE,
            value_hash(BURN_PURPOSE, burned.hex()),
            burned_until,
            release.client_id,
            release.holder_id,
            release.at,
            release.organisation,
            release.system_name,
            release.licence_id,
            release.check_id,
            release.type_code,
            release.type_version,
            release.number_masked,
            orjson.dumps(list(release.items)).decode(),
            release.scene_id,
            release.scene_version,
            sealed_note(release, self._protector),
            entry_digest(release, release.at),
            GENESIS,
            marks[0],
            list(marks[1:]),
            release.at - SEQUENCE_WITHIN,
            LONGEST_RUN,
        )
        if row["run"] is None:
            return Written.CHANGED
        if row["run"] > LONGEST_RUN:
            return Written.SEQUENCE
        return Written.DONE if row["burned"] else Written.ALREADY_USED

    def _verifier(self, found: Any) -> Any:
        if found.client_id is None:
            return None
        found.scenes = orjson.loads(found.scenes)
        return verifier_of(found)

    def _scene(self, found: Any) -> Scene | None:
        if found.scene_id is None:
            return None
        known = self._scenes.get((found.scene_id, found.scene_version))
        if known is None:
            row = SimpleNamespace(
                id=found.scene_id,
                version=found.scene_version,
                content=orjson.loads(found.content),
                by_operator=found.by_operator,
                retired=found.retired,
            )
            known = self._scenes[found.scene_id, found.scene_version] = scene_of(row)
        return known

    def _licence(self, found: Any) -> ShownLicence | None:
        if found.licence_id is None or not self._licences.is_pass(found.format):
            return None
        token = IssuedToken(found.licence_id, found.holder_id, found.format, found.issued_at, found.expires_at)
        return self._licences.shown_by(token, self._registry.opened(found, (found.holder_id,)))
