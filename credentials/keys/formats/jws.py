"""JWS compact serialisation with ES256 (RFC 7515 §3.1, RFC 7518 §3.4), and base64url (RFC 7515 §2)."""

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from functools import lru_cache

from credentials.keys.errors import MalformedBase64Url
from credentials.keys.ports import Signer


def b64u_encode(data: bytes) -> str:
    """base64url without padding."""
    return b64u_bytes(data).decode("ascii")


def b64u_bytes(data: bytes) -> bytes:
    """base64url without padding, as ASCII."""
    return binascii.b2a_base64(data, newline=False).translate(_TO_URL, b"=")


def b64u_joined(parts: Iterable[bytes]) -> bytes:
    """Each part in base64url without padding, `~` between them; quicker than one by one."""
    return b"~".join([binascii.b2a_base64(part, newline=False) for part in parts]).translate(_TO_URL, b"=")


def b64u_decode(text: str) -> bytes:
    """Read base64url without padding, in its one canonical form: no other text gives the same bytes.

    Raises:
        MalformedBase64Url: padding, white space, another alphabet, or unused bits that are not zero.
    """
    try:
        data = base64.b64decode(text.translate(_TO_STANDARD) + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedBase64Url("not base64url") from error
    if b64u_encode(data) != text:
        raise MalformedBase64Url("not canonical base64url")
    return data


def json_bytes(value: object) -> bytes:
    """JSON without white space, as UTF-8."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def x5c(signer: Signer) -> list[str]:
    """The `x5c` header parameter of a signer (RFC 7515 §4.1.6): standard base64, leaf first, without the anchor."""
    return [base64.b64encode(der).decode("ascii") for der in signer.x5c_der]


def sign_compact(header: Mapping[str, object], payload: bytes, signer: Signer) -> str:
    """Sign a payload as `header.payload.signature`.

    Args:
        header: the protected header without `alg`, which is set to ES256 here.
        payload: any bytes; for a JWT the claims as JSON.
        signer: holds the key. Whether its certificate suits the use is not checked.
    """
    protected = b64u_encode(json_bytes({**header, "alg": "ES256"}))
    signing_input = f"{protected}.{b64u_encode(payload)}"
    return f"{signing_input}.{b64u_encode(signer.sign(signing_input.encode('ascii')))}"


@lru_cache(maxsize=256)  # one entry a signing key and type: authorities have dozens
def x5c_header(typ: str, x5c_der: tuple[bytes, ...]) -> bytes:
    """The first part of a compact JWS with `typ`, `alg` ES256 and `x5c`; kept, as a key signs many of a type."""
    chain = [base64.b64encode(der).decode("ascii") for der in x5c_der]
    return b64u_bytes(json_bytes({"alg": "ES256", "typ": typ, "x5c": chain}))


_TO_STANDARD = str.maketrans("-_", "+/")
_TO_URL = bytes.maketrans(b"+/", b"-_")
