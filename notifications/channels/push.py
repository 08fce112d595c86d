"""Push to every device of a holder, whoever carries it: one device that accepts is enough."""

import asyncio
from collections.abc import Sequence

from notifications.errors import ChannelUnavailable, NoAddress
from notifications.models import Delivery, Receipt
from notifications.ports import Channel, SendOutcome


class Push:
    """Carriers side by side; each takes the devices of its own kind."""

    name = "push"

    def __init__(self, carriers: Sequence[Channel]) -> None:
        self.batch = min(carrier.batch for carrier in carriers)
        self._carriers = carriers

    async def send(self, deliveries: Sequence[Delivery]) -> Sequence[SendOutcome]:
        """The best of what the carriers said of each message: taken, perhaps taken, to be tried again, held back by
        ourselves, refused, no device."""
        told = await asyncio.gather(*(carrier.send(deliveries) for carrier in self._carriers))
        return [min(said, key=_rank) for said in zip(*told, strict=True)]


def _rank(outcome: SendOutcome) -> int:
    if isinstance(outcome, Receipt):
        return 0 if outcome.delivered else 1
    if isinstance(outcome, ChannelUnavailable):
        return 2 if outcome.uncertain else 4 if outcome.held else 3
    return 6 if isinstance(outcome, NoAddress) else 5
