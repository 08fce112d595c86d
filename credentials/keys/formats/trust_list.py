"""The claims of the trust list, format version 1 (TRUST_LIST.md)."""

import base64
import hashlib
from collections.abc import Mapping, Sequence

from credentials.keys.formats.jws import b64u_encode, json_bytes
from credentials.keys.models import LocalText, TrustedKey, TrustListItem, TrustListType

TYP = "lz-trust-list+jwt"


def trust_list_content(
    issuer: str,
    status_list_aggregation_uri: str,
    keys: Sequence[TrustedKey],
    types: Sequence[TrustListType],
    scenes: Sequence[Mapping[str, object]] = (),
) -> dict[str, object]:
    """The claims that say something: all but `iat`, `exp`, `sequence`; the order of keys and types does not matter.

    Args:
        issuer: PUBLIC_URL.
        status_list_aggregation_uri: where the URIs of the status lists stand.
        scenes: as they are to stand there, in order.
    """
    sorted_keys = sorted(keys, key=lambda key: (key.purpose, key.authority.code if key.authority else "", key.kid))
    return {
        "iss": issuer,
        "status_list_aggregation_uri": status_list_aggregation_uri,
        "keys": [_key(key) for key in sorted_keys],
        "types": [_type(entry) for entry in sorted(types, key=lambda entry: (entry.code, entry.version))],
        "scenes": list(scenes),
    }


def content_digest(content: Mapping[str, object]) -> bytes:
    """SHA-256 over the content; equal for equal content."""
    return hashlib.sha256(json_bytes(content)).digest()


def trust_list_claims(content: Mapping[str, object], *, iat: int, exp: int, sequence: int) -> dict[str, object]:
    """All claims of a trust list; `iat` and `exp` in seconds since 1970."""
    return {**content, "iat": iat, "exp": exp, "sequence": sequence}


def _key(key: TrustedKey) -> dict[str, object]:
    authority = key.authority
    return {
        "kid": b64u_encode(key.kid),
        "purpose": key.purpose.value,
        "authority": None if authority is None else {"code": authority.code, "name": authority.name},
        "licence_types": sorted(key.licence_types),
        "x5c": [base64.b64encode(der).decode("ascii") for der in key.x5c_der],
    }


def _type(entry: TrustListType) -> dict[str, object]:
    return {
        "code": entry.code,
        "version": entry.version,
        "vct": entry.vct,
        "name": _local_text(entry.name),
        "items": [_item(item) for item in entry.items],
    }


def _item(item: TrustListItem) -> dict[str, object]:
    return {"name": item.name, "face_key": item.face_key, "label": _local_text(item.label)}


def _local_text(text: LocalText) -> dict[str, str]:
    return {"zh-CN": text.zh_cn, "en": text.en}
