"""Push over Firebase Cloud Messaging.

    fcm = PushFcm(json.loads(service_account_file), forget)
    outbox = Outbox(clock, cipher, contacts, [inbox, Push([fcm, web_push]), sms])

What FCM answers means "accepted", never "delivered": the wallet confirms a message by the `message_id` in its data
(`Outbox.acknowledge`), and without that the SMS follows. FCM takes no idempotency key; a repeated message carries
the same collapse key and tag and so replaces the first one on the device.
"""

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

from notifications.channels.formats.shortening import shortened
from notifications.errors import ChannelRefused, ChannelUnavailable, NoAddress
from notifications.models import Contact, Delivery, Device, DeviceKind, OutgoingMessage, Receipt
from notifications.ports import SendOutcome

# One request; below DeliveryPolicy.send_timeout_s, so that the thread has ended when the attempt is given up.
TIMEOUT_S = 20
MAX_DEVICES = 20  # of one holder
MULTICAST = 500  # the most that FCM takes a call
GATEWAY_TIMEOUT = 504  # somebody before FCM passed the request on and heard nothing
MAX_BYTES = 3500  # of title and text; FCM takes 4096 with everything beside them
TTL_S = 86_400  # a phone that was off for longer gets the SMS and the inbox

CATEGORY = "licences"  # of notifications on the phone; vendors let public services through by category

Forget = Callable[[Device], Awaitable[None]]


class PushFcm:
    """Sends to every device of a holder; one that accepts is enough.

    Args:
        service_account: the parsed key file of a Google service account.
        forget: takes out a device that FCM does not know any more.
        timeout_s: for FCM's answer to one request.

    Addresses of the kind `fcm` are Firebase installation ids (FIDs), which firebase-admin 7 takes instead of
    registration tokens.
    """

    name = "fcm"
    batch = MULTICAST

    def __init__(self, service_account: Mapping[str, object], forget: Forget, *, timeout_s: float = TIMEOUT_S) -> None:
        # Importing takes over a second: only for those who use it.
        import firebase_admin
        from firebase_admin import messaging
        from google.auth.transport.requests import Request
        from requests import Session
        from requests.adapters import HTTPAdapter

        certificate = firebase_admin.credentials.Certificate(dict(service_account))
        options = {"httpTimeout": timeout_s}
        self._app = firebase_admin.initialize_app(certificate, options, name=f"push-{secrets.token_hex(8)}")
        self._forget = forget
        # The library sleeps through a Retry-After of any length and then sends by itself, long after the outbox
        # gave the attempt up. Waiting is the outbox's: nothing is retried below it. There is no public setting.
        session = messaging._get_messaging_service(self._app)._client.session
        for prefix in list(session.adapters):
            session.mount(prefix, HTTPAdapter(pool_maxsize=MULTICAST, max_retries=0))
        self._credentials = session.credentials
        self._token_session = Session()
        self._token_request = partial(Request(self._token_session), timeout=timeout_s)

    async def close(self) -> None:
        """Give the connections back."""
        import firebase_admin

        self._token_session.close()
        # The library starts an event loop of its own for it, which it cannot where one runs.
        await asyncio.to_thread(firebase_admin.delete_app, self._app)

    def reaches(self, contact: Contact) -> bool:
        """Whether the contact has a device that FCM knows by an address."""
        return bool(_fcm_devices(contact))

    async def send(self, deliveries: Sequence[Delivery]) -> Sequence[SendOutcome]:
        """Hand messages to FCM, each for up to `MAX_DEVICES` devices of its holder, in calls of up to 500.

        `NoAddress` is `no_push_token`; `ChannelRefused` is `push_unregistered`: no device of the holder is known to FCM
        any more; `ChannelUnavailable` is `push_unavailable`, every other case, with FCM's Retry-After if it gave one.
        It is `uncertain` when a message may have reached FCM and no answer tells.
        A device that FCM does not know any more is forgotten. A fault of the project's own (its key, its quota) is no
        device's: nothing is forgotten for it.
        """
        asked = [(at, device) for at, one in enumerate(deliveries) for device in _fcm_devices(one.contact)]
        answers: dict[int, list[Any]] = {}
        for first in range(0, len(asked), MULTICAST):
            part = asked[first : first + MULTICAST]
            messages = [_fcm(deliveries[at].message, device.address) for at, device in part]
            told = await self._told(messages)
            for (at, device), answer in zip(part, told, strict=True):
                answers.setdefault(at, []).append(answer)
                if self._is_gone(answer):
                    await self._forget(device)
        return [self._outcome(answers.get(at, [])) for at in range(len(deliveries))]

    async def _told(self, messages: Sequence[Any]) -> Sequence[Any]:
        """A message id or an error for each."""
        # Two steps: who is given up while waiting for a token has sent nothing and sends nothing later.
        no_access = await asyncio.to_thread(self._no_access)
        if no_access is not None:
            return [no_access] * len(messages)
        return await asyncio.to_thread(self._send_each, messages)

    def _no_access(self) -> Exception | None:
        """Get an access token, once and not in each of the library's threads; gives why there is none."""
        from firebase_admin import exceptions
        from google.auth.exceptions import GoogleAuthError

        try:
            if not self._credentials.valid:
                self._credentials.refresh(self._token_request)
        except GoogleAuthError as error:
            missing: Exception = exceptions.UnavailableError("no access token", cause=error)
            return missing
        return None

    def _send_each(self, messages: Sequence[Any]) -> Sequence[Any]:
        from firebase_admin import exceptions, messaging

        try:
            responses = messaging.send_each(list(messages), app=self._app).responses
        except exceptions.FirebaseError as error:  # one answer that cannot be read hides those of all others
            return [error] * len(messages)
        unknown = exceptions.UnknownError("no message id")
        return [one.message_id if one.success else one.exception or unknown for one in responses]

    def _is_gone(self, answer: object) -> bool:
        from firebase_admin import messaging

        return isinstance(answer, messaging.UnregisteredError | messaging.SenderIdMismatchError)

    def _outcome(self, answers: Sequence[Any]) -> SendOutcome:
        if not answers:
            return NoAddress("no_push_token", "the holder has no device with push")
        from firebase_admin import exceptions, messaging

        for answer in answers:
            if isinstance(answer, str):
                return Receipt(delivered=False, provider_ref=answer)
        refused = (messaging.UnregisteredError, messaging.SenderIdMismatchError, exceptions.InvalidArgumentError)
        unsettled = [answer for answer in answers if not isinstance(answer, refused)]
        if not unsettled:
            return ChannelRefused("push_unregistered", "FCM knows none of the devices")
        return ChannelUnavailable(
            "push_unavailable",
            f"FCM: {unsettled[0].code}",
            retry_after_s=_retry_after_s(unsettled[0]),
            uncertain=any(_may_have_taken(answer) for answer in unsettled),
        )


def _fcm_devices(contact: Contact) -> Sequence[Device]:
    return [one for one in contact.devices if one.kind is DeviceKind.FCM and one.address][:MAX_DEVICES]


def _fcm(message: OutgoingMessage, fid: str) -> Any:
    from firebase_admin import messaging

    key = message.idempotency_key
    room = MAX_BYTES - _length(message.title)
    return messaging.Message(
        fid=fid,
        notification=messaging.Notification(
            title=message.title, body=shortened(message.text, lambda text: _length(text) <= room)
        ),
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


def _length(text: str) -> int:
    return len(json.dumps(text, ensure_ascii=False).encode())


def _may_have_taken(error: Any) -> bool:
    """Whether FCM may have the message: it has said nothing of it, and the request may have left."""
    from firebase_admin import exceptions
    from google.auth.exceptions import GoogleAuthError
    from requests import ConnectTimeout
    from urllib3.exceptions import MaxRetryError, NewConnectionError

    if error.http_response is not None:
        return bool(error.http_response.status_code == GATEWAY_TIMEOUT)
    if isinstance(error, exceptions.UnknownError):
        return True
    cause = error.cause
    reached = next((one.reason for one in cause.args if isinstance(one, MaxRetryError)), None)
    return not isinstance(cause, GoogleAuthError | ConnectTimeout) and not isinstance(reached, NewConnectionError)


def _retry_after_s(error: Any) -> float | None:
    """Seconds from a Retry-After header (RFC 9110 §10.2.3); its date form is not read, back-off serves there."""
    response = error.http_response
    value = response.headers.get("Retry-After", "") if response is not None else ""
    return float(value) if value.isascii() and value.isdigit() else None
