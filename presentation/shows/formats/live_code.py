"""Writing the live code: pass, proof and QR text (`presentation/FORMAT.md`, version 1)."""

import base64
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date

import cbor2

from presentation.shows.formats.cose_sign1 import KCWT, KID, sign1
from presentation.shows.models import DeviceKey, Profile, StatusPlace

VERSION = "1"
SHOW_AUDIENCE = "lz-show"
PASS_CONTEXT, PROOF_CONTEXT = b"lz-pass-1", b"lz-show-1"
CTI_BYTES = 16

_AUD, _EXP, _NBF, _IAT, _CTI, _CNF, _VCT, _CNONCE, _STATUS, _LICENCE = 3, 4, 5, 6, 7, 8, 11, 39, 65535, -65537
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class PassClaims:
    """What a pass says.

    Attributes:
        items: item key → value, already masked where the profile asks for it.
        valid_until: the last valid Shanghai day, None for long-term.
    """

    not_before_s: int
    expires_at_s: int
    key: DeviceKey
    type_code: str
    type_version: int
    profile: Profile
    valid_until: date | None
    items: Mapping[int, object]
    status: StatusPlace


def encode_pass(claims: PassClaims, kid: bytes, sign: Callable[[bytes], bytes]) -> bytes:
    """The pass as CBOR bytes (§3). `sign` is that of the pass key."""
    licence = {
        0: int(claims.profile),
        1: claims.type_version,
        2: None if claims.valid_until is None else (claims.valid_until - _EPOCH).days,
        3: dict(claims.items),
    }
    payload = {
        _EXP: claims.expires_at_s,
        _NBF: claims.not_before_s,
        _CNF: {1: {1: 2, -1: 1, -2: claims.key.x, -3: claims.key.y_is_odd}},
        _VCT: claims.type_code,
        _STATUS: {"status_list": {"idx": claims.status.index, "uri": claims.status.uri}},
        _LICENCE: licence,
    }
    return cbor2.dumps(sign1({KID: kid}, PASS_CONTEXT, cbor2.dumps(payload), sign))


def encode_proof(
    pass_token: bytes, issued_at_s: int, cti: bytes, sign: Callable[[bytes], bytes], challenge: bytes | None = None
) -> bytes:
    """The proof as CBOR bytes (§4). `sign` is that of the device key.

    Args:
        cti: 16 random bytes, fresh for every proof.
        challenge: the verifier's `cnonce`, 8 to 64 bytes.
    """
    payload: dict[int, object] = {_AUD: SHOW_AUDIENCE, _IAT: issued_at_s, _CTI: cti}
    if challenge is not None:
        payload[_CNONCE] = challenge
    return cbor2.dumps(sign1({KCWT: cbor2.loads(pass_token)}, PROOF_CONTEXT, cbor2.dumps(payload), sign))


def qr_prefix(public_url: str) -> str:
    """The part of the QR text that phone cameras open; written as a byte segment."""
    return f"{public_url}/v#"


def qr_text(public_url: str, proof: bytes) -> str:
    """The whole text of the QR code (§1)."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, wbits=-15)
    deflated = compressor.compress(proof) + compressor.flush()
    return qr_prefix(public_url) + VERSION + base64.b32encode(deflated).decode().rstrip("=")
