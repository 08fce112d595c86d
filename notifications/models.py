"""Values that cross the borders of this package."""

from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Literal

Language = Literal["zh", "en"]


@dataclass(frozen=True)
class Bilingual:
    """One text in both languages of the wallet."""

    zh: str
    en: str

    def to(self, language: Language) -> str:
        """The text for a reader of `language`."""
        return self.en if language == "en" else self.zh


@dataclass(frozen=True)
class LicenceChange:
    """What a licence is after a change.

    Args:
        licence_version: grows with each version; equal for changes of state within one.
        in_force: False when revoked, cancelled, superseded or suspended.
        valid_until: the last valid Shanghai day; None for a long-term licence (长期).
        replaces_licence_id: the predecessor (`associatedZzeCertID`), on renewal.
    """

    licence_id: str
    licence_version: int
    type_code: str
    holder_ids: tuple[str, ...]
    in_force: bool
    valid_until: date | None
    replaces_licence_id: str | None = None


class LeadUnit(StrEnum):
    """What a time before a day is counted in."""

    DAYS = "days"
    WORKING_DAYS = "working-days"
    MONTHS = "months"


@dataclass(frozen=True)
class Lead:
    """So long before a day; negative days are after it."""

    amount: int
    unit: LeadUnit = LeadUnit.DAYS


@dataclass(frozen=True)
class Stage:
    """A moment to remind at, by going back from the last valid day by one lead after the other.

    Two leads are what is counted from the opening or the closing of the time for renewal.
    """

    name: str
    leads: tuple[Lead, ...]


@dataclass(frozen=True)
class Wording:
    """What a reminder says about a licence type.

    Args:
        name: the type's name.
        window: one whole sentence that says when to apply for renewal.
        of_organisations: whether organisations hold it: it is then not the reader's own.
        source: the law or rule the window comes from.
    """

    name: Bilingual
    window: Bilingual
    source: Bilingual
    of_organisations: bool = False


class DeviceKind(StrEnum):
    """Who carries push to a device."""

    FCM = "fcm"
    WEB_PUSH = "web-push"


@dataclass(frozen=True)
class Device:
    """A device that takes push.

    Args:
        address: for FCM the installation id or registration token; for web push the subscription as JSON.
    """

    kind: DeviceKind
    address: str = field(repr=False)


@dataclass(frozen=True)
class Contact:
    """Where a holder can be reached now. Held for the length of one sending, never stored here."""

    devices: tuple[Device, ...] = field(default=(), repr=False)
    phone: str | None = field(default=None, repr=False)
    language: Language = "zh"


@dataclass(frozen=True)
class OutgoingMessage:
    """A message as a channel gets it, in the holder's language.

    Args:
        idempotency_key: equal for every attempt at the same message, so that a channel can tell a repetition.
        holder_id: our reference of the holder; says nothing outside.
        attempt: from 1; above it the message may have been accepted before.
        provider: who may have accepted it, if an attempt ended without an answer or was never ended; nobody else is to
            get it.
        useful_until: past this instant nobody needs it any more; None: no such instant.
    """

    idempotency_key: str
    holder_id: str
    kind: str
    title: str = field(repr=False)
    text: str = field(repr=False)
    attempt: int = 1
    provider: str | None = None
    useful_until: datetime | None = None


@dataclass(frozen=True)
class Delivery:
    """A message and where its holder can be reached at this moment."""

    message: OutgoingMessage
    contact: Contact = field(repr=False)


@dataclass(frozen=True)
class Receipt:
    """The provider has the message.

    Args:
        delivered: True when it is known to have arrived; False when it is only accepted.
        provider_ref: the provider's own id of the message, under which a later receipt names it.
        provider: who took it, where a channel has several.
    """

    delivered: bool
    provider_ref: str | None = None
    provider: str | None = None
