"""Web push: a browser's own push service, no account with anybody (RFC 8030, sealed by RFC 8291, signed by RFC 8292).

    carrier = WebPush(VapidKey.from_pem(pem), "mailto:desk@city.example", PUSH_SERVICES, forget, clock)

A push service says "accepted"; the wallet's service worker confirms what arrived. Endpoints come from wallets, so that
only services on the list are called, by https, and no redirect is followed.
"""

import asyncio
import base64
import hashlib
import json
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

import httpx
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from notifications.channels.formats.push_device import parts_of_endpoint
from notifications.channels.formats.shortening import shortened
from notifications.channels.push_fcm import MAX_DEVICES, TTL_S, Forget
from notifications.errors import ChannelRefused, ChannelUnavailable, NoAddress
from notifications.models import Contact, Delivery, Device, DeviceKind, OutgoingMessage, Receipt
from notifications.ports import Clock, SendOutcome

PUSH_SERVICES = (  # hosts, or with a dot in front everything below
    "fcm.googleapis.com",
    "updates.push.services.mozilla.com",
    "web.push.apple.com",
    ".notify.windows.com",
    ".push.samsung.com",
)
TIMEOUT_S = 10  # for one browser; all browsers of a batch are told at once
VAPID_LIFE_S = 12 * 3600  # RFC 8292 §2 allows 24 hours
MAX_BYTES = 3800  # RFC 8291 §4 promises room for 3,993
_HOST = re.compile(r"(?!.*xn--)(?=.{4,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}")


@dataclass(frozen=True)
class VapidKey:
    """The P-256 key by which push services know us (RFC 8292)."""

    private: ec.EllipticCurvePrivateKey

    @classmethod
    def new(cls) -> Self:
        """A key made just now."""
        return cls(ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def from_pem(cls, pem: bytes) -> Self:
        """Read an unencrypted PEM.

        Raises:
            ValueError: not such a key.
        """
        try:
            key = load_pem_private_key(pem, None)
        except TypeError as error:
            raise ValueError("the key is encrypted") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
            raise ValueError("not a P-256 key")
        return cls(key)

    @property
    def pem(self) -> bytes:
        """As `from_pem` reads it."""
        return self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    @property
    def public(self) -> str:
        """The uncompressed point in base64url, as browsers want it (`applicationServerKey`)."""
        point = self.private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return base64.urlsafe_b64encode(point).rstrip(b"=").decode()


class WebPush:
    """Sends to every browser of a holder.

    Args:
        subject: where push services reach us, `mailto:` or `https:`.
        services: the hosts that may be called.
        forget: takes out a subscription that its service does not know any more.
        insecure: for tests and the embedded mode: services on this machine itself, by http.
    """

    name = "web-push"
    batch = 50

    def __init__(
        self,
        key: VapidKey,
        subject: str,
        services: Collection[str],
        forget: Forget,
        clock: Clock,
        *,
        insecure: bool = False,
    ) -> None:
        self._key = key
        self._subject = subject
        self._services = services
        self._forget = forget
        self._clock = clock
        self._insecure = insecure
        self._http: httpx.AsyncClient | None = None
        self._signed: dict[str, tuple[float, str]] = {}

    async def close(self) -> None:
        """Give the connections back."""
        if self._http is not None:
            await self._http.aclose()

    def reaches(self, contact: Contact) -> bool:
        """Whether the contact has a browser with push."""
        return bool(_browsers(contact))

    async def send(self, deliveries: Sequence[Delivery]) -> Sequence[SendOutcome]:
        """Hand each message to the push service of each browser of its holder.

        `NoAddress` is `no_push_token`; `ChannelRefused` is `push_unregistered`: no subscription is good any more;
        `ChannelUnavailable` is `push_unavailable`, with the service's Retry-After in seconds if it gave one.
        """
        return await asyncio.gather(*(self._send(one) for one in deliveries))

    async def _send(self, delivery: Delivery) -> SendOutcome:
        devices = _browsers(delivery.contact)
        if not devices:
            return NoAddress("no_push_token", "the holder has no browser with push")
        told = await asyncio.gather(*(self._post(delivery.message, device) for device in devices))
        for kind in (Receipt, ChannelUnavailable):
            for outcome in told:
                if isinstance(outcome, kind):
                    return outcome
        return told[0]

    async def _post(self, message: OutgoingMessage, device: Device) -> SendOutcome:
        subscription = json.loads(device.address)
        endpoint: str = subscription["endpoint"]
        if not self._may_call(endpoint):
            await self._forget(device)
            return ChannelRefused("push_unregistered", "not a push service that is called from here")
        try:
            body = _encrypted(subscription, _payload(message))
        except ValueError:  # a key that is no point on the curve
            await self._forget(device)
            return ChannelRefused("push_unregistered", "the subscription's keys are no keys")
        headers = {
            "Content-Encoding": "aes128gcm",
            "TTL": str(TTL_S),
            "Urgency": "high",
            "Topic": _topic(message.idempotency_key),
            "Authorization": self._authorization(endpoint),
        }
        try:
            async with asyncio.timeout(TIMEOUT_S):
                answer = await self._client().post(endpoint, content=body, headers=headers)
        except (httpx.HTTPError, TimeoutError) as error:
            unsure = not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
            name = type(error).__name__
            return ChannelUnavailable(
                "push_unavailable", f"the push service does not answer ({name})", uncertain=unsure
            )
        if answer.is_success:
            return Receipt(delivered=False, provider_ref=message.idempotency_key)
        if answer.status_code in (404, 410):
            await self._forget(device)
            return ChannelRefused("push_unregistered", "the subscription is over")
        wait = answer.headers.get("Retry-After", "")
        return ChannelUnavailable(
            "push_unavailable",
            f"the push service answered {answer.status_code}",
            retry_after_s=float(wait) if wait.isascii() and wait.isdigit() else None,
        )

    def _client(self) -> httpx.AsyncClient:
        """Made when it is first needed: reading the trusted roots takes as long as many pushes."""
        if self._http is None:
            self._http = httpx.AsyncClient(
                timeout=httpx.Timeout(TIMEOUT_S, connect=TIMEOUT_S / 2, pool=TIMEOUT_S / 2),
                follow_redirects=False,
                trust_env=False,
            )
        return self._http

    def _may_call(self, endpoint: str) -> bool:
        try:
            url = parts_of_endpoint(endpoint)
        except ValueError:
            return False
        host = url.hostname or ""
        if self._insecure and host in ("127.0.0.1", "localhost"):
            return True
        known = any(host == one or (one.startswith(".") and host.endswith(one)) for one in self._services)
        plain = _HOST.fullmatch(host) is not None and url.netloc.lower() in (host, f"{host}:443")
        return known and plain and url.scheme == "https"

    def _authorization(self, endpoint: str) -> str:
        """A signed claim to be us, one for each service and half a day (RFC 8292 §2)."""
        url = urlsplit(endpoint)
        audience, now = f"{url.scheme}://{url.netloc}", self._clock.now().timestamp()
        expires, header = self._signed.get(audience, (0.0, ""))
        if expires - VAPID_LIFE_S / 2 < now:
            from py_vapid import Vapid02

            expires = now + VAPID_LIFE_S
            claims = {"aud": audience, "exp": int(expires), "sub": self._subject}
            signer = Vapid02(self._key.private, {"no-strict": True})  # strict, it takes no https URL with port or path
            header = signer.sign(claims)["Authorization"]
            self._signed = {**dict(list(self._signed.items())[-20:]), audience: (expires, header)}
        return header


def _browsers(contact: Contact) -> Sequence[Device]:
    return [one for one in contact.devices if one.kind is DeviceKind.WEB_PUSH][:MAX_DEVICES]


def _payload(message: OutgoingMessage) -> bytes:
    said = {"message_id": message.idempotency_key, "kind": message.kind, "title": message.title}

    def payload(text: str) -> bytes:
        return json.dumps({**said, "text": text}, ensure_ascii=False).encode()

    return payload(shortened(message.text, lambda text: len(payload(text)) <= MAX_BYTES))


def _topic(key: str) -> str:
    """32 characters of base64url (RFC 8030 §5.4): a repetition replaces what still waits."""
    return base64.urlsafe_b64encode(hashlib.sha256(key.encode()).digest()[:24]).decode()


def _encrypted(subscription: Any, payload: bytes) -> bytes:
    from pywebpush import WebPusher, WebPushException

    try:
        return bytes(WebPusher(subscription).encode(payload)["body"])
    except WebPushException as error:
        raise ValueError("keys out of form") from error
