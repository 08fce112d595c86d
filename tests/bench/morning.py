"""One long morning: `python -m tests.bench.morning --licences N [--licences N…] --due N --workers N`.

A store of so many licences, of which so many come due at once; real worker processes on PostgreSQL queue them and hand
them over, to the inbox and to a push that takes everything at once. Several sizes of the store are compared with the
first.
"""

import argparse
import asyncio
import multiprocessing
from contextlib import ExitStack
from multiprocessing.connection import Connection
from time import perf_counter

from sqlalchemy import text

from notifications import Bilingual, Inbox, Outbox, ReminderService, TickReport, tick
from tests.bench.reminders import DUE, STAGES, store
from tests.bench.server import own_database
from tests.fakes import FakeClock
from tests.notifications.fakes import FakeChanges, FakeChannel, FakeContacts, FakeRules
from wallet_api.database import Database
from wallet_api.garbage import collect_rarely
from wallet_api.protection import DataProtector


def main() -> None:
    """Fill, run, print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.morning", description=__doc__)
    parser.add_argument("--licences", type=int, action="append", required=True, help="in store; may be repeated")
    parser.add_argument("--due", type=int, default=300_000, help="reminders of the morning, each of another holder")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--stages", type=int, default=STAGES, help="reminders planned for each licence in store")
    arguments = parser.parse_args()
    first_s: float | None = None
    for licences in arguments.licences:
        report, took_s = _morning(licences, arguments)
        first_s = first_s or took_s
        print(
            f"{licences:,} licences, {report.queued:,} due, {arguments.workers} workers: {report.sent:,} messages in "
            f"{took_s:,.0f} s, {report.queued / took_s:,.0f} reminders/s, {took_s / first_s:.2f} of the first",
            flush=True,
        )


def _morning(licences: int, arguments: argparse.Namespace) -> tuple[TickReport, float]:
    with ExitStack() as stack:
        runner = stack.enter_context(asyncio.Runner())
        url = own_database(stack, runner)
        runner.run(_fill(url, licences, arguments.stages, arguments.due))
        pipes = [_begin(stack, url) for _ in range(arguments.workers)]
        for pipe in pipes:
            pipe.recv()  # it is ready
        began_s = perf_counter()
        for pipe in pipes:
            pipe.send(None)
        reports: list[TickReport] = [pipe.recv() for pipe in pipes]
        took_s = perf_counter() - began_s
    report = sum(reports, TickReport())
    assert (report.queued, report.sent, report.failed) == (arguments.due, 2 * arguments.due, 0), report
    return report, took_s


async def _fill(url: str, licences: int, stages: int, due: int) -> None:
    database = Database(url)
    await database.create_all()
    async with database.transaction() as session:
        await session.execute(text(DUE), {"due": due})
    await store(database, licences, stages)
    await database.close()


def _begin(stack: ExitStack, url: str) -> Connection:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_work, args=(theirs, url), daemon=True)
    process.start()
    stack.callback(process.join)
    return ours


def _work(pipe: Connection, url: str) -> None:
    collect_rarely()  # as the platform's processes do
    with asyncio.Runner() as runner:
        database = Database(url)
        protector = DataProtector({"bench": b"k" * 32}, active="bench", blind_index_key=b"i" * 32)
        clock = FakeClock()
        push = FakeChannel("push")
        push.batch = 500
        outbox = Outbox(clock, protector, FakeContacts(), [Inbox(clock, protector, database), push])
        reminders = ReminderService(clock, FakeChanges(), FakeRules(), outbox, Bilingual("一网通办", "portal"))
        pipe.send(None)
        pipe.recv()
        pipe.send(runner.run(tick(database, reminders, outbox)))
        runner.run(database.close())


if __name__ == "__main__":
    main()
