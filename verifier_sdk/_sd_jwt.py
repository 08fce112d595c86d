"""SD-JWT (RFC 9901), compact form: taking apart (§4) and processing (§7.1). No keys, no clock."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256

from . import _base64url, _json
from ._fault import Fault
from .errors import NotValid

MAX_CHARS = 256 << 10  # a presentation of our largest type takes about 10 kB
MAX_JWT_CHARS = 64 << 10  # with certificates and digests, an issuer's JWT takes about 6 kB
MAX_DISCLOSURES = 256  # DoS bound; our largest type has 31
MAX_DISCLOSURE_CHARS = 64 << 10  # a photo as a data: URI is the largest claim
MAX_DEPTH = _json.MAX_DEPTH  # also across disclosures that disclose disclosures

_RESERVED = frozenset({"_sd", "...", "_sd_alg"})


@dataclass(frozen=True, slots=True)
class SdJwt:
    """An SD-JWT taken apart; nothing in it is verified.

    Attributes:
        issuer_jwt: The compact JWS of the issuer.
        disclosures: As received; their digests are over exactly this text.
        kb_jwt: The key binding, None without one.
        presented: Everything up to and including the last `~`: what `sd_hash` is over (§4.3.1).
    """

    issuer_jwt: str
    disclosures: tuple[str, ...]
    kb_jwt: str | None
    presented: str

    @classmethod
    def from_text(cls, text: str) -> "SdJwt":
        """Split at `~` (§7.1 step 1).

        Raises:
            Fault: No `~` at all, an empty disclosure, anything beyond the bounds.
        """
        if len(text) > MAX_CHARS:
            raise Fault("the SD-JWT is too long")
        issuer_jwt, *disclosures = text.split("~")
        if not disclosures:
            raise Fault("without ~ it is no SD-JWT")
        kb_jwt = disclosures.pop()
        if len(disclosures) > MAX_DISCLOSURES:
            raise Fault("too many disclosures")
        if not all(0 < len(disclosure) <= MAX_DISCLOSURE_CHARS for disclosure in disclosures):
            raise Fault("a disclosure is empty or too long")
        return cls(issuer_jwt, tuple(disclosures), kb_jwt or None, text[: len(text) - len(kb_jwt)])


@dataclass(frozen=True, slots=True)
class _Disclosure:
    name: str | None  # None discloses an array element
    value: object


def process(
    payload: Mapping[str, object], disclosures: Iterable[str], never_disclosable: frozenset[str] = frozenset()
) -> dict[str, object]:
    """Put the disclosed claims in their places (§7.1 steps 2 to 5).

    Args:
        payload: Of the issuer's JWT, its signature verified.
        disclosures: As received.
        never_disclosable: Top-level claims that must be visible with all that is in them.

    Returns:
        The processed payload, without `_sd`, `_sd_alg` and undisclosed elements.

    Raises:
        NotValid: `sd_alg_not_allowed`, `disclosure_malformed`, `disclosure_unreferenced`, `digest_repeated`,
            `claim_name_forbidden`, `claim_never_disclosable`, `claim_repeated`, `claim_malformed`.
    """
    if payload.get("_sd_alg", "sha-256") != "sha-256":
        raise NotValid("sd_alg_not_allowed", "_sd_alg is not sha-256")
    processing = _Processing(disclosures)
    visible = {name: value for name, value in payload.items() if name != "_sd_alg"}
    for name in visible.keys() & never_disclosable:
        if _has_placeholder(visible[name]):
            raise NotValid("claim_never_disclosable", f"{name} has selectively disclosable parts")
    claims = processing.members(visible, MAX_DEPTH, never_disclosable)
    processing.expect_all_used()
    return claims


class _Processing:
    """One run over one payload; remembers which digests and disclosures it met."""

    def __init__(self, disclosures: Iterable[str]) -> None:
        self._unused: dict[str, _Disclosure] = {}
        self._digests: set[str] = set()
        for text in disclosures:
            disclosure = _parse(text)  # first, because it is ASCII only afterwards
            digest = _base64url.encode(sha256(text.encode("ascii")).digest())
            if digest in self._unused:
                raise NotValid("digest_repeated", "a disclosure was sent twice")
            self._unused[digest] = disclosure

    def expect_all_used(self) -> None:
        if self._unused:
            raise NotValid("disclosure_unreferenced", f"{len(self._unused)} disclosures belong to no digest")

    def members(
        self, unprocessed: Mapping[str, object], depth: int, never: frozenset[str] = frozenset()
    ) -> dict[str, object]:
        digests = unprocessed.get("_sd", [])
        visible = {name: value for name, value in unprocessed.items() if name != "_sd"}
        if visible.keys() & _RESERVED:
            raise NotValid("claim_name_forbidden", "a reserved name stands where it must not")
        disclosed: dict[str, object] = {}
        for digest in _digests(digests):
            disclosure = self._take(digest)
            if disclosure is None:
                continue
            name = _claim_name(disclosure, never)
            if name in visible or name in disclosed:
                raise NotValid("claim_repeated", "a disclosed claim is there already")
            disclosed[name] = disclosure.value
        return {name: self._value(value, depth - 1) for name, value in {**visible, **disclosed}.items()}

    def _value(self, value: object, depth: int) -> object:
        if depth == 0:
            raise NotValid("claim_malformed", "claims nested too deeply")
        if isinstance(value, dict):
            return self.members(value, depth)
        if isinstance(value, list):
            return [element for each in value for element in self._element(each, depth - 1)]
        return value

    def _element(self, element: object, depth: int) -> list[object]:
        """An array element: itself, or what a placeholder stands for, or nothing."""
        if not isinstance(element, dict) or element.keys() != {"..."}:
            return [self._value(element, depth)]
        disclosure = self._take(*_digests([element["..."]]))
        if disclosure is None:
            return []
        if disclosure.name is not None:
            raise NotValid("disclosure_malformed", "an array element's disclosure has a name")
        return [self._value(disclosure.value, depth)]

    def _take(self, digest: str) -> _Disclosure | None:
        if digest in self._digests:
            raise NotValid("digest_repeated", "a digest occurs twice")
        self._digests.add(digest)
        return self._unused.pop(digest, None)


def _parse(text: str) -> _Disclosure:
    try:
        parts = _json.loads(_base64url.decode(text))
    except Fault as fault:
        raise NotValid("disclosure_malformed", fault.reason) from fault
    if not isinstance(parts, list) or len(parts) not in (2, 3):
        raise NotValid("disclosure_malformed", "not an array of two or three")
    if not all(isinstance(part, str) for part in parts[:-1]):
        raise NotValid("disclosure_malformed", "salt or name is not a text")
    return _Disclosure(parts[1] if len(parts) == 3 else None, parts[-1])


def _digests(value: object) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(digest, str) for digest in value):
        raise NotValid("claim_malformed", "digests are not an array of texts")
    return value


def _claim_name(disclosure: _Disclosure, never: frozenset[str]) -> str:
    if disclosure.name is None:
        raise NotValid("disclosure_malformed", "a claim's disclosure has no name")
    if disclosure.name in _RESERVED:
        raise NotValid("claim_name_forbidden", "a disclosure bears a reserved name")
    if disclosure.name in never:
        raise NotValid("claim_never_disclosable", f"{disclosure.name} must not be selectively disclosed")
    return disclosure.name


def _has_placeholder(value: object) -> bool:
    if isinstance(value, dict):
        return bool(value.keys() & {"_sd", "..."}) or any(map(_has_placeholder, value.values()))
    return isinstance(value, list) and any(map(_has_placeholder, value))
