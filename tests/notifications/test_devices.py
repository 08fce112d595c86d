"""Devices that take push."""

import base64
import json
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifications import Devices, NotificationsError, fcm_device, web_push_device
from notifications.channels.web_push import VapidKey
from tests.fakes import FakeClock
from tests.notifications.test_web_push import b64d, b64u
from wallet_api.database import Database
from wallet_api.protection import DataProtector

ENDPOINT = "https://push.example/abc"
POINT = VapidKey.new().public
SUBSCRIPTION = {"endpoint": ENDPOINT, "keys": {"auth": "A" * 22, "p256dh": POINT}}


@pytest.fixture
def devices(clock: FakeClock, protector: DataProtector) -> Devices:
    return Devices(clock, protector)


async def test_an_address_registered_again_is_the_same_device(database: Database, devices: Devices) -> None:
    async with database.transaction() as session:
        first = await devices.register(session, "holder-1", fcm_device("x" * 22), "zh")
        again = await devices.register(session, "holder-1", fcm_device("x" * 22), "en")
        (held,) = await devices.of_holder(session, "holder-1")
    assert first == again == held.id
    assert (held.device.address, held.language) == ("x" * 22, "en")


async def test_a_phone_that_changes_hands_leaves_its_last_owner(database: Database, devices: Devices) -> None:
    async with database.transaction() as session:
        await devices.register(session, "holder-1", web_push_device(SUBSCRIPTION), "zh")
        await devices.register(session, "holder-2", web_push_device(SUBSCRIPTION), "zh")
        assert await devices.of_holder(session, "holder-1") == ()
        (held,) = await devices.of_holder(session, "holder-2")
    assert json.loads(held.device.address) == SUBSCRIPTION


async def test_the_device_unseen_longest_gives_way(database: Database, devices: Devices, clock: FakeClock) -> None:
    async with database.transaction() as session:
        for number in range(21):
            await devices.register(session, "holder-1", fcm_device(f"device-{number:04}"), "zh")
            clock.forward(seconds=1)
        held = await devices.of_holder(session, "holder-1")
    assert [one.device.address for one in held] == [f"device-{number:04}" for number in range(20, 0, -1)]


async def test_only_its_holder_removes_a_device_and_its_provider_forgets_it(
    database: Database, devices: Devices
) -> None:
    async with database.transaction() as session:
        device_id = await devices.register(session, "holder-1", fcm_device("x" * 22), "zh")
        with pytest.raises(NotificationsError) as refused:
            await devices.remove(session, "holder-2", device_id)
        assert refused.value.code == "device_not_found"
        await devices.forget(session, fcm_device("y" * 22))
        assert len(await devices.of_holder(session, "holder-1")) == 1
        await devices.forget(session, fcm_device("x" * 22))
        assert await devices.of_holder(session, "holder-1") == ()


async def test_no_address_is_readable_in_the_database(database: Database, devices: Devices) -> None:
    async with database.transaction() as session:
        await devices.register(session, "holder-1", fcm_device("secret-address-1"), "zh")
        connection = await session.connection()
        rows = (await connection.exec_driver_sql("SELECT * FROM push_device")).all()
    assert rows
    assert b"secret-address" not in b"".join(part for row in rows for part in row if isinstance(part, bytes))
    assert "secret-address" not in str(rows)


_json = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3))
_part = st.binary(max_size=70).map(lambda raw: base64.urlsafe_b64encode(raw).decode()) | _json
_authority = st.text("@:/[]?#0189abc.-", max_size=12).map(lambda rest: f"http://127.0.0.1{rest}")
_keys = st.fixed_dictionaries({
    "auth": st.binary(min_size=15, max_size=17).map(b64u),
    "p256dh": st.just(POINT) | st.binary(min_size=64, max_size=64).map(lambda raw: b64u(b"\x04" + raw)),
})  # fmt: skip


@given(
    endpoint=st.text() | st.just(ENDPOINT) | _authority | _json,
    keys=st.dictionaries(st.sampled_from(["auth", "p256dh", "more"]), _part) | _keys | _json,
)
def test_any_subscription_gives_a_device_or_our_error(endpoint: object, keys: object) -> None:
    try:
        device = web_push_device({"endpoint": endpoint, "keys": keys})
    except NotificationsError:
        return
    assert web_push_device(json.loads(device.address)) == device
    held = json.loads(device.address)
    assert b64d(held["keys"]["p256dh"]) == b64d(POINT)  # the one point among all that is tried
    assert len(b64d(held["keys"]["auth"])) == 16
    if urlsplit(held["endpoint"]).hostname == "127.0.0.1":  # the host that is called here
        assert httpx.URL(held["endpoint"]).port in (None, *range(1, 65536))


@given(at=st.integers(0, 64), bit=st.integers(0, 7))
def test_a_point_with_a_bit_turned_is_none(at: int, bit: int) -> None:
    raw = bytearray(b64d(POINT))
    raw[at] ^= 1 << bit
    with pytest.raises(NotificationsError, match="device_malformed"):
        web_push_device({"endpoint": ENDPOINT, "keys": {"auth": "A" * 22, "p256dh": b64u(bytes(raw))}})


@pytest.mark.parametrize("address", ["", "short", "x" * 1025, "with space 123", "x" * 22 + "\n", "中" * 22])
def test_an_address_out_of_form_is_refused(address: str) -> None:
    with pytest.raises(NotificationsError) as refused:
        fcm_device(address)
    assert refused.value.code == "device_malformed"
