"""The trust list (format version 1): the signed document out of which all trust comes. No IO, no clock."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from hashlib import sha256

from cryptography import x509

from . import _base64url, _scenes, _x509
from ._fault import Fault, told_as
from ._json import as_array, as_integer, as_object, as_text, content_sha256
from ._jws import Jws, certificates
from .errors import TrustError
from .models import Authority, Label, Scene

MAX_TRUST_LIST_BYTES = 4 << 20  # the format's bound: thousands of keys and types
SKEW_S = 30  # the format's: how far in the future `iat` may lie
# What every pass begins with (live code format §3.1): key → name and label.
OWN_ITEMS = {
    0: ("holder_name", Label("持证主体", "Holder")),
    1: ("certificate_number", Label("证照编号", "Licence number")),
}
# The claims that every licence has (trust list format, `scenes`), as a check on line names them.
COMMON_LABELS = {
    **dict(OWN_ITEMS.values()),
    "issuing_authority_name": Label("发证机关", "Issuing authority"),
    "certificate_identifier": Label("证照标识", "Licence identifier"),
    "issued_on": Label("发证日期", "Date of issue"),
    "valid_until": Label("有效期至", "Valid until"),
}

_CODES = {
    "form": "trust_list_malformed",
    "chain": "trust_list_chain_invalid",
    "signature": "trust_list_signature_invalid",
}


@dataclass(frozen=True, slots=True)
class ListedKey:
    """A key of the list whose path to the anchor holds."""

    kid: bytes
    purpose: str
    authority: Authority | None
    licence_types: frozenset[str]
    leaf_sha256: bytes
    path: _x509.Path

    def may_sign(self, type_code: str) -> bool:
        """Whether the key is for this licence type."""
        return type_code in self.licence_types or "*" in self.licence_types


@dataclass(frozen=True, slots=True)
class LicenceType:
    """A licence type as the list names it; its items' `names` by face key, their `item_labels` by name."""

    code: str
    version: int
    vct: str
    name: Label
    names: Mapping[int, str]
    item_labels: Mapping[str, Label]


@dataclass(frozen=True)
class TrustList:
    """A verified trust list.

    Attributes:
        content_sha256: Over all claims but `iat` and `exp`: what a sequence number stands for.
    """

    iss: str
    iat: int
    exp: int
    sequence: int
    status_list_aggregation_uri: str
    keys: tuple[ListedKey, ...]
    types: tuple[LicenceType, ...]
    scenes: Mapping[str, Scene]
    content_sha256: str

    def key_by_leaf(self, purpose: str, leaf_der: bytes) -> ListedKey | None:
        """The key of this purpose with exactly this certificate."""
        leaf_sha256 = sha256(leaf_der).digest()
        return next((key for key in self.keys_by_kid(purpose, leaf_sha256[:8]) if key.leaf_sha256 == leaf_sha256), None)

    def keys_by_kid(self, purpose: str, kid: bytes) -> list[ListedKey]:
        """Every key of this purpose with this kid: two keys can share one."""
        return self._keys.get((purpose, kid), [])

    def type_by_code(self, code: str, version: int) -> LicenceType | None:
        """The type in this version, else in the newest one listed."""
        versions = self._types.get(code)
        return (versions.get(version) or versions[max(versions)]) if versions else None

    def type_by_vct(self, vct: str) -> LicenceType | None:
        """The type that credentials name so, in the newest version listed."""
        named = [licence_type for licence_type in self.types if licence_type.vct == vct]
        return max(named, key=lambda licence_type: licence_type.version, default=None)

    def item_by_key(self, licence_type: LicenceType | None, key: int) -> tuple[str | None, Label]:
        """The name and label of a pass's item; no name and a makeshift label where the list does not know it."""
        if licence_type is not None and key in licence_type.names:
            name = licence_type.names[key]
            return name, licence_type.item_labels[name]
        return OWN_ITEMS.get(key) or (None, Label(f"第{key}项", f"Item {key}"))

    @cached_property
    def _keys(self) -> dict[tuple[str, bytes], list[ListedKey]]:
        index: dict[tuple[str, bytes], list[ListedKey]] = {}
        for key in self.keys:
            index.setdefault((key.purpose, key.kid), []).append(key)
        return index

    @cached_property
    def _types(self) -> dict[str, dict[int, LicenceType]]:
        index: dict[str, dict[int, LicenceType]] = {}
        for licence_type in self.types:
            index.setdefault(licence_type.code, {})[licence_type.version] = licence_type
        return index


def read(text: str, anchors: Iterable[x509.Certificate]) -> tuple[TrustList, _x509.Path]:
    """Steps 1 to 3 and 5 of the format, all but what needs a clock.

    Args:
        text: The compact JWS.
        anchors: The pinned roots.

    Returns:
        The list, and the path of the certificate that signed it.

    Raises:
        TrustError: `trust_list_malformed`, `trust_list_chain_invalid`, `trust_list_signature_invalid`.
    """
    anchors = tuple(anchors)
    with told_as(TrustError, _CODES):
        jws = Jws.from_compact(text, MAX_TRUST_LIST_BYTES)  # (1)
        jws.expect_header("lz-trust-list+jwt")
        path = _x509.validate(jws.x5c(), anchors, "trust-list")  # (2)
        return _from_claims(jws.verify(path.key), anchors), path  # (3), (5)


def expect_now(trust_list: TrustList, path: _x509.Path, now: datetime) -> None:
    """What of steps 2 and 3 needs a clock; for a list that was just fetched.

    Raises:
        TrustError: `trust_list_chain_invalid`, `trust_list_from_the_future`, `trust_list_expired`.
    """
    if not path.holds_at(now):
        raise TrustError("trust_list_chain_invalid", "a certificate is outside its validity")
    now_s = int(now.timestamp())
    if trust_list.iat > now_s + SKEW_S:
        raise TrustError("trust_list_from_the_future", f"issued {trust_list.iat - now_s} s ahead of this clock")
    if trust_list.exp <= now_s:
        raise TrustError("trust_list_expired", f"over since {now_s - trust_list.exp} s")


def _from_claims(claims: Mapping[str, object], anchors: tuple[x509.Certificate, ...]) -> TrustList:
    sequence = as_integer(claims.get("sequence"))
    if sequence < 1:
        raise Fault("sequence is less than 1")
    return TrustList(
        iss=as_text(claims.get("iss")),
        iat=as_integer(claims.get("iat")),
        exp=as_integer(claims.get("exp")),
        sequence=sequence,
        status_list_aggregation_uri=as_text(claims.get("status_list_aggregation_uri")),
        keys=tuple(key for entry in as_array(claims.get("keys")) if (key := _key(as_object(entry), anchors))),
        types=tuple(_licence_type(as_object(entry)) for entry in as_array(claims.get("types"))),
        scenes=_scenes.read(claims.get("scenes", [])),
        content_sha256=content_sha256({name: claims[name] for name in claims.keys() - {"iat", "exp"}}),
    )


def _key(entry: Mapping[str, object], anchors: tuple[x509.Certificate, ...]) -> ListedKey | None:
    """The listed key, None when its path does not hold or its purpose is not known here (step 5)."""
    kid, purpose = _base64url.decode(as_text(entry.get("kid"))), as_text(entry.get("purpose"))
    types = frozenset(as_text(code) for code in as_array(entry.get("licence_types")))
    authority = _authority(entry.get("authority"))
    try:
        chain = certificates(entry.get("x5c"))
        leaf_sha256 = sha256(chain[0]).digest()
        if purpose not in ("credential", "pass", "status", "check") or leaf_sha256[:8] != kid:
            return None
        path = _x509.validate(chain, anchors, purpose)
    except Fault:
        return None
    return ListedKey(kid, purpose, authority, types, leaf_sha256, path)


def _authority(value: object) -> Authority | None:
    if value is None:
        return None
    entry = as_object(value)
    return Authority(code=as_text(entry.get("code")), name=as_text(entry.get("name")))


def _licence_type(entry: Mapping[str, object]) -> LicenceType:
    items = [as_object(item) for item in as_array(entry.get("items"))]
    item_labels = {as_text(item.get("name")): _scenes.label(item.get("label")) for item in items}
    names = {as_integer(key): as_text(item["name"]) for item in items if (key := item.get("face_key")) is not None}
    return LicenceType(
        code=as_text(entry.get("code")),
        version=as_integer(entry.get("version")),
        vct=as_text(entry.get("vct")),
        name=_scenes.label(entry.get("name")),
        names=names,
        item_labels=item_labels,
    )


def instant(seconds: int) -> datetime:
    """Seconds since 1970 as an instant; those beyond the calendar become its last year."""
    return datetime.fromtimestamp(min(seconds, 253_370_764_800), UTC)
