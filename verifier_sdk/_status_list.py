"""Status list tokens (draft-ietf-oauth-status-list-20): what is revoked or suspended. No IO, no clock."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from . import _base64url, _cbor
from ._cose import ALG, CRIT, ES256, TYP, X5CHAIN, Sign1
from ._fault import Fault, told_as
from ._json import as_integer, as_object, as_text
from ._jws import Jws
from ._trust_list import ListedKey, TrustList
from .errors import TrustError

MAX_TOKEN_BYTES = 4 << 20  # 2^24 entries of one random bit would be 2.8 MB; real lists compress far below
MAX_ENTRIES = 1 << 24  # the platform's lists have 2^20; more is a bomb
SKEW_S = 30  # how far in the future `iat` may lie, as for the trust list

_SUB, _EXP, _IAT, _STATUS_LIST, _TTL = 2, 4, 6, 65533, 65534  # claim keys of the CWT form (§5.2)
_Name = TypeVar("_Name", str, int | str)

_CODES = {
    "form": "status_list_malformed",
    "x5c": "status_list_issuer_unknown",
    "signature": "status_list_signature_invalid",
}


@dataclass(frozen=True, slots=True)
class StatusArray:
    """The decoded entries: `bits` a status, least significant first (§4.1)."""

    bits: int
    entries: bytes

    @classmethod
    def from_json(cls, value: object) -> "StatusArray":
        """Decode `{"bits", "lst"}` (§4.2). Raises `Fault`."""
        status_list = as_object(value)
        return cls.from_deflated(
            as_integer(status_list.get("bits")), _base64url.decode(as_text(status_list.get("lst")))
        )

    @classmethod
    def from_cbor(cls, value: object) -> "StatusArray":
        """Decode the map of `bits` and `lst` (§4.3). Raises `Fault`."""
        status_list = as_object(value)
        deflated = status_list.get("lst")
        if not isinstance(deflated, bytes):
            raise Fault("lst is not a byte string")
        return cls.from_deflated(as_integer(status_list.get("bits")), deflated)

    @classmethod
    def from_deflated(cls, bits: int, deflated: bytes) -> "StatusArray":
        """Inflate a zlib stream (RFC 1950) that must be whole, alone and within `MAX_ENTRIES`. Raises `Fault`."""
        if bits not in (1, 2, 4, 8):
            raise Fault("bits is not 1, 2, 4 or 8")
        limit = MAX_ENTRIES * bits // 8
        inflater = zlib.decompressobj()
        try:
            entries = inflater.decompress(deflated, limit + 1)
        except zlib.error as error:
            raise Fault("lst is not a zlib stream") from error
        if len(entries) > limit:
            raise Fault("lst inflates to more than a status list can hold")
        if not inflater.eof or inflater.unused_data:
            raise Fault("lst does not end with its zlib stream")
        return cls(bits, entries)

    def __len__(self) -> int:
        return len(self.entries) * 8 // self.bits

    def status(self, idx: int) -> int | None:
        """The status at `idx`; None outside the list."""
        if not 0 <= idx < len(self):
            return None
        byte, shift = divmod(idx * self.bits, 8)
        return (self.entries[byte] >> shift) & ((1 << self.bits) - 1)


@dataclass(frozen=True, slots=True)
class StatusList:
    """A verified status list token; times in seconds since 1970."""

    uri: str
    iat: int
    exp: int | None
    ttl: int | None
    statuses: StatusArray
    key: ListedKey


def read(token: str | bytes, uri: str, trust_list: TrustList) -> StatusList:
    """Verify a status list token (§8.3 steps 3 and 4), all but what needs a clock.

    Args:
        token: The compact JWS, or the CWT's bytes.
        uri: The URI it was fetched from; `sub` must be exactly this.
        trust_list: Its keys of purpose `status` may sign; the leaf in `x5c` or `x5chain` must be one of them.

    Raises:
        TrustError: `status_list_malformed`, `status_list_issuer_unknown`, `status_list_signature_invalid`,
            `status_list_uri_wrong`.
    """
    with told_as(TrustError, _CODES):
        return _from_jwt(token, uri, trust_list) if isinstance(token, str) else _from_cwt(token, uri, trust_list)


def _from_jwt(text: str, uri: str, trust_list: TrustList) -> StatusList:
    jws = Jws.from_compact(text, MAX_TOKEN_BYTES)
    jws.expect_header("statuslist+jwt")
    key = _listed(trust_list, jws.x5c()[0])
    claims = jws.verify(key.path.key)
    _expect_sub(claims.get("sub"), uri)
    return StatusList(
        uri=uri,
        iat=as_integer(claims.get("iat")),
        exp=_optional(claims, "exp"),
        ttl=_optional(claims, "ttl"),
        statuses=StatusArray.from_json(claims.get("status_list")),
        key=key,
    )


def _from_cwt(data: bytes, uri: str, trust_list: TrustList) -> StatusList:
    """The CWT form (§5.2): tagged as COSE_Sign1, not as CWT; keys of its map are those of RFC 8392."""
    if len(data) > MAX_TOKEN_BYTES:
        raise Fault("the CWT is too long")
    signed, unprotected = Sign1.with_unprotected(_cbor.loads(data))
    header = cwt_header(signed, unprotected)
    key = _listed(trust_list, _leaf(header.get(X5CHAIN)))
    signed.verify(key.path.key, b"")
    claims = _cbor.loads(signed.payload)
    if not isinstance(claims, dict):
        raise Fault("the claims are not a map")
    _expect_sub(claims.get(_SUB), uri)
    return StatusList(
        uri=uri,
        iat=as_integer(claims.get(_IAT)),
        exp=_optional(claims, _EXP),
        ttl=_optional(claims, _TTL),
        statuses=StatusArray.from_cbor(claims.get(_STATUS_LIST)),
        key=key,
    )


def cwt_header(signed: Sign1, unprotected: object) -> Mapping[int | str, object]:
    """Both headers of a CWT status list token in one; algorithm and typ must be protected. Raises `Fault`."""
    protected = _cbor.loads(signed.protected) if signed.protected else {}
    if not isinstance(protected, dict) or not isinstance(unprotected, dict):
        raise Fault("a header is not a map")
    if protected.get(ALG) != ES256 or protected.get(TYP) != "application/statuslist+cwt":
        raise Fault("alg or typ is another one, or not protected")
    if CRIT in protected or protected.keys() & unprotected.keys():
        raise Fault("a header is critical, or stands in both maps")
    return {**unprotected, **protected}


def _leaf(x5chain: object) -> bytes:
    """RFC 9360 §2: one certificate as bytes, several as an array, leaf first."""
    leaf = x5chain[0] if isinstance(x5chain, list) and x5chain else x5chain
    if not isinstance(leaf, bytes):
        raise Fault("x5chain is missing", "x5c")
    return leaf


def _listed(trust_list: TrustList, leaf_der: bytes) -> ListedKey:
    key = trust_list.key_by_leaf("status", leaf_der)
    if key is None:
        raise TrustError("status_list_issuer_unknown", "the trust list has no such status key")
    return key


def _expect_sub(sub: object, uri: str) -> None:
    if as_text(sub) != uri:
        raise TrustError("status_list_uri_wrong", "sub is not the URI of the list")


def expect_now(status_list: StatusList, now: datetime) -> None:
    """What needs a clock; for a token that was just fetched.

    Raises:
        TrustError: `status_list_issuer_unknown`, `status_list_from_the_future`, `status_list_expired`.
    """
    now_s = int(now.timestamp())
    if not status_list.key.path.holds_at(now):
        raise TrustError("status_list_issuer_unknown", "the status key's certificate is outside its validity")
    if status_list.iat > now_s + SKEW_S:
        raise TrustError("status_list_from_the_future", f"issued {status_list.iat - now_s} s ahead of this clock")
    if status_list.exp is not None and status_list.exp <= now_s:
        raise TrustError("status_list_expired", f"over since {now_s - status_list.exp} s")


def _optional(claims: Mapping[_Name, object], name: _Name) -> int | None:
    return None if name not in claims else as_integer(claims[name])
