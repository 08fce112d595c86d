"""Notifications of wallets (OpenID4VCI 1.0 §11), and their `notification_id`: handing one out stores nothing.

base64url of: 16 random bytes, the licence's id in ASCII, 16 bytes HMAC-SHA-256 over both and the grant.
"""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass

from credentials.issuance.errors import CredentialRequestRefused
from credentials.keys.errors import MalformedBase64Url
from credentials.keys.formats.jws import b64u_decode, b64u_encode
from credentials.keys.formats.signed_jwt import JsonMalformed, json_object

EVENTS = frozenset({"credential_accepted", "credential_failure", "credential_deleted"})
MAX_ID_CHARS = 128  # ours have 86
MAX_DESCRIPTION_CHARS = 500  # for an operator to read
_DESCRIPTION = re.compile(r"[\x20-\x21\x23-\x5b\x5d-\x7e]*")  # §11.1


@dataclass(frozen=True)
class Notification:
    """What a wallet says became of a response's credentials."""

    notification_id: str
    event: str
    description: str | None


def make_notification_id(key: bytes, grant_id: str, licence_id: str) -> str:
    """An id for one response, good under its grant only."""
    body = secrets.token_bytes(16) + licence_id.encode()
    return b64u_encode(body + _mac(key, grant_id, body))


def licence_of(key: bytes, grant_id: str, notification_id: str) -> str:
    """The licence that a response of this grant was about.

    Raises:
        CredentialRequestRefused: `invalid_notification_id`: not ours, altered, or of another grant.
    """
    try:
        raw = b64u_decode(notification_id) if len(notification_id) <= MAX_ID_CHARS else b""
    except MalformedBase64Url:
        raw = b""
    body, mac = raw[:-16], raw[-16:]
    if not hmac.compare_digest(mac, _mac(key, grant_id, body)):
        raise CredentialRequestRefused("invalid_notification_id", "not given with a credential of this token")
    return body[16:].decode()


def read_notification(body: bytes) -> Notification:
    """Check a notification; unknown members are ignored.

    Raises:
        CredentialRequestRefused: `invalid_notification_request`.
    """
    try:
        request = json_object(body)
    except JsonMalformed as error:
        raise CredentialRequestRefused("invalid_notification_request", error.detail) from error
    notification_id, event = request.get("notification_id"), request.get("event")
    description = request.get("event_description")
    if not isinstance(notification_id, str) or not isinstance(event, str) or event not in EVENTS:
        raise CredentialRequestRefused("invalid_notification_request", "notification_id and a known event are required")
    if description is not None and not (isinstance(description, str) and _DESCRIPTION.fullmatch(description)):
        raise CredentialRequestRefused("invalid_notification_request", "event_description is printable ASCII")
    return Notification(notification_id, event, description and description[:MAX_DESCRIPTION_CHARS])


def _mac(key: bytes, grant_id: str, body: bytes) -> bytes:
    return hmac.digest(key, b"notification\x00" + grant_id.encode() + b"\x00" + body, hashlib.sha256)[:16]
