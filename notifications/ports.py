"""What this package needs from its surroundings; `wallet_api` connects it."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from notifications.errors import ChannelRefused, ChannelUnavailable
from notifications.models import Contact, Delivery, LicenceChange, Receipt, Stage, Wording

SendOutcome = Receipt | ChannelUnavailable | ChannelRefused


class Clock(Protocol):
    """Time is given, never read."""

    def now(self) -> datetime:
        """The present instant, aware."""


class FieldCipher(Protocol):
    """Seals message texts at rest."""

    def seal(self, plaintext: bytes, context: str) -> bytes:
        """Encrypt, bound to `context`."""

    def open(self, sealed: bytes, context: str) -> bytes:
        """Decrypt what was sealed for the same context, or raise."""


class AddressProtector(FieldCipher, Protocol):
    """Seals addresses and finds them again."""

    def blind_index(self, purpose: str, value: str) -> bytes:
        """32 bytes, equal for equal input, that say nothing without the key."""


class UnitOfWork(Protocol):
    """Gives transactions to the one service that needs several: delivery never sends inside one."""

    def transaction(self) -> AbstractAsyncContextManager[AsyncSession]:
        """A session that is committed on leaving and rolled back on an exception."""


class LicenceChanges(Protocol):
    """The licence store's changes, in the order in which they were committed."""

    async def pull(self, session: AsyncSession, consumer: str, limit: int) -> Sequence[LicenceChange]:
        """The next changes for `consumer`, whose cursor moves in the caller's transaction.

        Changes of one licence come in order. Giving a change twice does no harm.
        """

    async def of_type(
        self, session: AsyncSession, consumer: str, type_code: str, after: str | None, limit: int
    ) -> Sequence[LicenceChange]:
        """The licences of a type as they stand now, by id from after `after`.

        `consumer` pulls no change until the caller's transaction ends: it would be of an older standing, or a newer.
        """


class ReminderRules(Protocol):
    """The part of the type packs that reminders follow."""

    def type_codes(self) -> Collection[str]:
        """The types that have rules."""

    def stages(self, type_code: str) -> Sequence[Stage]:
        """When to remind; empty for a type that is unknown or never reminded of."""

    def wording(self, type_code: str) -> Wording | None:
        """What to say; None for an unknown type."""


class Contacts(Protocol):
    """Where holders can be reached."""

    async def find(self, session: AsyncSession, holder_ids: Collection[str]) -> Mapping[str, Contact]:
        """Asked at send time only. A holder who is gone (deceased, cancelled, unknown) is left out."""


class Receipts(Protocol):
    """Takes what providers say of a message after they accepted it."""

    async def note(self, provider: str, provider_ref: str, *, delivered: bool, reason: str | None = None) -> None:
        """Keep it; it may come before the message is known to be sent, and again."""


class Asked(Protocol):
    """Keeps who is about to be given a message: known also when nobody lives to tell what became of it."""

    async def note(self, provider: str, idempotency_keys: Sequence[str]) -> None:
        """Keep it for good before this returns."""


class Channel(Protocol):
    """One way to reach holders, or one provider behind it: both have this form."""

    @property
    def name(self) -> str:
        """`inbox`, `push` or `sms`; of a provider its own name."""

    @property
    def batch(self) -> int:
        """The most messages that one call takes, at least 1."""

    async def send(self, deliveries: Sequence[Delivery]) -> Sequence[SendOutcome]:
        """Hand messages over; what became of each, in their order.

        `ChannelUnavailable`: try it again later. `ChannelRefused`: it will never be taken; `NoAddress` when the contact
        has none on this channel. One message's failure is no other one's, and none is raised; what is raised beside
        them leaves open what became of any.
        """


class Provider(Channel, Protocol):
    """One that is asked over a network, and tells without it whom it reaches."""

    def reaches(self, contact: Contact) -> bool:
        """Whether the contact has an address here. Pure; `send` answers `NoAddress` for the others and asks nobody."""
