"""What the authorization server needs of the domains."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from credentials.issuance import CredentialOffer, IssuanceGrant
from credentials.registry import Holder, Licence


class Offers(Protocol):
    """Pre-authorized codes, and what a holder has to be issued."""

    async def count_tx_code_attempt(self, session: AsyncSession, code: str, tx_code: str | None) -> None:
        """Note a try at an offer's transaction code."""
        ...

    async def redeem(self, session: AsyncSession, code: str, tx_code: str | None) -> IssuanceGrant:
        """Use a pre-authorized code."""
        ...

    async def offered_by_state(self, session: AsyncSession, issuer_state: str) -> CredentialOffer | None:
        """The live offer that an `issuer_state` is bound to; it never says who the holder is."""
        ...

    async def holdings(
        self, session: AsyncSession, holder_id: str, configuration_ids: Iterable[str]
    ) -> Mapping[str, Sequence[str]]:
        """Configuration id → ids of the holder's licences in force, the newest first."""
        ...


class Holders(Protocol):
    """The people and organisations in the store."""

    async def holder(self, session: AsyncSession, holder_id: str) -> Holder:
        """One holder; `UnknownHolder` when there is none."""
        ...

    async def holder_by_code(self, session: AsyncSession, code_type: str, code: str) -> Holder:
        """The holder with an identity number; `UnknownHolder` when there is none."""
        ...

    async def represented_by(self, session: AsyncSession, person_holder_id: str) -> Sequence[Holder]:
        """The organisations that a person may act for today."""
        ...

    async def licence(self, session: AsyncSession, licence_id: str) -> Licence:
        """One licence."""
        ...
