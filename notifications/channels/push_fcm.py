"""Push over Firebase Cloud Messaging.

    push = PushFcm(json.loads(service_account_file))
    outbox = Outbox(clock, cipher, contacts, [inbox, push, sms])

What FCM answers means "accepted", never "delivered": the wallet confirms a message by the `message_id` in its data
(`Outbox.acknowledge`), and without that the SMS follows. FCM takes no idempotency key; a repeated message carries
the same collapse key and tag and so replaces the first one on the device.
"""

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from notifications.errors import ChannelRefused, ChannelUnavailable, NoAddress
from notifications.models import Contact, Delivery, DeviceKind, OutgoingMessage, Receipt
from notifications.ports import SendOutcome

# One request; below DeliveryPolicy.send_timeout_s, so that the thread has ended when the attempt is given up.
TIMEOUT_S = 20
MAX_DEVICES = 20  # of one holder; FCM itself takes 500 a call


class PushFcm:
    """Sends to every device of a holder; one that accepts is enough.

    Args:
        service_account: the parsed key file of a Google service account.

    Addresses of the kind `fcm` are Firebase installation ids (FIDs), which firebase-admin 7 takes instead of
    registration tokens.
    """

    name = "push"
    batch = 1

    def __init__(self, service_account: Mapping[str, object]) -> None:
        # Importing takes over a second: only for those who use it.
        import firebase_admin
        from firebase_admin import messaging
        from requests.adapters import HTTPAdapter

        certificate = firebase_admin.credentials.Certificate(dict(service_account))
        options = {"httpTimeout": TIMEOUT_S}
        self._app = firebase_admin.initialize_app(certificate, options, name=f"push-{secrets.token_hex(8)}")
        # The library sleeps through a Retry-After of any length and then sends by itself, long after the outbox
        # gave the attempt up. Waiting is the outbox's: nothing is retried below it. There is no public setting.
        session = messaging._get_messaging_service(self._app)._client.session
        for prefix in list(session.adapters):
            session.mount(prefix, HTTPAdapter(pool_maxsize=MAX_DEVICES, max_retries=0))

    def close(self) -> None:
        """Give the connections back."""
        import firebase_admin

        firebase_admin.delete_app(self._app)

    async def send(self, deliveries: Sequence[Delivery]) -> Sequence[SendOutcome]:
        """Hand each message to FCM for up to `MAX_DEVICES` devices.

        `NoAddress` is `no_push_token`; `ChannelRefused` is `push_unregistered`: no device of the holder is known to FCM
        any more; `ChannelUnavailable` is `push_unavailable`, every other case, with FCM's Retry-After if it gave one.
        """
        return [await self._outcome(one.message, one.contact) for one in deliveries]

    async def _outcome(self, message: OutgoingMessage, contact: Contact) -> SendOutcome:
        devices = [one.address for one in contact.devices if one.kind is DeviceKind.FCM and one.address][:MAX_DEVICES]
        if not devices:
            return NoAddress("no_push_token", "the holder has no device with push")
        try:
            return await asyncio.to_thread(self._send, message, devices)
        except (ChannelUnavailable, ChannelRefused) as error:
            return error

    def _send(self, message: OutgoingMessage, devices: list[str]) -> Receipt:
        from firebase_admin import exceptions, messaging

        try:
            responses = messaging.send_each([_fcm(message, fid) for fid in devices], app=self._app).responses
        except exceptions.FirebaseError as error:  # no access token, for one
            raise ChannelUnavailable("push_unavailable", f"FCM: {error.code}") from error
        for response in responses:
            if response.success:
                return Receipt(delivered=False, provider_ref=response.message_id)
        gone = (messaging.UnregisteredError, messaging.SenderIdMismatchError, exceptions.InvalidArgumentError)
        failures = [response.exception or exceptions.UnknownError("no message id") for response in responses]
        passing = next((failure for failure in failures if not isinstance(failure, gone)), None)
        if passing is None:
            raise ChannelRefused("push_unregistered", "FCM knows none of the devices") from failures[0]
        code, retry_after_s = f"FCM: {passing.code}", _retry_after_s(passing)
        raise ChannelUnavailable("push_unavailable", code, retry_after_s=retry_after_s) from passing


def _fcm(message: OutgoingMessage, fid: str) -> Any:
    from firebase_admin import messaging

    key = message.idempotency_key
    return messaging.Message(
        fid=fid,
        notification=messaging.Notification(title=message.title, body=message.text),
        data={"message_id": key, "kind": message.kind},
        android=messaging.AndroidConfig(
            collapse_key=key, priority="high", notification=messaging.AndroidNotification(tag=key)
        ),
        apns=messaging.APNSConfig(headers={"apns-collapse-id": key, "apns-priority": "10"}),
    )


def _retry_after_s(error: Any) -> float | None:
    """Seconds from a Retry-After header (RFC 9110 §10.2.3); its date form is not read, back-off serves there."""
    response = error.http_response
    value = response.headers.get("Retry-After", "") if response is not None else ""
    return float(value) if value.isascii() and value.isdigit() else None
