"""Web push against a push service on this machine; what it gets is decrypted by another library."""

import base64
import json
import secrets
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import http_ece
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwcrypto.jwk import JWK
from jwcrypto.jws import JWS

from notifications import (
    ChannelRefused,
    ChannelUnavailable,
    Contact,
    Delivery,
    Device,
    DeviceKind,
    NoAddress,
    NotificationsError,
    OutgoingMessage,
    Receipt,
    web_push_device,
)
from notifications.channels.push import Push
from notifications.channels.web_push import PUSH_SERVICES, VapidKey, WebPush
from tests.fakes import FakeClock
from tests.notifications.fakes import FakeChannel, phone, sent
from tests.notifications.far_end import Answering, HttpFarEnd, serving

MESSAGE = OutgoingMessage("key-1", "holder-1", "licence_expiry", "证照到期提醒", "您的证照将到期")
KEY = VapidKey.new()


class PushService(HttpFarEnd):
    """Keeps what it was given; `status` and `headers` are its answer."""

    def __init__(self) -> None:
        super().__init__(_Handler)
        self.received: list[tuple[str, dict[str, str], bytes]] = []
        self.forgotten: list[str] = []
        self.status, self.headers = 201, {"Location": "/message"}

    async def forget(self, device: Device) -> None:
        self.forgotten.append(device.address)


class _Handler(Answering):
    server: PushService

    def do_POST(self) -> None:
        self.server.received.append((self.path, dict(self.headers), self.body()))
        self.answer(self.server.status, self.server.headers)


class Browser:
    """A subscription, and the keys to read what comes for it."""

    def __init__(self, service: PushService, path: str = "/push/abc") -> None:
        self.key, self.auth = ec.generate_private_key(ec.SECP256R1()), secrets.token_bytes(16)
        point = self.key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        self.subscription = {
            "endpoint": service.url + path,
            "keys": {"p256dh": b64u(point), "auth": b64u(self.auth)},
        }

    @property
    def device(self) -> Device:
        return web_push_device(self.subscription)

    def kept(self, **changed: object) -> Device:
        """As a row may hold it that no wallet could register today."""
        return Device(DeviceKind.WEB_PUSH, json.dumps(self.subscription | changed))

    def read(self, body: bytes) -> Any:
        return json.loads(http_ece.decrypt(body, private_key=self.key, auth_secret=self.auth, version="aes128gcm"))


def b64u(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def b64d(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "==")


@pytest.fixture
def service() -> Iterator[PushService]:
    with serving(PushService()) as server:
        yield server


@pytest.fixture
def push(service: PushService, clock: FakeClock) -> WebPush:
    return WebPush(KEY, "mailto:desk@city.example", PUSH_SERVICES, service.forget, clock, insecure=True)


async def test_a_browser_can_read_what_was_sent_and_the_service_knows_us(service: PushService, push: WebPush) -> None:
    browser = Browser(service)
    receipt = await sent(push, MESSAGE, Contact((browser.device,)))
    assert (receipt.delivered, receipt.provider_ref) == (False, "key-1")
    ((path, headers, body),) = service.received
    assert path == "/push/abc"
    assert browser.read(body) == {
        "message_id": "key-1", "kind": "licence_expiry", "title": "证照到期提醒", "text": "您的证照将到期",
    }  # fmt: skip
    assert (headers["Content-Encoding"], headers["Urgency"], headers["TTL"]) == ("aes128gcm", "high", "86400")
    assert len(headers["Topic"]) == 32
    scheme, _, parameters = headers["Authorization"].partition(" ")
    given = dict(part.strip().split("=", 1) for part in parameters.split(","))
    assert (scheme, given["k"]) == ("vapid", KEY.public)
    public = JWK.from_pem(KEY.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    signed = JWS()
    signed.deserialize(given["t"], public)
    claims = json.loads(signed.payload)
    assert claims["aud"] == service.url
    assert claims["sub"] == "mailto:desk@city.example"
    await push.close()


@pytest.mark.parametrize("subject", ["mailto:desk@city.example", "https://city.example:8443/wallet"])
async def test_any_mail_address_and_any_https_address_may_stand_for_the_operator(
    service: PushService, clock: FakeClock, subject: str
) -> None:
    """RFC 8292 §2.1: also one with a port and a path, as a PUBLIC_URL may have."""
    push = WebPush(KEY, subject, PUSH_SERVICES, service.forget, clock, insecure=True)
    assert isinstance(await sent(push, MESSAGE, Contact((Browser(service).device,))), Receipt)
    ((_, headers, _),) = service.received
    assert json.loads(b64d(headers["Authorization"].split(".")[1]))["sub"] == subject


async def test_a_repetition_carries_the_same_topic(service: PushService, push: WebPush) -> None:
    browser = Browser(service)
    for message in (MESSAGE, replace(MESSAGE, attempt=2), replace(MESSAGE, idempotency_key="key-2")):
        await sent(push, message, Contact((browser.device,)))
    first, again, other = (headers["Topic"] for _, headers, _ in service.received)
    assert first == again != other
    await push.close()


async def test_a_long_text_still_fits(service: PushService, push: WebPush) -> None:
    browser = Browser(service)
    await sent(push, replace(MESSAGE, text="很" * 3000), Contact((browser.device,)))
    body = service.received[0][2]
    assert len(body) <= 4096
    assert browser.read(body)["text"].startswith("很" * 1000)
    await push.close()


@pytest.mark.parametrize("status", [404, 410])
async def test_a_subscription_that_is_over_is_forgotten(service: PushService, push: WebPush, status: int) -> None:
    service.status, device = status, Browser(service).device
    with pytest.raises(ChannelRefused, match="push_unregistered"):
        await sent(push, MESSAGE, Contact((device,)))
    assert service.forgotten == [device.address]
    await push.close()


@pytest.mark.parametrize(("status", "wait_s"), [(429, 120), (503, None), (302, None), (401, None)])
async def test_a_service_that_takes_nothing_now_is_tried_again(
    service: PushService, push: WebPush, status: int, wait_s: float | None
) -> None:
    service.status, service.headers = (
        status,
        {"Retry-After": str(wait_s)} if wait_s else {"Location": "http://10.0.0.1/"},
    )
    with pytest.raises(ChannelUnavailable) as refused:
        await sent(push, MESSAGE, Contact((Browser(service).device,)))
    assert (refused.value.retry_after_s, service.forgotten, len(service.received)) == (wait_s, [], 1)
    await push.close()


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://fcm.googleapis.com/x", "https://10.0.0.1/x", "https://fcm.googleapis.com.evil.example/x",
        "https://evilnotify.windows.com/x", "https://fcm.googleapis.com:8443/x", "https://me@fcm.googleapis.com/x",
        "http://127.0.0.1:1/x",
    ],
)  # fmt: skip
async def test_nobody_but_known_services_is_called(service: PushService, clock: FakeClock, endpoint: str) -> None:
    push = WebPush(KEY, "mailto:desk@city.example", PUSH_SERVICES, service.forget, clock)
    device = Browser(service).kept(endpoint=endpoint)
    with pytest.raises(ChannelRefused):
        await sent(push, MESSAGE, Contact((device,)))
    assert service.forgotten == [device.address]
    await push.close()


UNCALLABLE = [
    "http://127.0.0.1:99999/x", "http://127.0.0.1:abc/", "http://127.0.0.1:-1/", "http://127.0.0.1:0/",
    "http://localhost:/", "http://u:p@127.0.0.1:1/", "http://@127.0.0.1/", "http://[::1/", "http:///x",
]  # fmt: skip


@pytest.mark.parametrize("endpoint", UNCALLABLE)
async def test_an_endpoint_that_cannot_be_called_is_refused_for_its_own_device_only(
    service: PushService, push: WebPush, endpoint: str
) -> None:
    browser = Browser(service)
    with pytest.raises(NotificationsError, match="device_malformed"):
        web_push_device(browser.subscription | {"endpoint": endpoint})
    bad = browser.kept(endpoint=endpoint)
    refused, taken, one_of_two = await push.send([
        Delivery(MESSAGE, Contact((bad,))),
        Delivery(MESSAGE, Contact((browser.device,))),
        Delivery(MESSAGE, Contact((bad, browser.device))),
    ])  # fmt: skip
    assert isinstance(refused, ChannelRefused)
    assert isinstance(taken, Receipt)
    assert isinstance(one_of_two, Receipt)
    assert service.forgotten == [bad.address] * 2
    await push.close()


async def test_a_key_that_is_no_point_is_refused(service: PushService, push: WebPush) -> None:
    browser = Browser(service)
    bad = browser.kept(keys={"p256dh": b64u(b"\x04" + b"\x01" * 64), "auth": b64u(browser.auth)})
    with pytest.raises(ChannelRefused):
        await sent(push, MESSAGE, Contact((bad,)))
    await push.close()


async def test_every_carrier_is_asked_and_one_is_enough(service: PushService, push: WebPush) -> None:
    fcm = FakeChannel("fcm")
    both, browser = Push([fcm, push]), Browser(service)
    contact = Contact((browser.device, phone("device")))
    fcm.always = ChannelUnavailable("down", "down")
    assert isinstance(await sent(both, MESSAGE, contact), Receipt)
    service.status = 410
    with pytest.raises(ChannelUnavailable):
        await sent(both, MESSAGE, contact)
    fcm.always = NoAddress("no_push_token", "none")
    with pytest.raises(ChannelRefused, match="push_unregistered"):
        await sent(both, MESSAGE, contact)
    with pytest.raises(NoAddress):
        await sent(both, MESSAGE, Contact())
    await push.close()
