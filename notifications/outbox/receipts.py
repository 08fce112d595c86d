"""Receipts that providers give after they accepted a message."""

from notifications.outbox.repository import OutboxRepository
from notifications.ports import Clock, UnitOfWork


class ReceiptBook:
    """Takes receipts in, whenever they come; the next run of the outbox writes them into their messages."""

    def __init__(self, uow: UnitOfWork, clock: Clock) -> None:
        self._uow = uow
        self._clock = clock

    async def note(self, provider: str, provider_ref: str, *, delivered: bool, reason: str | None = None) -> None:
        """Keep what a provider says of a message; one that did not arrive has failed, and the last word counts.

        It may come before the worker has written down that the message was sent, and again.

        Args:
            provider_ref: what the provider called the message when it accepted it.
            reason: the provider's own word for what went wrong; no personal data.
        """
        values = {
            "provider": provider,
            "provider_ref": provider_ref,
            "delivered": delivered,
            "reason": reason and f"undelivered: {reason}",
            "received_at": self._clock.now(),
        }
        async with self._uow.transaction() as session:
            await OutboxRepository(session).add_receipt(values)
