"""Indexes are unique and unguessable, revocation is final, publishing is exact and never goes back."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from credentials.keys.formats.jws import b64u_decode
from credentials.status import StatusListFormat, StatusReference, StatusService, StatusValue
from credentials.status.errors import (
    InvalidAllocation,
    StatusIsFinal,
    StatusListRetired,
    UnknownStatusIndex,
    UnknownStatusList,
)
from credentials.status.models import DueList
from credentials.status.repository import StatusRepository
from credentials.status.tables import StatusTokenRow
from tests.credentials.keys.signing import self_signed
from tests.credentials.status.reading import not_valid, read_cwt, read_jwt
from tests.fakes import FakeClock
from wallet_api.database import Database
from wallet_api.protection import DataProtector

URL = "https://wallet.example"
SIGNER = self_signed()
VALID, INVALID, SUSPENDED = StatusValue


@pytest.fixture
def statuses(protector: DataProtector, clock: FakeClock) -> StatusService:
    return StatusService(protector, clock, URL, decoys=0)


@pytest.fixture
def small(protector: DataProtector, clock: FakeClock) -> StatusService:
    return StatusService(protector, clock, URL, list_size=100, decoys=0)


async def allocated(database: Database, statuses: StatusService, count: int) -> tuple[StatusReference, ...]:
    async with database.transaction() as session:
        return await statuses.allocate(session, count)


async def changed(
    database: Database, statuses: StatusService, references: tuple[StatusReference, ...], value: StatusValue
) -> None:
    async with database.transaction() as session:
        await statuses.set_status(session, references, value)


async def published(database: Database, statuses: StatusService) -> tuple[int, ...]:
    async with database.transaction() as session:
        return await statuses.publish(session, SIGNER)


async def shown(database: Database, statuses: StatusService, list_id: int = 1) -> dict[int, int]:
    """The entries that the present token shows as not valid."""
    async with database.snapshot() as session:
        token = await statuses.token(session, list_id)
    _, claims = read_jwt(token.body)
    return not_valid(claims["status_list"]["bits"], b64u_decode(claims["status_list"]["lst"]))


# Allocation


async def test_fifty_tasks_at_once_never_get_the_same_index(database: Database, statuses: StatusService) -> None:
    batches = await asyncio.gather(*(allocated(database, statuses, 10) for _ in range(50)))
    references = [reference for batch in batches for reference in batch]
    assert len(set(references)) == 500


only_postgresql = pytest.mark.parametrize(
    "database", [pytest.param("postgresql", marks=pytest.mark.postgresql)], indirect=True
)


@only_postgresql
async def test_transactions_that_overlap_take_from_one_list_and_do_not_wait(
    database: Database, statuses: StatusService
) -> None:
    await published(database, statuses)
    # A taker that waited for another would wait for ever: all are in this task.
    async with asyncio.timeout(20), AsyncExitStack() as stack:
        sessions = [await stack.enter_async_context(database.transaction()) for _ in range(5)]
        references = [await statuses.allocate(session, 1) for session in sessions]
    assert len(set(references)) == 5
    assert {reference.uri for (reference,) in references} == {f"{URL}/s/1"}


@only_postgresql
async def test_a_crowd_that_takes_from_everything_opens_the_next_list(database: Database, small: StatusService) -> None:
    await published(database, small)  # two lists of one range each
    async with asyncio.timeout(20), AsyncExitStack() as stack:
        sessions = [await stack.enter_async_context(database.transaction()) for _ in range(3)]
        references = [(await small.allocate(session, 1))[0] for session in sessions]
    assert [reference.uri for reference in references] == [f"{URL}/s/{n}" for n in (1, 2, 3)]


@only_postgresql
async def test_fifty_transactions_that_revoke_and_take_twice_never_wait_for_each_other_in_a_circle(
    database: Database, small: StatusService
) -> None:
    held = [reference for _ in range(6) for reference in await allocated(database, small, 50)]  # three full lists

    async def renew(olds: tuple[StatusReference, ...]) -> tuple[StatusReference, ...]:
        async with database.transaction() as session:
            await small.set_status(session, olds, INVALID)
            return await small.allocate(session, 1) + await small.allocate(session, 2)

    taken = await asyncio.gather(*(renew(tuple(held[n::50])) for n in range(50)))
    assert len({*held, *(reference for batch in taken for reference in batch)}) == 300 + 150


async def test_the_indexes_of_a_batch_say_nothing_of_each_other(database: Database, statuses: StatusService) -> None:
    batch = await allocated(database, statuses, 100)
    assert len({reference.uri for reference in batch}) == 1
    steps = [after.idx - before.idx for before, after in pairwise(batch)]
    assert max(Counter(steps).values()) < 4
    assert min(map(abs, steps)) > 0
    assert max(reference.idx for reference in batch) > 2**19


async def test_a_full_list_opens_the_next_and_every_index_is_used_once(
    database: Database, small: StatusService
) -> None:
    references = [reference for _ in range(25) for reference in await allocated(database, small, 8)]
    assert Counter(reference.uri for reference in references) == {
        f"{URL}/s/1": 96,
        f"{URL}/s/2": 96,
        f"{URL}/s/3": 8,
    }
    last = await allocated(database, small, 4)
    first_list = {reference.idx for reference in (*references, *last) if reference.uri == f"{URL}/s/1"}
    assert first_list == set(range(100))


async def test_a_full_list_keeps_its_statuses(database: Database, small: StatusService) -> None:
    full = await allocated(database, small, 100)
    await changed(database, small, full[:3], INVALID)
    await allocated(database, small, 100)
    await published(database, small)
    assert await shown(database, small) == {reference.idx: 1 for reference in full[:3]}


async def test_two_lists_run_through_different_orders(database: Database, small: StatusService) -> None:
    one, other = [await allocated(database, small, 100) for _ in range(2)]
    assert [reference.idx for reference in one] != [reference.idx for reference in other]


async def test_indexes_of_a_transaction_that_was_rolled_back_are_free_again(
    database: Database, small: StatusService
) -> None:
    await allocated(database, small, 1)
    async with database.snapshot() as session:
        await small.allocate(session, 99)
    assert {reference.uri for reference in await allocated(database, small, 99)} == {f"{URL}/s/1"}


async def test_decoys_are_never_given_out_and_never_come_back(
    database: Database, protector: DataProtector, clock: FakeClock
) -> None:
    statuses = StatusService(protector, clock, URL, list_size=1000, decoys=400)
    references = await allocated(database, statuses, 600)
    await published(database, statuses)
    at_first = set(await shown(database, statuses))
    assert 64 <= len(at_first) < 192
    for reference in references[:40]:
        await changed(database, statuses, (reference,), INVALID)
        await published(database, statuses)
    in_the_end = set(await shown(database, statuses))
    indexes = {reference.idx for reference in references}
    assert not indexes & at_first
    assert at_first < in_the_end - indexes, "with the changes of others more came"
    assert in_the_end & indexes == {reference.idx for reference in references[:40]}


@pytest.mark.parametrize("count", [-1, 0, 101])
async def test_a_count_that_no_list_holds_is_refused(database: Database, small: StatusService, count: int) -> None:
    async with database.transaction() as session:
        with pytest.raises(InvalidAllocation):
            await small.allocate(session, count)


async def test_the_permutation_key_is_sealed(
    database: Database, statuses: StatusService, protector: DataProtector
) -> None:
    await allocated(database, statuses, 1)
    async with database.snapshot() as session:
        connection = await session.connection()
        sealed = (await connection.exec_driver_sql("SELECT sealed_permutation_key FROM status_list")).scalar_one()
    assert len(protector.open(sealed, "status_list.sealed_permutation_key:1")) == 32


# Statuses


async def test_what_was_set_is_shown(database: Database, statuses: StatusService) -> None:
    revoked, suspended, _ = batch = await allocated(database, statuses, 3)
    await changed(database, statuses, (revoked,), INVALID)
    await changed(database, statuses, (suspended,), SUSPENDED)
    await published(database, statuses)
    assert await shown(database, statuses) == {revoked.idx: 1, suspended.idx: 2}
    await changed(database, statuses, batch[1:], VALID)
    await published(database, statuses)
    assert await shown(database, statuses) == {revoked.idx: 1}


@pytest.mark.parametrize("value", [VALID, SUSPENDED])
async def test_a_revoked_credential_stays_revoked(
    database: Database, statuses: StatusService, value: StatusValue
) -> None:
    batch = await allocated(database, statuses, 2)
    revoked = batch[0]
    await changed(database, statuses, (revoked,), INVALID)
    with pytest.raises(StatusIsFinal):
        await changed(database, statuses, batch, value)
    await changed(database, statuses, (revoked,), INVALID)
    await published(database, statuses)
    assert await shown(database, statuses) == {revoked.idx: 1}


async def test_a_suspended_credential_can_be_revoked(database: Database, statuses: StatusService) -> None:
    batch = await allocated(database, statuses, 1)
    await changed(database, statuses, batch, SUSPENDED)
    await changed(database, statuses, batch, INVALID)
    await published(database, statuses)
    assert await shown(database, statuses) == {batch[0].idx: 1}


async def test_no_revocation_is_lost_to_suspensions_at_the_same_moment(
    database: Database, statuses: StatusService
) -> None:
    batch = await allocated(database, statuses, 5)
    moves = [(SUSPENDED, batch), (VALID, batch), (INVALID, batch), (SUSPENDED, batch[::-1]), (VALID, batch[::-1])]
    results = await asyncio.gather(
        *(changed(database, statuses, references, value) for value, references in moves), return_exceptions=True
    )
    assert all(result is None or isinstance(result, StatusIsFinal) for result in results)
    assert results[2] is None
    await published(database, statuses)
    assert await shown(database, statuses) == {reference.idx: 1 for reference in batch}


async def test_revoking_and_issuing_at_the_same_moment_lose_nothing(
    database: Database, statuses: StatusService
) -> None:
    held = await allocated(database, statuses, 20)

    async def renew(old: StatusReference) -> StatusReference:
        async with database.transaction() as session:
            await statuses.set_status(session, (old,), INVALID)
            return (await statuses.allocate(session, 1))[0]

    renewed = await asyncio.gather(*(renew(reference) for reference in held))
    assert len({*held, *renewed}) == 40
    await published(database, statuses)
    assert await shown(database, statuses) == {reference.idx: 1 for reference in held}


async def test_references_to_several_lists_change_together(database: Database, small: StatusService) -> None:
    one, other = [await allocated(database, small, 100) for _ in range(2)]
    await changed(database, small, (other[0], one[0], one[0]), INVALID)
    await published(database, small)
    assert (await shown(database, small, 1), await shown(database, small, 2)) == (
        {one[0].idx: 1},
        {other[0].idx: 1},
    )


async def test_many_references_change_in_one_call(database: Database, statuses: StatusService) -> None:
    batch = await allocated(database, statuses, 6_000)
    await changed(database, statuses, batch, INVALID)
    await published(database, statuses)
    assert len(await shown(database, statuses)) == 6_000


async def test_a_reference_to_nowhere_is_refused(database: Database, small: StatusService) -> None:
    (known,) = await allocated(database, small, 1)
    async with database.transaction() as session:
        for uri in (f"{URL}/s/7", f"{URL}/s/1/", f"{URL}/s/01", "", "https://elsewhere.example/s/1"):
            with pytest.raises(UnknownStatusList):
                await small.set_status(session, (known, StatusReference(uri, 1)), INVALID)
        for idx in (-1, 100, 2**70):
            with pytest.raises(UnknownStatusIndex):
                await small.set_status(session, (known, StatusReference(known.uri, idx)), INVALID)
        await small.publish(session, SIGNER)
    assert await shown(database, small) == {}


# Retiring


class LastUse:
    """Says that every list is pointed to until some instant."""

    def __init__(self, until: datetime) -> None:
        self._until = until

    async def refers_to(self, session: AsyncSession, status_uri: str, since: datetime) -> bool:
        return since < self._until


async def test_a_list_retires_when_it_is_full_and_nothing_points_to_it(
    database: Database, small: StatusService, clock: FakeClock
) -> None:
    full = await allocated(database, small, 99)
    await changed(database, small, full[:1], INVALID)
    await published(database, small)
    uses = LastUse(clock.now() + timedelta(days=365))

    async def retired() -> tuple[int, ...]:
        async with database.transaction() as session:
            return await small.retire(session, uses)

    clock.forward(days=367)
    assert await retired() == (), "one index was never given out"
    await allocated(database, small, 1)
    clock.forward(days=-1, hours=-1)
    assert await retired() == (), "the last credential ended less than a day ago"
    clock.forward(hours=1)
    assert await asyncio.gather(retired(), retired()) in ([(1,), ()], [(), (1,)])
    await published(database, small)
    async with database.snapshot() as session:
        with pytest.raises(StatusListRetired):
            await small.token(session, 1)
        assert f"{URL}/s/1" not in (await small.aggregation(session))["status_lists"]
    assert (await allocated(database, small, 1))[0].uri == f"{URL}/s/2"


# Publishing


async def test_lists_are_published_before_their_first_use(database: Database, statuses: StatusService) -> None:
    assert await published(database, statuses) == (1, 2)
    assert (await allocated(database, statuses, 1))[0].uri == f"{URL}/s/1"


async def test_the_next_list_is_ready_before_one_is_full(database: Database, small: StatusService) -> None:
    assert await published(database, small) == (1, 2)
    await allocated(database, small, 89)
    assert await published(database, small) == ()
    await allocated(database, small, 1)
    assert await published(database, small) == (3,)


async def test_nothing_is_signed_when_nothing_changed(
    database: Database, statuses: StatusService, clock: FakeClock
) -> None:
    await published(database, statuses)
    batch = await allocated(database, statuses, 3)
    assert await published(database, statuses) == ()
    await changed(database, statuses, batch, VALID)
    clock.forward(hours=6)
    assert await published(database, statuses) == ()
    await changed(database, statuses, batch, SUSPENDED)
    assert await published(database, statuses) == (1,)
    await changed(database, statuses, batch, SUSPENDED)
    assert await published(database, statuses) == ()


async def test_a_token_is_renewed_long_before_it_ends(
    database: Database, statuses: StatusService, clock: FakeClock
) -> None:
    await published(database, statuses)
    clock.forward(hours=6, seconds=1)
    assert await published(database, statuses) == (1, 2)


async def test_a_token_says_what_readers_check(database: Database, statuses: StatusService, clock: FakeClock) -> None:
    (reference,) = await allocated(database, statuses, 1)
    await published(database, statuses)
    async with database.snapshot() as session:
        token = await statuses.token(session, 1)
        cwt = await statuses.token(session, 1, StatusListFormat.CWT)
    now = int(clock.now().timestamp())
    header, claims = read_jwt(token.body, SIGNER.public_key)
    assert header["typ"] == "statuslist+jwt"
    assert claims["sub"] == reference.uri
    assert (claims["iat"], claims["exp"], claims["ttl"]) == (now, now + 86_400, 300)
    assert (token.media_type, token.max_age_s) == ("application/statuslist+jwt", 300)
    _, cwt_claims = read_cwt(cwt.body, SIGNER.public_key)
    assert cwt.media_type == "application/statuslist+cwt"
    assert cwt_claims[65533]["lst"] == b64u_decode(claims["status_list"]["lst"])
    assert cwt.etag != token.etag


async def test_no_cache_outlives_a_token(database: Database, statuses: StatusService, clock: FakeClock) -> None:
    await published(database, statuses)
    async with database.snapshot() as session:
        clock.forward(hours=23, minutes=59)
        assert (await statuses.token(session, 1)).max_age_s == 60
        clock.forward(minutes=2)
        assert (await statuses.token(session, 1)).max_age_s == 0


async def test_of_many_processes_each_list_is_published_by_one(database: Database, statuses: StatusService) -> None:
    batch = await allocated(database, statuses, 1)
    await published(database, statuses)
    await changed(database, statuses, batch, INVALID)
    results = await asyncio.gather(*(published(database, statuses) for _ in range(8)))
    assert sorted(results) == [()] * 7 + [(1,)]


async def test_a_slow_process_does_not_put_an_older_token_over_a_newer_one(
    database: Database, statuses: StatusService, clock: FakeClock
) -> None:
    (reference,) = await allocated(database, statuses, 1)
    await published(database, statuses)
    async with database.snapshot() as session:
        exp_before = int(clock.now().timestamp()) + 10 * 86_400
        slow_view = (await StatusRepository(session).due(exp_before))[0]
    await changed(database, statuses, (reference,), INVALID)
    clock.forward(seconds=5)
    assert await published(database, statuses) == (1,)
    for view in (slow_view, DueList(slow_view.status_list, None, None)):
        async with database.transaction() as session:
            row = StatusTokenRow(list_id=1, format="jwt", token=b"old", version=1, iat=1, exp=2)
            assert not await StatusRepository(session).replace_token(row, view)
    assert await shown(database, statuses) == {reference.idx: 1}


async def test_a_change_after_the_version_was_read_is_published_once_more(
    database: Database, statuses: StatusService
) -> None:
    (reference,) = await allocated(database, statuses, 1)
    await published(database, statuses)
    await changed(database, statuses, (reference,), SUSPENDED)
    async with database.snapshot() as session:
        (due,) = await StatusRepository(session).due(0)
    await changed(database, statuses, (reference,), INVALID)
    async with database.transaction() as session:
        row = StatusTokenRow(
            list_id=1, format="jwt", token=b"t", version=due.status_list.version, iat=due.seen_iat or 0, exp=2**40
        )
        assert await StatusRepository(session).replace_token(row, due)
        assert len(await StatusRepository(session).due(0)) == 1


async def test_a_moved_platform_still_publishes_its_old_lists_under_their_old_address(
    database: Database, statuses: StatusService, protector: DataProtector, clock: FakeClock
) -> None:
    (reference,) = await allocated(database, statuses, 1)
    moved = StatusService(protector, clock, "https://new.example", decoys=0)
    await changed(database, moved, (reference,), INVALID)
    await published(database, moved)
    async with database.snapshot() as session:
        _, claims = read_jwt((await moved.token(session, 1)).body)
        assert claims["sub"] == reference.uri
        assert await moved.aggregation(session) == {"status_lists": [f"{URL}/s/1", "https://new.example/s/2"]}


@pytest.mark.parametrize("list_id", [0, -1, 3, 2**31, 2**80])
async def test_a_list_that_does_not_exist_is_unknown(database: Database, statuses: StatusService, list_id: int) -> None:
    await published(database, statuses)
    async with database.snapshot() as session:
        with pytest.raises(UnknownStatusList):
            await statuses.token(session, list_id)


async def test_a_list_that_is_not_published_yet_is_neither_served_nor_aggregated(
    database: Database, statuses: StatusService
) -> None:
    await allocated(database, statuses, 1)
    async with database.snapshot() as session:
        with pytest.raises(UnknownStatusList):
            await statuses.token(session, 1)
        assert await statuses.aggregation(session) == {"status_lists": []}
