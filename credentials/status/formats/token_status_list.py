"""Status lists and their tokens (draft-ietf-oauth-status-list-20, unchanged on the wire since -12)."""

import zlib
from collections.abc import Iterable
from dataclasses import dataclass

import cbor2

from credentials.keys.formats import cose, jws
from credentials.keys.ports import Signer
from credentials.status.errors import InvalidStatusList
from credentials.status.models import StatusListFormat

ALLOWED_BITS = (1, 2, 4, 8)
COMPRESSION_LEVEL = 9  # §4.1 recommends the highest
CWT_SUB, CWT_EXP, CWT_IAT, CWT_STATUS_LIST, CWT_TTL = 2, 4, 6, 65533, 65534
COSE_TYP = 16


@dataclass(frozen=True)
class StatusListContent:
    """What a token says.

    Attributes:
        uri: `sub`.
        compressed: the packed list as a zlib stream.
        iat, exp: seconds since 1970.
        ttl_s: after how many seconds a reader should ask again.
    """

    uri: str
    bits: int
    compressed: bytes
    iat: int
    exp: int
    ttl_s: int


def pack(bits: int, size: int, entries: Iterable[tuple[int, int]]) -> bytes:
    """The byte array of a list (§4.1): least significant bits first, 0 where no entry is given.

    Args:
        bits: per entry: 1, 2, 4 or 8.
        size: the number of entries; fills whole bytes.
        entries: index and value of the entries that are not 0, each index at most once.

    Raises:
        InvalidStatusList: bits, size, an index or a value is out of bounds.
    """
    if bits not in ALLOWED_BITS or size < 1 or size * bits % 8:
        raise InvalidStatusList("a list has 1, 2, 4 or 8 bits an entry and fills whole bytes")
    array = bytearray(size * bits // 8)
    for idx, value in entries:
        if not (0 <= idx < size and 0 <= value < 1 << bits):
            raise InvalidStatusList("an entry lies outside the list, or its value needs more bits")
        position = idx * bits
        array[position >> 3] |= value << (position & 7)
    return bytes(array)


def compress(packed: bytes) -> bytes:
    """The zlib stream of a byte array (RFC 1950). Its bytes vary with the version of zlib."""
    return zlib.compress(packed, COMPRESSION_LEVEL)


def sign(content: StatusListContent, format: StatusListFormat, signer: Signer) -> bytes:
    """The token in one of its two formats (§5.1, §5.2), with the signer's chain in `x5c` or `x5chain`."""
    return (_to_jwt if format is StatusListFormat.JWT else _to_cwt)(content, signer)


def _to_jwt(content: StatusListContent, signer: Signer) -> bytes:
    claims = {
        "sub": content.uri,
        "iat": content.iat,
        "exp": content.exp,
        "ttl": content.ttl_s,
        "status_list": {"bits": content.bits, "lst": jws.b64u_encode(content.compressed)},
    }
    header = {"typ": "statuslist+jwt", "x5c": jws.x5c(signer)}
    return jws.sign_compact(header, jws.json_bytes(claims), signer).encode("ascii")


def _to_cwt(content: StatusListContent, signer: Signer) -> bytes:
    claims = {
        CWT_SUB: content.uri,
        CWT_IAT: content.iat,
        CWT_EXP: content.exp,
        CWT_TTL: content.ttl_s,
        CWT_STATUS_LIST: {"bits": content.bits, "lst": content.compressed},
    }
    header = {COSE_TYP: "application/statuslist+cwt", cose.KID: signer.kid, cose.X5CHAIN: cose.x5chain(signer)}
    return cose.sign1(header, cbor2.dumps(claims, canonical=True), signer)
