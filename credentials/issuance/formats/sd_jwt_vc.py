"""Making an SD-JWT VC: RFC 9901 §4 and draft-ietf-oauth-sd-jwt-vc §3, in the profile of HAIP 1.0.

Compact form, ES256, sha-256, `x5c` without the anchor. Every claim that is not visible by design is selectively
disclosable on its own, nested objects and arrays included; every disclosure has a salt of its own.
"""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from credentials.issuance.errors import SelfCheckFailed
from credentials.keys import Signer
from credentials.keys.formats.jwk import PublicJwk
from credentials.keys.formats.jws import b64u_encode, sign_compact, x5c
from credentials.keys.formats.signed_jwt import JwtMalformed, JwtSignatureInvalid, SignedJwt
from credentials.status import StatusReference

TYP = "dc+sd-jwt"
SALT_BYTES = 16  # RFC 9901 §9.3 recommends 128 bits


@dataclass(frozen=True)
class PreparedCredential:
    """A credential that is ready to be signed.

    Attributes:
        concealed: claims that the holder discloses one by one.
        plain: claims of the type that are visible always.
        issued_at_s, not_before_s, expires_at_s: seconds since 1970, already rounded.
    """

    issuer: str
    vct: str
    holder_key: PublicJwk
    status: StatusReference
    issued_at_s: int
    not_before_s: int
    expires_at_s: int
    plain: Mapping[str, object]
    concealed: Mapping[str, object]


def sign_credential(credential: PreparedCredential, signer: Signer) -> str:
    """Sign once, check what was signed, and give `<issuer JWT>~<disclosure>~…~`.

    Raises:
        SelfCheckFailed: the signature does not verify under the signer's certificate; nothing is released.
    """
    digests, disclosures = _conceal(credential.concealed)
    payload: dict[str, object] = {
        "iss": credential.issuer,
        "vct": credential.vct,
        "iat": credential.issued_at_s,
        "nbf": credential.not_before_s,
        "exp": credential.expires_at_s,
        "cnf": {"jwk": credential.holder_key.to_object()},
        "status": {"status_list": {"idx": credential.status.idx, "uri": credential.status.uri}},
        **credential.plain,
    }
    if digests:
        payload |= {"_sd": digests, "_sd_alg": "sha-256"}
    jwt = sign_compact({"typ": TYP, "x5c": x5c(signer)}, orjson.dumps(payload), signer)
    try:
        SignedJwt.from_compact(jwt, typ=TYP).verified(signer.public_key)
    except (JwtMalformed, JwtSignatureInvalid) as error:
        raise SelfCheckFailed("the signing key does not match its certificate") from error
    return "~".join([jwt, *disclosures, ""])


def _conceal(claims: Mapping[str, object]) -> tuple[list[str], list[str]]:
    """Digests (sorted, so that they tell nothing of the order) and disclosures, parents before their children."""
    digests: list[str] = []
    disclosures: list[str] = []
    for name, value in claims.items():
        shown, inner = _conceal_within(value)
        text = _disclosure([_salt(), name, shown])
        digests.append(_digest(text))
        disclosures += [text, *inner]
    return sorted(digests), disclosures


def _conceal_within(value: object) -> tuple[object, list[str]]:
    """A claim's value with its members or elements concealed in turn."""
    if isinstance(value, Mapping):
        digests, disclosures = _conceal(value)
        return {"_sd": digests}, disclosures
    if isinstance(value, list | tuple):
        places: list[object] = []
        disclosures = []
        for element in value:
            shown, inner = _conceal_within(element)
            text = _disclosure([_salt(), shown])
            places.append({"...": _digest(text)})
            disclosures += [text, *inner]
        return places, disclosures
    return value, []


def _salt() -> str:
    return secrets.token_urlsafe(SALT_BYTES)


def _disclosure(parts: list[object]) -> str:
    return b64u_encode(orjson.dumps(parts))


def _digest(disclosure: str) -> str:
    return b64u_encode(hashlib.sha256(disclosure.encode()).digest())
