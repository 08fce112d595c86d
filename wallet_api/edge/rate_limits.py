"""How often a caller may call: fixed windows in the database, so that any number of processes count as one.

The grammar of a limit (`6000/minute`) is that of the `limits` library. Its strategies ask a storage three questions
for each call; one statement counts, ends the window and tells both, so the window itself is ours.
"""

import asyncio
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address

from limits import RateLimitItem

from credentials.registry.ports import Clock
from wallet_api.database import Database
from wallet_api.edge import repository
from wallet_api.protection import DataProtector

BLOCKS = 100  # of a window: a limit below it is counted call by call
MAX_BLOCKS = 20_000  # callers that a process remembers: some ten megabytes
IPV6_SITE_BITS = 64  # one household or office; single addresses are free for the taking


@dataclass(frozen=True)
class Usage:
    """Where a caller stands in the window that runs.

    Attributes:
        resets_in_s: whole seconds until the window ends, at least 1.
    """

    policy: str
    quota: int
    window_s: int
    remaining: int
    resets_in_s: int

    @property
    def header_fields(self) -> list[tuple[bytes, bytes]]:
        """`RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10), as ASGI has them."""
        return [
            (b"ratelimit-policy", f'"{self.policy}";q={self.quota};w={self.window_s}'.encode()),
            (b"ratelimit", f'"{self.policy}";r={self.remaining};t={self.resets_in_s}'.encode()),
        ]


class LimitExceeded(Exception):
    """The caller's quota for this window is used up."""

    def __init__(self, usage: Usage) -> None:
        self.usage = usage
        super().__init__(usage.policy)


@dataclass
class _Block:
    """Calls that this process has taken out of a caller's window and not used yet; lost with it, at no harm."""

    ends_at: datetime
    left: int = 0
    remaining: int = 0  # of the quota, after this block
    exhausted: bool = False
    taking: asyncio.Lock = field(default_factory=asyncio.Lock)

    def decides(self, now: datetime) -> bool:
        """Whether a call can be let through or refused without the database."""
        return now < self.ends_at and (self.left > 0 or self.exhausted)


class RateLimits:
    """Counts calls. A process takes them from the window in blocks of one percent, so that few calls write.

    Args:
        policies: name → limit; a name without a limit is not counted.
    """

    def __init__(
        self, database: Database, protector: DataProtector, clock: Clock, policies: Mapping[str, RateLimitItem]
    ) -> None:
        self._database = database
        self._protector = protector
        self._clock = clock
        self._policies = policies
        self._blocks: dict[bytes, _Block] = {}

    async def hit(self, policy: str, caller: str) -> Usage | None:
        """Count one call of a caller; None when the policy has no limit.

        Raises:
            LimitExceeded: it was one too many. Never are more let through than the limit says; with several processes
                the last percent of each may be refused.
        """
        limit = self._policies.get(policy)
        if limit is None:
            return None
        caller_hash = self._protector.blind_index(f"rate_window:{policy}", caller)  # addresses are personal data
        block = self._block(caller_hash)
        while not block.decides(now := self._clock.now()):
            async with block.taking:
                if not block.decides(self._clock.now()):
                    await self._take_block(block, caller_hash, limit)
        block.left -= not block.exhausted
        usage = Usage(
            policy=policy,
            quota=limit.amount,
            window_s=limit.get_expiry(),
            remaining=block.remaining + block.left,
            resets_in_s=max(1, math.ceil((block.ends_at - now).total_seconds())),
        )
        if block.exhausted:
            raise LimitExceeded(usage)
        return usage

    def _block(self, caller_hash: bytes) -> _Block:
        if len(self._blocks) >= MAX_BLOCKS:
            self._blocks.clear()
        return self._blocks.setdefault(caller_hash, _Block(ends_at=self._clock.now()))

    async def _take_block(self, block: _Block, caller_hash: bytes, limit: RateLimitItem) -> None:
        now = self._clock.now()
        wanted = max(1, limit.amount // BLOCKS)
        ends_at = now + timedelta(seconds=limit.get_expiry())
        async with self._database.transaction() as session:
            row = await repository.take_calls(session, caller_hash, wanted, now, ends_at)
        block.ends_at = row.ends_at
        block.left = min(wanted, max(0, limit.amount - row.calls + wanted))
        block.remaining = max(0, limit.amount - row.calls)
        block.exhausted = block.left == 0


def address_block(host: str) -> str:
    """Whom an address stands for: an IPv4 address itself, of an IPv6 address its /64."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return f"{IPv6Address(int(address) >> (128 - IPV6_SITE_BITS) << (128 - IPV6_SITE_BITS))}/{IPV6_SITE_BITS}"
    return str(address)
