"""Push over Firebase Cloud Messaging.

    fcm = PushFcm(json.loads(service_account_file), forget)
    outbox = Outbox(clock, cipher, contacts, [inbox, Push([fcm, web_push]), sms])

What FCM answers means "accepted", never "delivered": the wallet confirms a message by the `message_id` in its data
(`Outbox.acknowledge`), and without that the SMS follows. FCM takes no idempotency key; a repeated message carries
the same collapse key and tag and so replaces the first one on the device.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from notifications.errors import ChannelRefused, ChannelUnavailable, NoAddress
from notifications.models import Contact, Delivery, Device, DeviceKind, OutgoingMessage, Receipt
from notifications.ports import SendOutcome

# One request; below DeliveryPolicy.send_timeout_s, so that the thread has ended when the attempt is given up.
TIMEOUT_S = 20
MAX_DEVICES = 20  # of one holder
MULTICAST = 500  # the most that FCM takes a call
TTL_S = 86_400  # a phone that was off for longer gets the SMS and the inbox

CATEGORY = "licences"  # of notifications on the phone; vendors let public services through by category

Forget = Callable[[Device], Awaitable[None]]


class PushFcm:
    """Sends to every device of a holder; one that accepts is enough.

    Args:
        service_account: the parsed key file of a Google service account.
        forget: takes out a device that FCM does not know any more.

    Addresses of the kind `fcm` are Firebase installation ids (FIDs), which firebase-admin 7 takes instead of
    registration tokens.
    """

    name = "fcm"
    batch = MULTICAST

    def __init__(self, service_account: Mapping[str, object], forget: Forget) -> None:
        # Importing takes over a second: only for those who use it.
        import firebase_admin
        from firebase_admin import messaging
        from requests.adapters import HTTPAdapter

        certificate = firebase_admin.credentials.Certificate(dict(service_account))
        options = {"httpTimeout": TIMEOUT_S}
        self._app = firebase_admin.initialize_app(certificate, options, name=f"push-{secrets.token_hex(8)}")
        self._forget = forget
        # The library sleeps through a Retry-After of any length and then sends by itself, long after the outbox
        # gave the attempt up. Waiting is the outbox's: nothing is retried below it. There is no public setting.
        session = messaging._get_messaging_service(self._app)._client.session
        for prefix in list(session.adapters):
            session.mount(prefix, HTTPAdapter(pool_maxsize=MULTICAST, max_retries=0))

    def close(self) -> None:
        """Give the connections back."""
        import firebase_admin

        firebase_admin.delete_app(self._app)

    def reaches(self, contact: Contact) -> bool:
        """Whether the contact has a device that FCM knows by an address."""
        return bool(_fcm_devices(contact))

    async def send(self, deliveries: Sequence[Delivery]) -> Sequence[SendOutcome]:
        """Hand messages to FCM, each for up to `MAX_DEVICES` devices of its holder, in calls of up to 500.

        `NoAddress` is `no_push_token`; `ChannelRefused` is `push_unregistered`: no device of the holder is known to FCM
        any more; `ChannelUnavailable` is `push_unavailable`, every other case, with FCM's Retry-After if it gave one.
        A device that FCM does not know any more is forgotten. A fault of the project's own (its key, its quota) is no
        device's: nothing is forgotten for it.
        """
        asked = [(at, device) for at, one in enumerate(deliveries) for device in _fcm_devices(one.contact)]
        answers: dict[int, list[Any]] = {}
        for first in range(0, len(asked), MULTICAST):
            part = asked[first : first + MULTICAST]
            messages = [_fcm(deliveries[at].message, device.address) for at, device in part]
            told = await asyncio.to_thread(self._send_each, messages)
            for (at, device), answer in zip(part, told, strict=True):
                answers.setdefault(at, []).append(answer)
                if self._is_gone(answer):
                    await self._forget(device)
        return [self._outcome(answers.get(at, [])) for at in range(len(deliveries))]

    def _send_each(self, messages: Sequence[Any]) -> Sequence[Any]:
        """A message id or FCM's error for each."""
        from firebase_admin import exceptions, messaging

        try:
            responses = messaging.send_each(list(messages), app=self._app).responses
        except exceptions.FirebaseError as error:  # no access token, for one
            return [error] * len(messages)
        unknown = exceptions.UnknownError("no message id")
        return [one.message_id if one.success else one.exception or unknown for one in responses]

    def _is_gone(self, answer: object) -> bool:
        from firebase_admin import messaging

        return isinstance(answer, messaging.UnregisteredError | messaging.SenderIdMismatchError)

    def _outcome(self, answers: Sequence[Any]) -> SendOutcome:
        if not answers:
            return NoAddress("no_push_token", "the holder has no device with push")
        from firebase_admin import exceptions

        for answer in answers:
            if isinstance(answer, str):
                return Receipt(delivered=False, provider_ref=answer)
        for answer in answers:
            if not self._is_gone(answer) and not isinstance(answer, exceptions.InvalidArgumentError):
                return ChannelUnavailable(
                    "push_unavailable", f"FCM: {answer.code}", retry_after_s=_retry_after_s(answer)
                )
        return ChannelRefused("push_unregistered", "FCM knows none of the devices")


def _fcm_devices(contact: Contact) -> Sequence[Device]:
    return [one for one in contact.devices if one.kind is DeviceKind.FCM and one.address][:MAX_DEVICES]


def _fcm(message: OutgoingMessage, fid: str) -> Any:
    from firebase_admin import messaging

    key = message.idempotency_key
    return messaging.Message(
        fid=fid,
        notification=messaging.Notification(title=message.title, body=message.text),
        data={"message_id": key, "kind": message.kind},
        android=messaging.AndroidConfig(
            collapse_key=key,
            priority="high",
            ttl=TTL_S,
            notification=messaging.AndroidNotification(tag=key, channel_id=CATEGORY),
        ),
        apns=messaging.APNSConfig(
            headers={"apns-collapse-id": key, "apns-priority": "10"},
            payload=messaging.APNSPayload(aps=messaging.Aps(category=CATEGORY)),
        ),
    )


def _retry_after_s(error: Any) -> float | None:
    """Seconds from a Retry-After header (RFC 9110 §10.2.3); its date form is not read, back-off serves there."""
    response = error.http_response
    value = response.headers.get("Retry-After", "") if response is not None else ""
    return float(value) if value.isascii() and value.isdigit() else None
