"""One run of everything, to be called by a timer."""

from dataclasses import astuple, dataclass

from notifications.outbox.service import Outbox
from notifications.ports import UnitOfWork
from notifications.reminders.service import ReminderService

BATCH = 100  # changes or holders a transaction; short enough that no other writer waits long
MAX_BATCHES = 50  # a bulk import of licences must not hold back what is due: each round goes on to the next part
MAX_MESSAGES = 5_000  # of a channel, a round


@dataclass(frozen=True)
class TickReport:
    """What one run did: reminders planned, withdrawn and queued; messages sent, finally failed and put back."""

    planned: int = 0
    withdrawn: int = 0
    queued: int = 0
    sent: int = 0
    failed: int = 0
    retried: int = 0

    def __add__(self, other: "TickReport") -> "TickReport":
        return TickReport(*(mine + more for mine, more in zip(astuple(self), astuple(other), strict=True)))


async def tick(uow: UnitOfWork, reminders: ReminderService, outbox: Outbox) -> TickReport:
    """Follow the licence changes, queue what is due, deliver what waits, until nothing is left to do now.

    Safe to run at any time, as often as wanted, in several processes at once, and to be killed half-way: a second
    run right after the first does nothing.
    """
    report, more = TickReport(), True
    while more:
        did, more = await _round(uow, reminders, outbox)
        report += did
    return report


async def _round(uow: UnitOfWork, reminders: ReminderService, outbox: Outbox) -> tuple[TickReport, bool]:
    """One part of everything, and whether there is more."""
    planned = withdrawn = queued = 0
    following = queueing = False
    for _ in range(MAX_BATCHES):
        async with uow.transaction() as session:
            followed = await reminders.follow(session, BATCH)
        planned, withdrawn = planned + followed.planned, withdrawn + followed.withdrawn
        following = followed.changes > 0
        if not following:
            break
    for _ in range(MAX_BATCHES):
        async with uow.transaction() as session:
            followed = await reminders.follow_rules(session, BATCH)
        planned, withdrawn = planned + followed.planned, withdrawn + followed.withdrawn
        if not followed.changes:
            break
        following = True
    for _ in range(MAX_BATCHES):
        async with uow.transaction() as session:
            due = await reminders.queue_due(session, BATCH)
        queued += due.queued
        queueing = due.closed > 0
        if not queueing:
            break
    delivered = await outbox.deliver(uow, MAX_MESSAGES)
    report = TickReport(planned, withdrawn, queued, delivered.sent, delivered.failed, delivered.retried)
    handed = delivered.sent + delivered.failed + delivered.retried + delivered.cancelled
    return report, following or queueing or handed >= MAX_MESSAGES
