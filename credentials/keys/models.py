"""Keys and certificates as values."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from cryptography import x509

from credentials.keys.errors import InvalidKeyRequest

ALL_LICENCE_TYPES = ("*",)
MAX_NAME_CHARACTERS = 200  # the longest full names of Chinese authorities have about 60
MAX_CODE_CHARACTERS = 64  # a 统一社会信用代码 has 18; older systems use others


class KeyPurpose(StrEnum):
    """What a key may sign. Every leaf is good for exactly one purpose."""

    CREDENTIAL = "credential"
    STATUS = "status"
    PASS = "pass"  # noqa: S105 (a show pass, not a password)
    TRUST_LIST = "trust-list"
    METADATA = "issuer-metadata"
    CHECK = "check"
    ROOT = "root"  # the anchor; made when first needed, never asked for


PUBLISHED_PURPOSES = (KeyPurpose.CREDENTIAL, KeyPurpose.PASS, KeyPurpose.STATUS, KeyPurpose.CHECK)


class KeyState(StrEnum):
    """The life of a key: next → active → previous → retired; `next` may be skipped."""

    NEXT = "next"  # in the trust list, does not sign yet
    ACTIVE = "active"  # signs; at most one per purpose and authority
    PREVIOUS = "previous"  # in the trust list, signs no more
    RETIRED = "retired"  # its certificate is over


@dataclass(frozen=True)
class Authority:
    """An issuing authority.

    Attributes:
        code: its 统一社会信用代码.
        name: its full name, at most 200 characters.
    """

    code: str
    name: str

    def __post_init__(self) -> None:
        for value, limit in ((self.code, MAX_CODE_CHARACTERS), (self.name, MAX_NAME_CHARACTERS)):
            if not 0 < len(value) <= limit or not value.isprintable() or value != value.strip():
                raise InvalidKeyRequest("an authority's code or name is empty, too long or not printable")


@dataclass(frozen=True)
class KeyRequest:
    """A key that the platform must have.

    Attributes:
        purpose: any but the root.
        authority: whose key it is; required for `credential`, absent for the platform's own keys.
        licence_types: the codes the key may sign for, or `("*",)`; order does not matter.
    """

    purpose: KeyPurpose
    authority: Authority | None = None
    licence_types: tuple[str, ...] = ALL_LICENCE_TYPES

    def __post_init__(self) -> None:
        if self.purpose is KeyPurpose.ROOT:
            raise InvalidKeyRequest("the root is made with the first leaf, it is not asked for")
        if (self.purpose is KeyPurpose.CREDENTIAL) != (self.authority is not None):
            raise InvalidKeyRequest("credential keys belong to an authority, all others to the platform")
        if not self.licence_types:
            raise InvalidKeyRequest("a key for no licence type at all signs nothing")

    @property
    def authority_code(self) -> str | None:
        """The authority's code, or None for a key of the platform's own."""
        return None if self.authority is None else self.authority.code


@dataclass(frozen=True)
class SigningKey:
    """A key as the database knows it: everything but the private part.

    Attributes:
        kid: the first 8 bytes of SHA-256 over the certificate's DER.
        certificates: leaf first, without the anchor; for the root the root itself.
        key_reference: where the private key is, for example `file:pass-0011223344556677.pem`.
        created_at: for a key that follows another, the instant it entered the trust list.
        anchor_sha256: the outside anchor that its chain leads to, as hex; empty for the platform's root.
    """

    kid: bytes
    purpose: KeyPurpose
    authority: Authority | None
    licence_types: tuple[str, ...]
    certificates: tuple[x509.Certificate, ...]
    key_reference: str
    state: KeyState
    not_before: datetime
    not_after: datetime
    created_at: datetime
    anchor_sha256: str = ""

    @property
    def outside(self) -> bool:
        """Whether an outside authority certified it: then only that one can renew it."""
        return bool(self.anchor_sha256)

    @property
    def authority_code(self) -> str | None:
        """The authority's code, or None for a key of the platform's own."""
        return None if self.authority is None else self.authority.code


@dataclass(frozen=True)
class TrustedKey:
    """A key that readers are told to trust, for one purpose and some licence types.

    Attributes:
        x5c_der: the chain as DER, leaf first, without the anchor.
    """

    kid: bytes
    purpose: KeyPurpose
    authority: Authority | None
    licence_types: tuple[str, ...]
    x5c_der: tuple[bytes, ...]


@dataclass(frozen=True)
class LocalText:
    """A label in the two languages that readers show."""

    zh_cn: str
    en: str


@dataclass(frozen=True)
class TrustListItem:
    """A data item of a licence type.

    Attributes:
        face_key: its integer key in a show pass, or None when it is not on the face.
    """

    name: str
    face_key: int | None
    label: LocalText


@dataclass(frozen=True)
class TrustListType:
    """A licence type as readers need it to label what they were shown."""

    code: str
    version: int
    vct: str
    name: LocalText
    items: Sequence[TrustListItem]


@dataclass(frozen=True)
class PublishedTrustList:
    """The trust list as it is served.

    Attributes:
        token: a compact JWS, `application/jwt`.
        etag: a strong entity tag, quotes included.
        sequence: 1 for the first list, one more with each that follows.
    """

    token: str
    etag: str
    sequence: int
    expires_at: datetime
