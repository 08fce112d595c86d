"""None lost and none twice: real processes on a real PostgreSQL, one of which dies at every step there is.

A provider that knows idempotency keys shows a message once, however often it comes: here the number of keys. One that
knows none shows what it takes: a worker that dies between a provider's answer and its own commit has those batches
sent again that it had under way, and no others.
"""

import asyncio
import signal
import time
from datetime import timedelta
from pathlib import Path

import pytest

from notifications import Bilingual, Notice
from notifications.outbox.delivery import BATCHES_AT_ONCE
from tests.fakes import FakeClock
from tests.notifications.fakes import City
from tests.notifications.mortal import BATCH, STEPS, TAKEN_AND_NOT_CLOSED, FarEnd, Order, run, start
from wallet_api.database import Database
from wallet_api.protection import DataProtector

pytestmark = pytest.mark.postgresql

WINDOW = BATCH * BATCHES_AT_ONCE  # what one worker has under way at once


class Proof:
    """Messages in a database, the far end, and workers at given times."""

    def __init__(self, city: City, runner: asyncio.Runner, url: str, book: Path) -> None:
        self._city = city
        self._runner = runner
        self._url = url
        self.first = FarEnd(book)
        self.second = FarEnd(book.with_suffix(".second"))

    def write(self, number: int) -> None:
        """Notices for as many holders."""
        text = Bilingual("您的证照已恢复。", "Your licence is in force again.")
        notices = [
            Notice(f"holder-{n}", "licence_resumed", f"licence:{n}", text, text, ("sms",)) for n in range(number)
        ]

        async def write() -> None:
            async with self._city.database.transaction() as session:
                assert await self._city.outbox.notify(session, notices) == number

        self._runner.run(write())

    def order(self, *, hours: float = 0, **different: object) -> Order:
        """For a worker `hours` from now; an hour is past every lease and every back-off."""
        now = self._city.clock.now() + timedelta(hours=hours)
        return Order(self._url, self.first.file, now, **different)  # type: ignore[arg-type]

    def counts(self) -> dict[tuple[str, str], int]:
        return self._runner.run(self._city.counts())


@pytest.fixture
def proof(
    postgresql_database: Database,
    postgresql_url: str,
    runner: asyncio.Runner,
    clock: FakeClock,
    protector: DataProtector,
    tmp_path: Path,
) -> Proof:
    return Proof(City(postgresql_database, clock, protector), runner, postgresql_url, tmp_path / "book")


@pytest.mark.parametrize("step", STEPS)
def test_a_worker_that_dies_at_any_step_loses_nothing_and_repeats_at_most_what_it_had_under_way(
    proof: Proof, step: str
) -> None:
    proof.write(40)
    assert run(proof.order(dies_at=step)) == [-signal.SIGKILL]
    before = proof.first.attempts()
    assert len(before) < 40
    assert run(*[proof.order(hours=1)] * 3) == [0, 0, 0]
    attempts = proof.first.attempts()
    assert len(attempts) == 40, "each message arrived, under one key"
    assert proof.counts() == {("sms", "delivered"): 40}
    again = {key: tries for key, tries in attempts.items() if len(tries) > 1}
    if step in TAKEN_AND_NOT_CLOSED:
        assert BATCH <= len(again) <= WINDOW
    else:
        assert len(again) <= WINDOW - BATCH, "the other batch may have been in the window"
    assert all(tries == [1, 2] and key in before for key, tries in again.items()), "the provider is told"


def test_a_worker_killed_from_outside_beside_two_others_loses_nothing(proof: Proof) -> None:
    proof.write(300)
    workers = [start(proof.order(pause_s=0.01)) for _ in range(3)]
    deadline = time.monotonic() + 20
    while proof.first.taken() < 60 and time.monotonic() < deadline:
        time.sleep(0.005)
    workers[0].kill()
    for worker in workers:
        worker.join(20)
    assert [worker.exitcode for worker in workers] == [-signal.SIGKILL, 0, 0]
    attempts = proof.first.attempts()
    assert all(tries == [1] for tries in attempts.values()), "while all leases run nothing is repeated"
    assert 300 - WINDOW <= len(attempts) <= 300
    assert run(*[proof.order(hours=1)] * 3) == [0, 0, 0]
    attempts = proof.first.attempts()
    assert len(attempts) == 300
    assert proof.counts() == {("sms", "delivered"): 300}
    assert sum(len(tries) > 1 for tries in attempts.values()) <= WINDOW
    assert all(tries in ([1], [2], [1, 2]) for tries in attempts.values())


def test_what_a_provider_took_without_an_answer_goes_to_no_other_one_however_long_it_is_away(proof: Proof) -> None:
    proof.write(20)
    assert run(proof.order(silent=True)) == [0]
    assert (len(proof.first.attempts()), proof.counts()) == (20, {("sms", "pending"): 20})
    for hours in (1, 2):
        assert run(*[proof.order(hours=hours, away=True)] * 2) == [0, 0]
        assert proof.second.taken() == 0
    assert run(*[proof.order(hours=3)] * 2) == [0, 0]
    assert proof.counts() == {("sms", "delivered"): 20}
    assert list(proof.first.attempts().values()) == [[1, 4]] * 20, "under the same key, as a repetition"
    assert proof.second.taken() == 0


@pytest.mark.parametrize("step", sorted(TAKEN_AND_NOT_CLOSED))
def test_what_a_dead_worker_gave_to_a_provider_goes_to_no_other_one(proof: Proof, step: str) -> None:
    proof.write(40)
    assert run(proof.order(dies_at=step)) == [-signal.SIGKILL]
    taken = set(proof.first.attempts())
    assert run(*[proof.order(hours=1, away=True)] * 2) == [0, 0]
    elsewhere = set(proof.second.attempts())
    assert not taken & elsewhere
    assert 40 - len(taken | elsewhere) <= WINDOW - BATCH, "only what it was about to give waits"
    assert run(proof.order(hours=2)) == [0]
    assert proof.counts() == {("sms", "delivered"): 40}
    assert set(proof.second.attempts()) == elsewhere
    assert len(set(proof.first.attempts()) | elsewhere) == 40


def test_what_a_provider_did_not_take_goes_to_the_next_one_once(proof: Proof) -> None:
    proof.write(20)
    assert run(*[proof.order(away=True)] * 3) == [0, 0, 0]
    assert (proof.first.taken(), proof.second.taken(), len(proof.second.attempts())) == (0, 20, 20)
