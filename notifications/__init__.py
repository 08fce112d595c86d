"""Tells holders what they must know in time: reminders before a licence expires, delivered once.

    outbox = Outbox(clock, cipher, contacts, [Inbox(clock, cipher, database), Sink("push", path, clock)])
    reminders = ReminderService(clock, changes, rules, outbox, Bilingual("“一网通办”", "the one-stop portal"))
    report = await tick(database, reminders, outbox)      # from a timer, in any number of processes

- `reminders/` follows the licence changes and plans: one row for each stage, end of validity and holder.
- `outbox/` keeps what is to be said, hands it over with leases and retries, falls back to the next channel.
- `channels/` are the ways to a holder: the inbox in the wallet, push, and a file that stands in for push and SMS.

Everything this package needs from outside is a Protocol in `ports.py`. Times are aware instants from the `Clock`;
calendar days are Shanghai days.
"""

from notifications.channels.devices import Devices, RegisteredDevice
from notifications.channels.formats.push_device import fcm_device, web_push_device
from notifications.channels.inbox import Inbox, InboxGlance, InboxMessage, InboxPage
from notifications.channels.sink import Sink
from notifications.errors import ChannelRefused, ChannelUnavailable, NoAddress, NotificationsError
from notifications.models import (
    Bilingual,
    Contact,
    Delivery,
    Device,
    DeviceKind,
    Language,
    Lead,
    LeadUnit,
    LicenceChange,
    OutgoingMessage,
    Receipt,
    Stage,
    Wording,
)
from notifications.outbox.models import Digest, Entry, MessageState, Notice, StoredMessage
from notifications.outbox.policy import DeliveryPolicy, QuietHours
from notifications.outbox.service import Outbox, Selection
from notifications.preferences import Choices, Preferences
from notifications.reminders.coverage import StageCoverage, coverage
from notifications.reminders.service import ReminderService
from notifications.reminders.switches import ReminderSwitches, SwitchedOff
from notifications.service import TickReport, tick

__all__ = [
    "Bilingual",
    "ChannelRefused",
    "ChannelUnavailable",
    "Choices",
    "Contact",
    "Delivery",
    "DeliveryPolicy",
    "Device",
    "DeviceKind",
    "Devices",
    "Digest",
    "Entry",
    "Inbox",
    "InboxGlance",
    "InboxMessage",
    "InboxPage",
    "Language",
    "Lead",
    "LeadUnit",
    "LicenceChange",
    "MessageState",
    "NoAddress",
    "Notice",
    "NotificationsError",
    "Outbox",
    "OutgoingMessage",
    "Preferences",
    "QuietHours",
    "Receipt",
    "RegisteredDevice",
    "ReminderService",
    "ReminderSwitches",
    "Selection",
    "Sink",
    "Stage",
    "StageCoverage",
    "StoredMessage",
    "SwitchedOff",
    "TickReport",
    "Wording",
    "coverage",
    "fcm_device",
    "tick",
    "web_push_device",
]
