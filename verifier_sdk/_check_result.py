"""The platform's signed answer to a check on line: read, verified, and only then believed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import sha256

from . import _base64url, _x509
from ._fault import Fault, told_as
from ._json import as_array, as_integer, as_object, as_text
from ._jws import Jws
from ._trust_list import COMMON_LABELS, TrustList, instant
from .errors import CannotTell
from .models import Label, NamedItem, Redeemed
from .trust import Trust

MAX_RESULT_CHARS = 4 << 20  # with a photo as a data: URI
_CODES = {"form": "answer_not_trusted"}


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for; the answer must be to exactly this."""

    qr_text: str
    scene: str
    client_id: str


def read(text: str, asked: Asked, trust: Trust, trust_list: TrustList, now: datetime, skew_s: int) -> Redeemed:
    """Verify an answer.

    1. Form and size; typ, alg, no crit.
    2. The key: `x5c` chains to a pinned anchor with the purpose `check`, holds now, and the trust list lists its leaf.
    3. The signature.
    4. `iss` is the platform of the trust list, `aud` this verifier.
    5. `code_hash` is over the code that was sent, `scene` the one asked for, `outcome` and the state valid.
    6. `iat` and `exp` around now.

    Raises:
        CannotTell: `answer_not_trusted`; `clock_off` when all but the times holds.
    """
    with told_as(CannotTell, _CODES):
        jws = Jws.from_compact(text, MAX_RESULT_CHARS)  # (1)
        jws.expect_header("lz-check+jwt")
        chain = jws.x5c()
        path = _x509.validate(chain, trust.anchors, "check")  # (2)
        if not path.holds_at(now) or trust_list.key_by_leaf("check", chain[0]) is None:
            raise Fault("the signing key is not in the trust list, or its certificate is outside its validity")
        claims = jws.verify(path.key)  # (3)
        _expect_addressed(claims, asked, trust_list.iss)  # (4) (5)
        result = _result(claims, trust_list)
        _expect_time(as_integer(claims.get("iat")), as_integer(claims.get("exp")), int(now.timestamp()), skew_s)  # (6)
        return result


def _expect_addressed(claims: Mapping[str, object], asked: Asked, platform: str) -> None:
    expected = {
        "iss": platform,
        "aud": asked.client_id,
        "code_hash": _base64url.encode(sha256(asked.qr_text.encode("utf-8", "replace")).digest()),
        "scene": asked.scene,
        "outcome": "valid",
    }
    for name, value in expected.items():
        if claims.get(name) != value:
            raise Fault(f"{name} is another one")


def _expect_time(iat: int, exp: int, now_s: int, skew_s: int) -> None:
    if not iat - skew_s <= now_s < exp + skew_s:
        raise CannotTell("clock_off", f"by this clock the answer was signed {now_s - iat} s ago")


def _result(claims: Mapping[str, object], trust_list: TrustList) -> Redeemed:
    licence = as_object(claims.get("licence"))
    if licence.get("state") != "valid":
        raise Fault("the licence's state is not valid, though the outcome is")
    code, version = as_text(licence.get("type")), as_integer(licence.get("type_version"))
    licence_type = trust_list.type_by_code(code, version)
    labels = {**COMMON_LABELS, **(licence_type.item_labels if licence_type else {})}
    return Redeemed(
        check_id=as_text(claims.get("jti")),
        type_code=code,
        type_version=version,
        type_name=licence_type.name if licence_type else Label(code, code),
        items=tuple(
            NamedItem(name, labels.get(name, Label(name, name)), _value(value))
            for name, value in as_object(claims.get("items")).items()
        ),
        portrait=None if claims.get("portrait") is None else as_text(claims.get("portrait")),
        state="valid",
        valid_until=_day(licence.get("valid_until")),
        scene_id=as_text(claims.get("scene")),
        scene_version=as_integer(claims.get("scene_version")),
        shown_at=instant(as_integer(claims.get("shown_at"))),
        checked_at=instant(as_integer(claims.get("iat"))),
    )


def _day(value: object) -> date | None:
    if value is None:
        return None
    try:
        return date.fromisoformat(as_text(value))
    except ValueError as error:
        raise Fault("valid_until is not a day") from error


def _value(value: object) -> object:
    """Frozen: what a check gave is not changed afterwards."""
    return tuple(map(_value, as_array(value))) if isinstance(value, list) else value
