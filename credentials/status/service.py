"""Giving out status indexes, changing statuses, publishing lists."""

import hashlib
import itertools
import secrets
from asyncio import to_thread
from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from credentials.keys import Signer
from credentials.status.errors import (
    InvalidAllocation,
    StatusIsFinal,
    StatusListRetired,
    UnknownStatusIndex,
    UnknownStatusList,
)
from credentials.status.formats.token_status_list import StatusListContent, compress, pack, sign
from credentials.status.models import (
    Allocation,
    DueList,
    PublishedStatusToken,
    StatusList,
    StatusListFormat,
    StatusReference,
    StatusValue,
)
from credentials.status.permutation import KeyedPermutation
from credentials.status.ports import Clock, FieldCipher, References
from credentials.status.repository import StatusRepository
from credentials.status.tables import StatusListRow, StatusRangeRow, StatusTokenRow

BITS = 2  # three statuses
LIST_SIZE = 2**20  # a crowd to hide in; 256 KiB unpacked, a few hundred bytes while little is revoked
RANGE_SIZE = 2**14  # so that 64 transactions take from one list at once, and any batch fits
OPEN_LISTS = 2  # the next one is published before the first is full
DECOYS = 2**14  # one in 64: who counts entries or follows their changes sees more than credentials
FIRST_DECOYS = 64  # at least; up to three times as many in a new list
MOST_DECOYS_A_CHANGE = 3  # so many with a publication, or none: a difference of one may be nobody's
PERCENT_USED = 90  # from here on the next list is opened and published ahead
PERMUTATION_KEY_BYTES = 32
LIFETIME = timedelta(hours=24)
RESIGN_BELOW = timedelta(hours=18)  # a device that leaves the network keeps at least 18 hours of status
TTL_S = 300  # a revocation is known to online readers five minutes later
CHUNK = 5_000  # three parameters each; SQLite and PostgreSQL take 32,766 a statement
RETIRED_AFTER = timedelta(days=1)  # a reader whose clock is slow still finds the list
MAX_LIST_ID = 2**31 - 1  # the column's type


class StatusService:
    """The platform's Token Status Lists.

    In one transaction change statuses first, with all references in one call, and allocate afterwards: everyone
    takes locks in that order.

    Args:
        cipher: seals the permutation keys.
        clock: dates the tokens.
        public_url: new lists get the URI `<public_url>/s/<number>`; existing ones keep theirs.
        list_size: entries of a new list; a multiple of 4, above 16,384 of that.
        open_lists: how many lists with room are kept ready.
        decoys: entries of a new list that never belong to a credential; some of them are INVALID from the start, and
            a few more become so with the changes of others.
    """

    def __init__(
        self,
        cipher: FieldCipher,
        clock: Clock,
        public_url: str,
        *,
        list_size: int = LIST_SIZE,
        open_lists: int = OPEN_LISTS,
        decoys: int = DECOYS,
    ) -> None:
        self._cipher = cipher
        self._clock = clock
        self._public_url = public_url
        self._list_size = list_size
        self._decoys = decoys
        self._range_size = min(list_size, RANGE_SIZE)
        self._open_lists = open_lists

    async def allocate(self, session: AsyncSession, count: int) -> tuple[StatusReference, ...]:
        """Take indexes that nobody had before and nobody can guess, all in one list; they are VALID.

        Indexes of a transaction that is rolled back are free again. Nobody waits for anybody: what another
        transaction takes from is passed over, and a crowd that takes from everything opens the next list.

        Args:
            count: 1 up to the size of a range, 16,384.

        Raises:
            InvalidAllocation: the count is out of bounds.
        """
        if not 1 <= count <= self._range_size:
            raise InvalidAllocation("that many indexes are not given out at once, or none were asked for")
        lists = StatusRepository(session)
        while (taken := await lists.take(count)) is None:
            await self._open(lists)
        return tuple(StatusReference(taken.status_list.uri, idx) for idx in self._indexes(taken))

    async def set_status(
        self, session: AsyncSession, references: Sequence[StatusReference], value: StatusValue
    ) -> None:
        """Change the status of credentials; published with the next `publish`.

        Setting what already holds changes nothing. Whether an index was ever given out is not checked.

        Raises:
            UnknownStatusList: a URI is not one of our lists.
            UnknownStatusIndex: an index lies outside its list.
            StatusIsFinal: one of them is INVALID and the new value is another. Roll back: others may be changed.
        """
        lists = StatusRepository(session)
        for status_list, indexes in await _grouped(lists, references):
            changed = 0
            for start in range(0, len(indexes), CHUNK):
                chunk = indexes[start : start + CHUNK]
                changed += await lists.write(status_list.list_id, chunk, value)
                if value is not StatusValue.INVALID and await lists.any_invalid(status_list.list_id, chunk):
                    raise StatusIsFinal("a revoked credential does not change its status any more")
            if changed:
                await lists.bump(status_list.list_id)

    async def publish(self, session: AsyncSession, signer: Signer) -> tuple[int, ...]:
        """Sign the lists that changed, that are new, or whose token ends in less than 18 hours.

        Safe to run in several processes at once: a token only replaces the one that was looked at before.

        Args:
            signer: a key for the purpose `status`.

        Returns:
            The numbers of the lists that this call published.
        """
        lists = StatusRepository(session)
        await lists.drop_used_ranges()
        for _ in range(self._open_lists - await lists.count_roomy(PERCENT_USED)):
            await self._open(lists)
        exp_before = int((self._clock.now() + RESIGN_BELOW).timestamp())
        due_lists = await lists.due(exp_before)
        return tuple([due.status_list.list_id for due in due_lists if await self._publish_list(lists, due, signer)])

    async def retire(self, session: AsyncSession, references: References) -> tuple[int, ...]:
        """Take away the lists that are full and that nothing points to any more; run it daily.

        A retired list is not published again, its number never used again.

        Args:
            references: knows the tokens that were issued.

        Returns:
            The numbers of the lists that this call retired.
        """
        lists, now = StatusRepository(session), self._clock.now()
        return tuple(
            [
                full.list_id
                for full in await lists.full()
                if not await references.refers_to(session, full.uri, now - RETIRED_AFTER)
                and await lists.retire(full.list_id, now)
            ]
        )

    async def token(
        self, session: AsyncSession, list_id: int, format: StatusListFormat = StatusListFormat.JWT
    ) -> PublishedStatusToken:
        """The token to serve for a list.

        Raises:
            StatusListRetired: the list is over.
            UnknownStatusList: there is no such list, or it was not published yet.
        """
        lists = StatusRepository(session)
        in_range = 0 < list_id <= MAX_LIST_ID
        row = await lists.token(list_id, format) if in_range else None
        if row is None:
            if in_range and await lists.is_retired(list_id):
                raise StatusListRetired("the list is over: nothing that points to it is valid any more")
            raise UnknownStatusList("no status list of this number is published")
        left_s = row.exp - int(self._clock.now().timestamp())
        return PublishedStatusToken(
            body=row.token,
            media_type=format.media_type,
            etag=f'"{hashlib.sha256(row.token).hexdigest()[:32]}"',
            max_age_s=max(0, min(TTL_S, left_s)),
        )

    async def aggregation(self, session: AsyncSession) -> dict[str, list[str]]:
        """Every published list's URI, as the Status List Aggregation is served (§9 of the draft)."""
        return {"status_lists": await StatusRepository(session).published_uris()}

    def _indexes(self, taken: Allocation) -> list[int]:
        key = self._cipher.open(taken.sealed_permutation_key, _key_context(taken.status_list.list_id))
        return list(map(KeyedPermutation(key, taken.status_list.size), range(taken.first, taken.end)))

    async def _open(self, lists: StatusRepository) -> None:
        """Open the next list. When another process opens it at the same time, there is one."""
        list_id = await lists.next_list_id()
        key = secrets.token_bytes(PERMUTATION_KEY_BYTES)
        row = StatusListRow(
            list_id=list_id,
            uri=f"{self._public_url}/s/{list_id}",
            bits=BITS,
            size=self._list_size,
            sealed_permutation_key=self._cipher.seal(key, _key_context(list_id)),
            version=1,
            created_at=self._clock.now(),
        )
        if await lists.add_list(row, self._ranges(list_id)):
            await self._spread_decoys(lists, list_id, FIRST_DECOYS + secrets.randbelow(2 * FIRST_DECOYS))

    def _ranges(self, list_id: int) -> list[StatusRangeRow]:
        """All of a new list, cut into ranges; the last one is for decoys."""
        usable = self._list_size - self._decoys
        bounds = [*range(0, usable, self._range_size), usable]
        ranges = [
            StatusRangeRow(list_id=list_id, first_free=first, range_end=end)
            for first, end in itertools.pairwise(bounds)
        ]
        decoys = StatusRangeRow(list_id=list_id, first_free=usable, range_end=self._list_size, decoys=True)
        return [*ranges, decoys] if self._decoys else ranges

    async def _spread_decoys(self, lists: StatusRepository, list_id: int, count: int) -> None:
        """Make decoys INVALID, while there are any. It says nothing of the list's version: others' changes do."""
        if count and (taken := await lists.take(count, decoys_of=list_id)):
            await lists.write(list_id, self._indexes(taken), StatusValue.INVALID)

    async def _publish_list(self, lists: StatusRepository, due: DueList, signer: Signer) -> bool:
        # The version was read before the entries: what changes in between is shown early and published once more.
        status_list = due.status_list
        if due.seen_version not in (None, status_list.version):
            await self._spread_decoys(lists, status_list.list_id, secrets.randbelow(MOST_DECOYS_A_CHANGE + 1))
        entries = await lists.entries(status_list.list_id)
        compressed = await to_thread(lambda: compress(pack(status_list.bits, status_list.size, entries)))
        iat = int(self._clock.now().timestamp())
        exp = iat + int(LIFETIME.total_seconds())
        content = StatusListContent(status_list.uri, status_list.bits, compressed, iat, exp, TTL_S)
        # The JWT's row decides between processes; its lock covers the CWT.
        for format in (StatusListFormat.JWT, StatusListFormat.CWT):
            row = StatusTokenRow(
                list_id=status_list.list_id,
                format=format.value,
                token=sign(content, format, signer),
                version=status_list.version,
                iat=iat,
                exp=exp,
            )
            if not await lists.replace_token(row, due):
                return False
        return True


async def _grouped(
    lists: StatusRepository, references: Sequence[StatusReference]
) -> list[tuple[StatusList, list[int]]]:
    """References by list, both in ascending order, so that two transactions lock them in the same order."""
    by_uri = defaultdict[str, set[int]](set)
    for reference in references:
        by_uri[reference.uri].add(reference.idx)
    known = await lists.by_uri(list(by_uri))
    if len(known) < len(by_uri):
        raise UnknownStatusList("a reference points to a list that is not ours")
    for uri, indexes in by_uri.items():
        if not all(0 <= idx < known[uri].size for idx in indexes):
            raise UnknownStatusIndex("a reference points outside its list")
    ordered = sorted(known.values(), key=lambda status_list: status_list.list_id)
    return [(status_list, sorted(by_uri[status_list.uri])) for status_list in ordered]


def _key_context(list_id: int) -> str:
    return f"status_list.sealed_permutation_key:{list_id}"
