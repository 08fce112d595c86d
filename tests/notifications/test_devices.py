"""Devices that take push."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifications import Devices, NotificationsError, fcm_device, web_push_device
from tests.fakes import FakeClock
from wallet_api.database import Database
from wallet_api.protection import DataProtector

P256DH = "B" + "A" * 86
SUBSCRIPTION = {"endpoint": "https://push.example/abc", "keys": {"auth": "A" * 22, "p256dh": P256DH}}


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


@given(
    endpoint=st.text() | st.just("https://push.example/x") | _json,
    keys=st.dictionaries(st.sampled_from(["auth", "p256dh", "more"]), _part) | _json,
)
def test_any_subscription_gives_a_device_or_our_error(endpoint: object, keys: object) -> None:
    try:
        device = web_push_device({"endpoint": endpoint, "keys": keys})
    except NotificationsError:
        return
    assert web_push_device(json.loads(device.address)) == device


@pytest.mark.parametrize("address", ["", "short", "x" * 1025, "with space 123", "x" * 22 + "\n", "中" * 22])
def test_an_address_out_of_form_is_refused(address: str) -> None:
    with pytest.raises(NotificationsError) as refused:
        fcm_device(address)
    assert refused.value.code == "device_malformed"
