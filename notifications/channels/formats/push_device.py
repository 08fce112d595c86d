"""Addresses of devices, as wallets register them: Firebase installations, and the Push API's subscriptions."""

import base64
import json
import re
from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

from cryptography.hazmat.primitives.asymmetric import ec

from notifications.errors import NotificationsError
from notifications.models import Device, DeviceKind

_FCM_ADDRESS = re.compile(r"[A-Za-z0-9_:.=-]{10,1024}")  # installation ids have 22 characters, tokens 140 to 200
_ENDPOINT = re.compile(r"https?://[!-~]{1,1000}")  # browsers' endpoints have 100 to 600 characters
_AUTH = re.compile(r"[A-Za-z0-9_-]{22}(==)?")  # 16 bytes
_P256DH = re.compile(r"B[A-Za-z0-9_-]{86}=?")  # 65 bytes


def fcm_device(address: str) -> Device:
    """A device that Firebase knows by this installation id or registration token.

    Raises:
        NotificationsError: `device_malformed`. Whether Firebase knows it shows at the first push.
    """
    if not _FCM_ADDRESS.fullmatch(address):
        raise NotificationsError("device_malformed", "not an installation id or token of Firebase")
    return Device(DeviceKind.FCM, address)


def web_push_device(subscription: Mapping[str, object]) -> Device:
    """The device behind a browser's `PushSubscription.toJSON()` (Push API §7).

    Args:
        subscription: `endpoint`, and `keys` with `p256dh` and `auth` in base64url. Other members are dropped.

    Raises:
        NotificationsError: `device_malformed`. Whether the endpoint's host may be called is the channel's to decide.
    """
    endpoint, keys = subscription.get("endpoint"), subscription.get("keys")
    members = keys if isinstance(keys, Mapping) else {}
    auth, p256dh = members.get("auth"), members.get("p256dh")
    for value, form in ((endpoint, _ENDPOINT), (auth, _AUTH), (p256dh, _P256DH)):
        if not isinstance(value, str) or not form.fullmatch(value):
            raise NotificationsError("device_malformed", "a subscription has endpoint, keys.auth and keys.p256dh")
    try:
        parts_of_endpoint(str(endpoint))
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), base64.urlsafe_b64decode(f"{p256dh}=="))
    except ValueError as error:
        raise NotificationsError("device_malformed", "no endpoint to call, or no point of P-256") from error
    kept = {"endpoint": endpoint, "keys": {"auth": auth, "p256dh": p256dh}}
    return Device(DeviceKind.WEB_PUSH, json.dumps(kept, sort_keys=True))


def parts_of_endpoint(endpoint: str) -> SplitResult:
    """An endpoint taken apart.

    Raises:
        ValueError: beside the host it names more than a port of 1 to 65535.
    """
    url = urlsplit(endpoint)
    if not url.hostname or "@" in url.netloc or url.netloc.endswith(":") or url.port == 0:
        raise ValueError("not a host and a port")
    return url
