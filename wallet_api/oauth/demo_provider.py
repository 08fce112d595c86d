"""Who may sign in without any proof: the embedded mode's stand-in for the city's provider, for sample people only."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from credentials.registry import Holder
from credentials.registry.service import Registry
from wallet_api.oauth.ports import Offers

SEARCHED = 1_000  # a sample has a few hundred holders
SHOWN = 24  # as many as a person looks through before searching


@dataclass(frozen=True)
class SampleHolder:
    """Somebody to sign in as, and how many of the licences that are asked for they have."""

    holder: Holder
    held: int


class DemoProvider:
    """Sample citizens and companies to pick from."""

    def __init__(self, registry: Registry, offers: Offers) -> None:
        self._registry = registry
        self._offers = offers

    async def find(self, session: AsyncSession, name: str, configuration_ids: Sequence[str]) -> Sequence[SampleHolder]:
        """Holders whose name contains a text, at most 24; those first who have what is asked for.

        Where nothing is asked for but the inbox, any will do.
        """
        found = []
        for holder in await self._registry.holders(session, SEARCHED):
            if name in holder.name:
                held = await self._offers.holdings(session, holder.id, configuration_ids)
                found.append(SampleHolder(holder, sum(map(len, held.values()))))
            if sum(one.held > 0 or not configuration_ids for one in found) >= SHOWN:
                break
        return sorted(found, key=lambda one: one.held == 0)[:SHOWN]
