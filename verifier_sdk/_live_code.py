"""The live code's form (format version 1, §1 to §4): text in, proof and pass out. No trust, no clock.

Everything here is unverified; `verifier.Verifier.check` verifies.
"""

import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TypeGuard

from . import _cbor, _ecdsa
from ._cose import ALG, KCWT, KID, Sign1
from ._fault import Fault, told_as
from .errors import NotValid

ItemValue = str | int | bool | tuple[str | int | bool, ...]

MAX_TEXT_CHARS = 4296  # QR 40-L in alphanumeric mode; nothing longer fits into a QR code
MAX_PROOF_BYTES = 8192  # the format's bound for inflating; a `face` proof takes about 500
MAX_PASS_LIFETIME_S = 86_400  # a strip lives a day at most: a wrongly issued licence dies with its strips
MAX_NUMERIC_DATE = 1 << 40  # year 36812: keeps arithmetic on times harmless
MAX_DAY = (date.max - date(1970, 1, 1)).days

_FORM = re.compile(r"https?://[^\s#]+/v#([^A-Z2-7])(.*)", re.DOTALL)  # no version is a letter of base32
_BASE32_LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_TYPE_CODE = re.compile(r"[a-z0-9-]{1,64}")
_TO_INT_DIGITS = bytes.maketrans(_BASE32_LETTERS, b"0123456789ABCDEFGHIJKLMNOPQRSTUV")

PASS_CONTEXT, PROOF_CONTEXT = b"lz-pass-1", b"lz-show-1"  # external_aad: layer and format version (§2)

_PASS_LABELS = frozenset({ALG, KID})
_PROOF_LABELS = frozenset({ALG, KCWT})
_PASS_CLAIMS = frozenset({4, 5, 8, 11, 65535, -65537})
_PROOF_CLAIMS = frozenset({3, 6, 7})
_CNONCE = 39


@dataclass(frozen=True, slots=True)
class Pass:
    """A show pass as it was read (§3); `signed` is what its signature is checked over."""

    signed: Sign1
    kid: bytes
    type_code: str
    type_version: int
    nbf: int
    exp: int
    cnf_x: bytes
    cnf_y_is_odd: bool
    status_uri: str
    status_idx: int
    profile: int
    valid_until: date | None
    items: tuple[tuple[int, ItemValue], ...]

    def holder_key(self) -> _ecdsa.PublicKey:
        """The key of `cnf`. Raises `Fault` when the point does not exist."""
        return _ecdsa.from_compressed(self.cnf_x, self.cnf_y_is_odd)


@dataclass(frozen=True, slots=True)
class Proof:
    """A show proof as it was read (§4), with the pass it carries."""

    signed: Sign1
    show_pass: Pass
    aud: str
    iat: int
    cti: bytes
    cnonce: bytes | None


Known = Callable[[bytes], Pass | None]


def read(text: str, known: Known = lambda protected: None) -> Proof:
    """Steps 1 to 3 of the format: text, base32 and DEFLATE, CBOR.

    Args:
        text: What the QR code says, without surrounding white space.
        known: Gives the pass that these protected bytes of a proof were read to hold before, which saves reading it
            again.

    Raises:
        NotValid: `malformed`, `version_unsupported`, `paper_copy_unsupported`.
    """
    with told_as(NotValid, {"form": "malformed"}):
        return _proof(_inflate(_decode_base32(_fragment(text))), known)


def _fragment(text: str) -> str:
    if len(text) > MAX_TEXT_CHARS:
        raise Fault("the text is longer than a QR code can be")
    form = _FORM.fullmatch(text)
    if form is None:
        raise Fault("the text does not have the form of a live code")
    version = form[1]
    if version in "89":
        raise NotValid("paper_copy_unsupported", f"version {version} is a printed copy")
    if version != "1":
        raise NotValid("version_unsupported", "only version 1 is read")
    return form[2]


def _decode_base32(text: str) -> bytes:
    """RFC 4648 §6 without padding. By way of `int`, because `base64.b32decode` takes a Python loop a character."""
    letters = text.encode("ascii", "replace")
    if not letters or letters.translate(None, _BASE32_LETTERS):
        raise Fault("not base32")
    size, stray_bits = divmod(len(letters) * 5, 8)
    number = int(letters.translate(_TO_INT_DIGITS), 32)
    if stray_bits >= 5 or number & ((1 << stray_bits) - 1):
        raise Fault("base32 with stray trailing bits")
    return (number >> stray_bits).to_bytes(size, "big")


def _inflate(deflated: bytes) -> bytes:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        data = inflater.decompress(deflated, MAX_PROOF_BYTES + 1)
    except zlib.error as error:
        raise Fault("not DEFLATE") from error
    if len(data) > MAX_PROOF_BYTES:
        raise Fault("inflates to more than a live code can hold")
    if not inflater.eof or inflater.unused_data:
        raise Fault("the DEFLATE stream does not end with the input")
    if _has_stray_bits(deflated, data):
        raise Fault("DEFLATE with stray bits")
    return data


def _has_stray_bits(deflated: bytes, data: bytes) -> bool:
    """Whether a bit is set that means nothing: after the type of a stored block (RFC 1951 §3.2.4), or at the end.

    So that no text with one bit changed is a code as well. `zlib` does not tell where in its last byte a stream ends:
    what inflates to the same without the last bit that is set, has that bit to spare.
    """
    is_final_block, is_stored = deflated[0] & 1, not deflated[0] & 0b110
    if is_stored and (is_final_block or deflated[0] >> 3):
        return deflated[0] >> 3 != 0  # a stored block ends with a byte
    last = deflated[-1]
    if not last:
        return False
    spared = deflated[:-1] + bytes([last ^ 1 << last.bit_length() - 1])
    try:
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        return inflater.decompress(spared, len(data) + 1) == data and inflater.eof
    except zlib.error:
        return False


def _proof(data: bytes, known: Known) -> Proof:
    signed = Sign1.from_cbor(_cbor.loads(data))
    show_pass = known(signed.protected)
    if show_pass is None:
        show_pass = _pass(Sign1.from_cbor(signed.header(_PROOF_LABELS)[KCWT]))
    claims = _claims(signed.payload)
    cnonce = claims.get(_CNONCE)
    if claims.keys() != _PROOF_CLAIMS and claims.keys() - {_CNONCE} != _PROOF_CLAIMS:
        raise Fault("the proof does not hold exactly its claims")
    aud, cti = claims[3], claims[7]
    if not isinstance(aud, str):
        raise Fault("aud is not a text")
    if not isinstance(cti, bytes) or len(cti) != 16:
        raise Fault("cti does not have 16 bytes")
    if _CNONCE in claims and not (isinstance(cnonce, bytes) and 8 <= len(cnonce) <= 64):
        raise Fault("cnonce does not have 8 to 64 bytes")
    return Proof(signed, show_pass, aud, _numeric_date(claims[6]), cti, cnonce if isinstance(cnonce, bytes) else None)


def _pass(signed: Sign1) -> Pass:
    kid = signed.header(_PASS_LABELS)[KID]
    claims = _claims(signed.payload)
    if claims.keys() != _PASS_CLAIMS:
        raise Fault("the pass does not hold exactly its claims")
    if not isinstance(kid, bytes) or len(kid) != 8:
        raise Fault("kid does not have 8 bytes")
    nbf, exp = _numeric_date(claims[5]), _numeric_date(claims[4])
    if not 0 < exp - nbf <= MAX_PASS_LIFETIME_S:
        raise Fault("the pass does not live between 0 and 24 h")
    x, y_is_odd = _cnf(claims[8])
    uri, idx = _status(claims[65535])
    profile, version, valid_until, items = _licence(claims[-65537])
    return Pass(
        signed=signed,
        kid=kid,
        type_code=_type_code(claims[11]),
        type_version=version,
        nbf=nbf,
        exp=exp,
        cnf_x=x,
        cnf_y_is_odd=y_is_odd,
        status_uri=uri,
        status_idx=idx,
        profile=profile,
        valid_until=valid_until,
        items=items,
    )


def _claims(payload: bytes) -> Mapping[int | str, object]:
    return _map(_cbor.loads(payload))


def _map(value: object) -> Mapping[int | str, object]:
    if not isinstance(value, dict):
        raise Fault("not a CBOR map")
    return value


def _is_uint(value: object) -> TypeGuard[int]:
    return type(value) is int and value >= 0  # `type`, because True is an int


def _numeric_date(value: object) -> int:
    if not _is_uint(value) or value > MAX_NUMERIC_DATE:
        raise Fault("a time is not a number of seconds")
    return value


def _type_code(value: object) -> str:
    if not isinstance(value, str) or not _TYPE_CODE.fullmatch(value):
        raise Fault("vct is not a type code")
    return value


def _cnf(value: object) -> tuple[bytes, bool]:
    confirmation = _map(value)
    if confirmation.keys() != {1}:
        raise Fault("cnf does not hold exactly a COSE key")
    key = _map(confirmation[1])
    x, y_is_odd = key.get(-2), key.get(-3)
    if key.keys() != {1, -1, -2, -3} or key[1] != 2 or key[-1] is True or key[-1] != 1:
        raise Fault("cnf is not a P-256 key")
    if not isinstance(x, bytes) or len(x) != 32 or not isinstance(y_is_odd, bool):
        raise Fault("cnf is not a compressed point")
    return x, y_is_odd


def _status(value: object) -> tuple[str, int]:
    status = _map(value)
    if status.keys() != {"status_list"}:
        raise Fault("status does not hold exactly a status list")
    reference = _map(status["status_list"])
    idx, uri = reference.get("idx"), reference.get("uri")
    if reference.keys() != {"idx", "uri"} or not _is_uint(idx) or not isinstance(uri, str):
        raise Fault("the status list is not referred to by idx and uri")
    return uri, idx


def _licence(value: object) -> tuple[int, int, date | None, tuple[tuple[int, ItemValue], ...]]:
    licence = _map(value)
    if licence.keys() != {0, 1, 2, 3}:
        raise Fault("the licence does not hold exactly its members")
    profile, version = licence[0], licence[1]
    if not _is_uint(profile) or profile not in (1, 2) or not _is_uint(version) or version < 1:
        raise Fault("profile or type version is not known")
    return profile, version, _last_day(licence[2]), _items(_map(licence[3]), profile)


def _last_day(value: object) -> date | None:
    if value is None:
        return None
    if not _is_uint(value) or value > MAX_DAY:
        raise Fault("valid until is not a day")
    return date(1970, 1, 1) + timedelta(days=value)


def _items(members: Mapping[int | str, object], profile: int) -> tuple[tuple[int, ItemValue], ...]:
    items = sorted((_item_key(key), _item_value(value)) for key, value in members.items())
    if [key for key, _ in items[:2]] != [0, 1] or not all(isinstance(value, str) for _, value in items[:2]):
        raise Fault("holder's name or licence number is missing")
    if profile == 1 and len(items) != 2:
        raise Fault("a minimal pass shows more than name and number")
    return tuple(items)


def _item_key(key: int | str) -> int:
    if not _is_uint(key):
        raise Fault("an item's key is not a number")
    return key


def _item_value(value: object) -> ItemValue:
    if isinstance(value, list):
        return tuple(_item_scalar(element) for element in value)
    return _item_scalar(value)


def _item_scalar(value: object) -> str | int | bool:
    if not isinstance(value, str | int | bool):
        raise Fault("an item is neither text, integer, bool nor an array of these")
    return value
