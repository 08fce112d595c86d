"""Receipts that providers give after they accepted a message."""

from collections.abc import Sequence
from dataclasses import dataclass

from notifications.outbox.repository import OutboxRepository
from notifications.ports import Clock, UnitOfWork


@dataclass(frozen=True)
class ProviderReceipt:
    """What a provider says of a message.

    Args:
        provider_ref: what the provider called the message when it accepted it.
        reason: the provider's own word for what went wrong; no personal data.
    """

    provider_ref: str
    delivered: bool
    reason: str | None = None


class ReceiptBook:
    """Takes receipts in, whenever they come; the next run of the outbox writes them into their messages."""

    def __init__(self, uow: UnitOfWork, clock: Clock) -> None:
        self._uow = uow
        self._clock = clock

    async def note(self, provider: str, provider_ref: str, *, delivered: bool, reason: str | None = None) -> None:
        """Keep what a provider says of a message; one that did not arrive has failed.

        It may come before the worker has written down that the message was sent, and again: until a run writes it into
        the message the last word counts, and after that no other.

        Args:
            provider_ref: what the provider called the message when it accepted it.
            reason: the provider's own word for what went wrong; no personal data.
        """
        await self.note_all(provider, [ProviderReceipt(provider_ref, delivered, reason)])

    async def note_all(self, provider: str, receipts: Sequence[ProviderReceipt]) -> None:
        """The same of many, in one transaction; of several about one message the last counts."""
        if not receipts:
            return
        now, last = self._clock.now(), {one.provider_ref: one for one in receipts}
        values = [
            {
                "provider": provider,
                "provider_ref": ref,
                "delivered": one.delivered,
                "reason": one.reason and f"undelivered: {one.reason}",
                "received_at": now,
            }
            for ref, one in sorted(last.items())  # two that come at once do not wait for each other in a circle
        ]
        async with self._uow.transaction() as session:
            await OutboxRepository(session).add_receipts(values)
