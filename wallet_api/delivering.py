"""The channels over which messages go out, as the settings have them.

Whoever sets nothing up gets a file in `DATA_DIR` that stands in for push and SMS, and web push under a key that the
embedded mode makes itself.
"""

import json
import os
import secrets
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from notifications import Device, Devices, Inbox, Sink
from notifications.channels.providers import FailOver, Gate, Gated, GatePolicy
from notifications.channels.push import Push
from notifications.channels.push_fcm import PushFcm
from notifications.channels.sms_aliyun import AliyunAccount, SmsAliyun
from notifications.channels.sms_smpp import SmppAccount, SmsSmpp
from notifications.channels.web_push import PUSH_SERVICES, VapidKey, WebPush
from notifications.outbox.claims import AskedBook
from notifications.outbox.receipts import ReceiptBook
from notifications.ports import Channel, Clock, Provider
from wallet_api.database import Database
from wallet_api.settings import Settings

NOBODY = "mailto:nobody@liangzheng.invalid"  # RFC 8292 §2.1 knows no http: a demo on this machine has no operator


@dataclass
class Channels:
    """The channels, and what has to be closed with them.

    Attributes:
        sink: whether a file stands in for push or SMS.
        push_key: the public key that browsers subscribe with, or None where there is no web push.
    """

    channels: list[Channel]
    sink: bool = False
    push_key: str | None = None
    _closing: AsyncExitStack = field(default_factory=AsyncExitStack)

    @classmethod
    def of(cls, settings: Settings, clock: Clock, database: Database, devices: Devices, inbox: Inbox) -> "Channels":
        """Make them. No connection is opened yet.

        Raises:
            OSError, ValueError: a key file cannot be read or is none.
        """
        made = cls([inbox])
        gate = Gate(database, clock)

        async def forget(device: Device) -> None:
            async with database.transaction() as session:
                await devices.forget(session, device)

        sink = settings.data_dir / "sink.ndjson"
        push: list[Provider] = []
        if settings.fcm_service_account is not None:
            fcm = PushFcm(json.loads(settings.fcm_service_account.read_bytes()), forget)
            made._closing.push_async_callback(fcm.close)
            push.append(fcm)
        key = _vapid_key(settings)
        if key is not None:
            embedded = settings.deployment == "embedded"
            services = settings.push_services or PUSH_SERVICES
            reached = settings.public_url if settings.public_url.startswith("https:") else NOBODY
            subject = settings.vapid_subject or reached
            web_push = WebPush(key, subject, services, forget, clock, insecure=embedded)
            made.push_key = key.public
            made._closing.push_async_callback(web_push.close)
            push.append(web_push)
        limit = GatePolicy(per_second=settings.push_per_second)
        carriers: list[Channel] = [Gated(one, gate, limit) for one in push]
        if settings.fcm_service_account is None and settings.deployment == "embedded":
            carriers.append(Sink("push", sink, clock))
            made.sink = True
        if carriers:
            made.channels.append(Push(carriers))
        sms = [made._sms_provider(name, settings, clock, database) for name in settings.sms_order]
        if sms:
            limit = GatePolicy(per_second=settings.sms_per_second)
            asked = AskedBook(database) if len(sms) > 1 else None
            made.channels.append(FailOver("sms", [Gated(one, gate, limit, asked) for one in sms]))
        elif settings.deployment == "embedded":
            made.channels.append(Sink("sms", sink, clock))
            made.sink = True
        return made

    def _sms_provider(self, name: str, settings: Settings, clock: Clock, database: Database) -> Provider:
        if name == "aliyun":
            return SmsAliyun(_aliyun_account(settings), clock)
        smpp = SmsSmpp(_smpp_account(settings), ReceiptBook(database, clock))
        self._closing.push_async_callback(smpp.close)
        return smpp

    async def close(self) -> None:
        """Give back every connection to providers; what fails in one of them is raised when all were asked."""
        await self._closing.aclose()


def _vapid_key(settings: Settings) -> VapidKey | None:
    if settings.vapid_key is not None:
        return VapidKey.from_pem(settings.vapid_key.read_bytes())
    if settings.deployment != "embedded":
        return None
    file = settings.data_dir / "vapid.pem"
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not file.exists():
        draft = file.with_name(f".vapid.{secrets.token_hex(8)}")
        with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as opened:
            opened.write(VapidKey.new().pem)
        try:
            os.link(draft, file)
        except FileExistsError:
            pass  # another process was first; its key counts
        finally:
            draft.unlink()
    return VapidKey.from_pem(file.read_bytes())


def _aliyun_account(settings: Settings) -> AliyunAccount:
    assert settings.aliyun_access_key_secret is not None, "the settings ask for it"
    return AliyunAccount(
        settings.aliyun_access_key_id,
        settings.aliyun_access_key_secret.get_secret_value(),
        settings.aliyun_sign_name,
        settings.aliyun_templates,
    )


def _smpp_account(settings: Settings) -> SmppAccount:
    assert settings.smpp_url is not None, "the settings ask for it"
    url = urlsplit(settings.smpp_url.get_secret_value())
    return SmppAccount(
        host=url.hostname or "",
        port=url.port or 2775,
        system_id=unquote(url.username or ""),
        password=unquote(url.password or ""),
        source=settings.smpp_source,
        system_type=settings.smpp_system_type,
        tls=url.scheme == "smpps",
    )
