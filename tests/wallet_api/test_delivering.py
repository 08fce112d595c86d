"""Channels as the settings have them, from the first connection to the last."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from notifications import Devices, Inbox
from notifications.channels.sms_smpp import SmsSmpp
from notifications.channels.web_push import WebPush
from tests.fakes import FakeClock
from wallet_api.database import Database
from wallet_api.delivering import Channels
from wallet_api.protection import DataProtector
from wallet_api.settings import Settings


@pytest.fixture
def make(
    tmp_path: Path, sqlite_database: Database, clock: FakeClock, protector: DataProtector
) -> Callable[[], Channels]:
    """Makes push by Firebase and to browsers and SMS by SMPP."""
    key = rsa.generate_private_key(65537, 2048)
    account = tmp_path / "account.json"
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    account.write_text(
        json.dumps(
            {
                "type": "service_account",
                "project_id": "wallet",
                "client_email": "push@wallet.example",
                "private_key": pem.decode(),
                "token_uri": "http://127.0.0.1:9/token",
            }
        )
    )
    settings = Settings(
        _env_file=None,
        data_dir=tmp_path,
        fcm_service_account=account,
        sms_providers="smpp",
        smpp_url="smpp://wallet:secret@127.0.0.1:9",
    )
    inbox = Inbox(clock, protector, sqlite_database)
    return lambda: Channels.of(settings, clock, sqlite_database, Devices(clock, protector), inbox)


async def test_whatever_is_set_up_is_closed_in_a_running_loop_once(make: Callable[[], Channels]) -> None:
    import firebase_admin

    channels = make()
    assert [channel.name for channel in channels.channels] == ["inbox", "push", "sms"]
    assert len(firebase_admin._apps) == 1
    await channels.close()
    assert not firebase_admin._apps
    await channels.close()


@pytest.mark.parametrize("stuck", [WebPush, SmsSmpp])
async def test_one_that_cannot_be_closed_does_not_keep_the_others_open(
    make: Callable[[], Channels], monkeypatch: pytest.MonkeyPatch, stuck: type[WebPush | SmsSmpp]
) -> None:
    import firebase_admin

    async def close(_: object) -> None:
        raise OSError("stuck")

    monkeypatch.setattr(stuck, "close", close)
    channels = make()
    with pytest.raises(OSError, match="stuck"):
        await channels.close()
    assert not firebase_admin._apps
