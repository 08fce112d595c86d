"""One run of everything, to be called by a timer."""

from dataclasses import dataclass

from notifications.outbox.service import Outbox
from notifications.ports import UnitOfWork
from notifications.reminders.service import ReminderService

BATCH = 100  # changes or holders a transaction; short enough that no other writer waits long
MAX_BATCHES = 50  # a bulk import of licences must not hold back what is due; the next run goes on


@dataclass(frozen=True)
class TickReport:
    """What one run did: reminders planned, withdrawn and queued; messages sent, finally failed and put back."""

    planned: int = 0
    withdrawn: int = 0
    queued: int = 0
    sent: int = 0
    failed: int = 0
    retried: int = 0


async def tick(uow: UnitOfWork, reminders: ReminderService, outbox: Outbox, *, max_messages: int = 1000) -> TickReport:
    """Follow the licence changes, queue what is due, deliver what waits.

    Safe to run at any time, as often as wanted, in several processes at once, and to be killed half-way: a second
    run right after the first does nothing.
    """
    planned = withdrawn = queued = 0
    for _ in range(MAX_BATCHES):
        async with uow.transaction() as session:
            followed = await reminders.follow(session, BATCH)
        planned, withdrawn = planned + followed.planned, withdrawn + followed.withdrawn
        if not followed.changes:
            break
    for _ in range(MAX_BATCHES):
        async with uow.transaction() as session:
            due = await reminders.queue_due(session, BATCH)
        queued += due.queued
        if not due.queued + due.overtaken:
            break
    delivered = await outbox.deliver(uow, max_messages)
    return TickReport(planned, withdrawn, queued, delivered.sent, delivered.failed, delivered.retried)
