"""`Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): one request that is sent twice is done once.

The key belongs to the client that sends it. Of any number of processes one is first, by one statement; the others
are told that it works, or are given its answer. A request that is refused has done nothing and keeps nothing.
"""

import re
import secrets
from dataclasses import dataclass
from datetime import timedelta

import orjson
from sqlalchemy.ext.asyncio import AsyncSession

from credentials.registry.ports import Clock
from wallet_api.database import Database
from wallet_api.edge import repository
from wallet_api.protection import DataProtector

KEPT = timedelta(hours=24)  # a nightly job that broke off is repeated within the day
LEASE = timedelta(seconds=60)  # the longest that one row or offer can take is the 15 s that a writer waits
_KEY = re.compile(r"[\x21-\x7e]{1,255}")  # the draft names UUIDs; anything visible of reasonable length will do


class IdempotencyRefused(Exception):
    """The key cannot be used for this request.

    Attributes:
        status: the HTTP status that the draft gives (§2.7).
    """

    def __init__(self, status: int, code: str, detail: str) -> None:
        self.status, self.code, self.detail = status, code, detail
        super().__init__(detail)


@dataclass(frozen=True)
class StoredAnswer:
    """An answer as it was first given."""

    status: int
    body: object


@dataclass(frozen=True)
class Claim:
    """This attempt is the one that works under the key."""

    key_hash: bytes
    attempt: str


class IdempotentRequests:
    """The keys of the last day, in the database: hashes, and sealed answers."""

    def __init__(self, database: Database, protector: DataProtector, clock: Clock) -> None:
        self._database = database
        self._protector = protector
        self._clock = clock

    async def claim(self, client: str, key: str, request: bytes) -> Claim | StoredAnswer:
        """Claim a key, or find what was answered under it.

        Args:
            client: whose key it is.
            key: as sent.
            request: method, path and body, of which a keyed hash is kept.

        Raises:
            IdempotencyRefused: malformed (422), used for another request (422), or still at work (409).
        """
        key = _normal(key)
        now = self._clock.now()
        key_hash = self._protector.blind_index("idempotency_key", f"{client}\x00{key}")
        request_hash = self._protector.blind_index("idempotency_request", request.decode("latin-1"))
        claim = Claim(key_hash, secrets.token_hex(16))
        async with self._database.transaction() as session:
            row = {
                "key_hash": key_hash,
                "request_hash": request_hash,
                "attempt": claim.attempt,
                "leased_until": now + LEASE,
                "expires_at": now + KEPT,
            }
            if await repository.claim_request(session, row, now):
                return claim
            held = await repository.request_row(session, key_hash)
        if held is not None and bytes(held.request_hash) != request_hash:
            raise IdempotencyRefused(422, "idempotency_key_reused", "this key was sent with another request")
        if held is None or held.answer_sealed is None:  # None: given up in this very moment
            raise IdempotencyRefused(409, "idempotency_key_in_use", "the same request is at work; ask again")
        return StoredAnswer(**orjson.loads(self._protector.open(held.answer_sealed, _context(key_hash))))

    async def keep(self, session: AsyncSession, claim: Claim, answer: StoredAnswer) -> None:
        """Keep the answer, in the transaction that does the work.

        Raises:
            IdempotencyRefused: the lease ran out and another attempt is at work: roll back (409).
        """
        content = orjson.dumps({"status": answer.status, "body": answer.body})
        sealed = self._protector.seal(content, _context(claim.key_hash))
        if not await repository.keep_answer(session, claim.key_hash, claim.attempt, sealed):
            raise IdempotencyRefused(409, "idempotency_key_in_use", "another attempt took over; ask again")

    async def release(self, claim: Claim) -> None:
        """Give a key back under which nothing was done."""
        async with self._database.transaction() as session:
            await repository.release_request(session, claim.key_hash, claim.attempt)


def _normal(key: str) -> str:
    """The key without the quotes of a structured field's string, which the draft writes and few clients send."""
    bare = key[1:-1] if len(key) >= 2 and key[0] == key[-1] == '"' else key
    if not _KEY.fullmatch(bare) or '"' in bare or "\\" in bare:
        raise IdempotencyRefused(
            422, "idempotency_key_malformed", "Idempotency-Key is sent once, 1 to 255 visible ASCII characters"
        )
    return bare


def _context(key_hash: bytes) -> str:
    return f"idempotent_request.answer:{key_hash.hex()}"
