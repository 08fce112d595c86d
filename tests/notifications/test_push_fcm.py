"""Push over FCM, against a server on this machine: real service-account flow, real HTTP."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from notifications import (
    ChannelRefused,
    ChannelUnavailable,
    Contact,
    Delivery,
    Device,
    NoAddress,
    OutgoingMessage,
    Receipt,
)
from notifications.channels.push_fcm import TIMEOUT_S, PushFcm
from tests.notifications.fakes import phone, sent
from tests.notifications.far_end import Answering, HttpFarEnd, serving

MESSAGE = OutgoingMessage("key-1", "holder-1", "licence_expiry", "证照到期提醒", "您的证照将到期")


class FakeFcm(HttpFarEnd):
    """Answers by the device's name, and keeps what it was sent."""

    def __init__(self) -> None:
        super().__init__(_Handler)
        self.answers: dict[str, tuple[int, dict[str, str], object]] = {}
        self.token_status = 200
        self.tokens = 0
        self.received: list[dict[str, dict[str, object]]] = []
        self.forgotten: list[str] = []

    async def forget(self, device: Device) -> None:
        self.forgotten.append(device.address)

    def fail(self, device: str, status: int, error_code: str, headers: dict[str, str] | None = None) -> None:
        details = [{"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": error_code}]
        self.answers[device] = (status, headers or {}, {"error": {"message": "no", "details": details}})


class _Handler(Answering):
    server: FakeFcm

    def do_POST(self) -> None:
        body = self.body()
        if self.path == "/token":
            self.server.tokens += 1
            token = {"access_token": "access", "expires_in": 3600, "token_type": "Bearer"}
            self._say(self.server.token_status, {}, token)
            return
        assert self.headers["Authorization"] == "Bearer access"
        message = json.loads(body)["message"]
        self.server.received.append(message)
        if message["fid"] in ("breaks", "silent"):
            if message["fid"] == "silent":
                self.server.over.wait(10)
            self.close_connection = True
            return
        self._say(*self.server.answers.get(message["fid"], (200, {}, {"name": f"messages/{message['fid']}"})))

    def _say(self, status: int, headers: dict[str, str], body: object) -> None:
        self.answer(status, {**headers, "Content-Type": "application/json"}, json.dumps(body).encode())


@pytest.fixture
def fcm() -> Iterator[FakeFcm]:
    with serving(FakeFcm()) as server:
        yield server


@pytest.fixture
def push(
    fcm: FakeFcm, private_key_pem: str, monkeypatch: pytest.MonkeyPatch, runner: asyncio.Runner
) -> Iterator[PushFcm]:
    channel = push_over(fcm, private_key_pem, monkeypatch)
    yield channel
    runner.run(channel.close())


def push_over(
    fcm: FakeFcm, private_key_pem: str, monkeypatch: pytest.MonkeyPatch, timeout_s: float = TIMEOUT_S
) -> PushFcm:
    """The channel, with nobody but this server to ask."""
    from firebase_admin import messaging
    from google.oauth2 import service_account

    # Would ask a Google server about regions, in a thread of its own.
    required = "_is_regional_access_boundary_lookup_required"
    monkeypatch.setattr(service_account.Credentials, required, lambda _: False)
    monkeypatch.setattr(messaging._MessagingService, "FCM_URL", fcm.url + "/v1/projects/{0}/messages:send")
    account = {
        "type": "service_account",
        "project_id": "wallet",
        "client_email": "push@wallet.example",
        "private_key": private_key_pem,
        "token_uri": f"{fcm.url}/token",
    }
    return PushFcm(account, fcm.forget, timeout_s=timeout_s)


async def test_a_push_is_accepted_but_not_yet_delivered(push: PushFcm, fcm: FakeFcm) -> None:
    receipt = await sent(push, MESSAGE, Contact(devices=(phone("phone"),)))
    assert (receipt.delivered, receipt.provider_ref) == (False, "messages/phone")
    (posted,) = fcm.received
    assert posted["notification"] == {"title": "证照到期提醒", "body": "您的证照将到期"}
    assert posted["data"]["message_id"] == posted["android"]["collapse_key"] == "key-1"


async def test_one_device_that_accepts_is_enough(push: PushFcm, fcm: FakeFcm) -> None:
    fcm.fail("old", 404, "UNREGISTERED")
    receipt = await sent(
        push,
        MESSAGE,
        Contact(
            devices=(
                phone("old"),
                phone("new"),
            )
        ),
    )
    assert receipt.provider_ref == "messages/new"


@pytest.mark.parametrize(("status", "code"), [(404, "UNREGISTERED"), (403, "SENDER_ID_MISMATCH"), (400, "")])
async def test_a_device_that_is_gone_is_refused(push: PushFcm, fcm: FakeFcm, status: int, code: str) -> None:
    fcm.fail("old", status, code)
    with pytest.raises(ChannelRefused) as refused:
        await sent(push, MESSAGE, Contact(devices=(phone("old"),)))
    assert refused.value.code == "push_unregistered"


@pytest.mark.parametrize("header", ["120", "Wed, 25 Nov 2026 07:28:00 GMT", None])
async def test_a_used_up_quota_is_tried_again_when_fcm_says(push: PushFcm, fcm: FakeFcm, header: str | None) -> None:
    fcm.fail("phone", 429, "QUOTA_EXCEEDED", {"Retry-After": header} if header else {})
    with pytest.raises(ChannelUnavailable) as unavailable:
        await sent(push, MESSAGE, Contact(devices=(phone("phone"),)))
    assert unavailable.value.retry_after_s == (120 if header == "120" else None)


async def test_an_answer_that_is_no_answer_is_tried_again(push: PushFcm, fcm: FakeFcm) -> None:
    fcm.answers["phone"] = (200, {}, ["not", "an", "object"])
    fcm.answers["other"] = (401, {}, "who are you")
    fcm.answers["third"] = (200, {}, {})
    for device in ("phone", "other", "third"):
        with pytest.raises(ChannelUnavailable):
            await sent(push, MESSAGE, Contact(devices=(phone(device),)))


async def test_a_device_gone_beside_one_out_of_reach_is_tried_again(push: PushFcm, fcm: FakeFcm) -> None:
    fcm.fail("old", 404, "UNREGISTERED")
    fcm.fail("phone", 429, "QUOTA_EXCEEDED")
    with pytest.raises(ChannelUnavailable):
        await sent(
            push,
            MESSAGE,
            Contact(
                devices=(
                    phone("old"),
                    phone("phone"),
                )
            ),
        )


async def test_what_was_not_answered_in_time_may_have_been_taken(
    fcm: FakeFcm, private_key_pem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hasty = push_over(fcm, private_key_pem, monkeypatch, timeout_s=0.5)
    with pytest.raises(ChannelUnavailable) as unavailable:
        await sent(hasty, MESSAGE, Contact(devices=(phone("silent"),)))
    assert (unavailable.value.code, unavailable.value.uncertain, len(fcm.received)) == ("push_unavailable", True, 1)
    await hasty.close()


async def test_what_left_before_the_line_broke_may_have_been_taken(push: PushFcm, fcm: FakeFcm) -> None:
    with pytest.raises(ChannelUnavailable) as unavailable:
        await sent(push, MESSAGE, Contact(devices=(phone("breaks"),)))
    assert (unavailable.value.code, unavailable.value.uncertain, len(fcm.received)) == ("push_unavailable", True, 1)


async def test_one_device_without_an_answer_leaves_the_message_open(push: PushFcm, fcm: FakeFcm) -> None:
    fcm.fail("busy", 429, "QUOTA_EXCEEDED")
    with pytest.raises(ChannelUnavailable) as unavailable:
        await sent(push, MESSAGE, Contact(devices=(phone("busy"), phone("breaks"))))
    assert unavailable.value.uncertain


@pytest.mark.parametrize(
    ("status", "body", "uncertain"),
    [(503, {}, False), (500, {}, False), (429, {}, False), (504, {}, True), (200, {}, True), (200, ["?"], True)],
)
async def test_what_fcm_refuses_it_has_not_taken(
    push: PushFcm, fcm: FakeFcm, status: int, body: object, uncertain: bool
) -> None:
    fcm.answers["phone"] = (status, {}, body)
    with pytest.raises(ChannelUnavailable) as unavailable:
        await sent(push, MESSAGE, Contact(devices=(phone("phone"),)))
    assert unavailable.value.uncertain is uncertain


async def test_who_is_not_there_has_taken_nothing(push: PushFcm, fcm: FakeFcm) -> None:
    await sent(push, MESSAGE, Contact(devices=(phone("phone"),)))  # there is an access token
    fcm.leave()
    with pytest.raises(ChannelUnavailable) as unavailable:
        await sent(push, MESSAGE, Contact(devices=(phone("phone"),)))
    assert (unavailable.value.code, unavailable.value.uncertain) == ("push_unavailable", False)


async def test_a_batch_asks_for_one_access_token(push: PushFcm, fcm: FakeFcm) -> None:
    await push.send([Delivery(MESSAGE, Contact((phone(f"phone-{n}"),))) for n in range(40)])
    assert fcm.tokens == 1


async def test_without_access_token_push_is_unavailable(push: PushFcm, fcm: FakeFcm) -> None:
    fcm.token_status = 403
    with pytest.raises(ChannelUnavailable) as unavailable:
        await sent(push, MESSAGE, Contact(devices=(phone("phone"),)))
    assert (unavailable.value.uncertain, fcm.received) == (False, [])


async def test_a_holder_without_device_has_no_address(push: PushFcm) -> None:
    with pytest.raises(NoAddress):
        await sent(push, MESSAGE, Contact(devices=(phone(""),), phone="13800138000"))


async def test_only_devices_that_are_gone_are_forgotten(push: PushFcm, fcm: FakeFcm) -> None:
    fcm.fail("old", 404, "UNREGISTERED")
    fcm.fail("other project's", 403, "SENDER_ID_MISMATCH")
    fcm.fail("busy", 429, "QUOTA_EXCEEDED")
    fcm.fail("bent", 400, "INVALID_ARGUMENT")
    fcm.fail("forbidden", 403, "THIRD_PARTY_AUTH_ERROR")
    for device in ("old", "other project's", "busy", "bent", "forbidden"):
        with pytest.raises((ChannelRefused, ChannelUnavailable)):
            await sent(push, MESSAGE, Contact(devices=(phone(device),)))
    assert fcm.forgotten == ["old", "other project's"]


async def test_a_batch_goes_out_together_and_each_has_its_own_answer(push: PushFcm, fcm: FakeFcm) -> None:
    for number in range(0, 60, 6):
        fcm.fail(f"phone-{number}", 404, "UNREGISTERED")
    deliveries = [
        Delivery(replace(MESSAGE, idempotency_key=f"key-{n}"), Contact((phone(f"phone-{n}"),))) for n in range(60)
    ]
    deliveries[1] = Delivery(MESSAGE, Contact())
    outcomes = await push.send(deliveries)
    assert isinstance(outcomes[1], NoAddress)
    assert [isinstance(one, Receipt) for one in outcomes] == [n != 1 and n % 6 != 0 for n in range(60)]
    assert all(one.provider_ref == f"messages/phone-{n}" for n, one in enumerate(outcomes) if isinstance(one, Receipt))
    assert len(fcm.forgotten) == 10
