"""Making an SD-JWT VC: RFC 9901 §4 and draft-ietf-oauth-sd-jwt-vc §3, in the profile of HAIP 1.0.

Compact form, ES256, sha-256, `x5c` without the anchor. Every claim that is not visible by design is selectively
disclosable on its own, members of objects too, elements of arrays where the type says so; every disclosure has a salt
of its own, and decoys hide how many there are.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple

import orjson

from credentials.issuance.errors import SelfCheckFailed
from credentials.keys import Signer
from credentials.keys.errors import SignatureInvalid
from credentials.keys.formats.es256 import verify_es256
from credentials.keys.formats.jwk import PublicJwk
from credentials.keys.formats.jws import b64u_bytes, b64u_encode, b64u_joined, x5c_header
from credentials.status import StatusReference

TYP = "dc+sd-jwt"
SALT_BYTES = 18  # RFC 9901 §9.3 recommends 128 bits; a multiple of three, which base64url encodes without a rest
SALT_CHARS = SALT_BYTES * 4 // 3
_STRUCTURED = (dict, list, tuple)  # what JSON nests


@dataclass(frozen=True)
class PreparedCredential:
    """A credential that is ready to be signed.

    Attributes:
        concealed: claims that the holder discloses one by one.
        plain: claims of the type that are visible always.
        by_element: names of claims whose arrays are disclosed element by element; other arrays are whole.
        digest_count: digests at the top level; what `concealed` leaves of them are decoys (RFC 9901 §4.2.5).
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
    by_element: frozenset[str] = frozenset()
    digest_count: int = 0


class UnsignedCredential(NamedTuple):
    """A credential as bytes, but for its signature.

    Attributes:
        signing_input: header and payload of the issuer-signed JWT.
        disclosures: with a `~` before each and one at the end.
    """

    signing_input: bytes
    disclosures: bytes

    def signed(self, signature: bytes) -> str:
        """`<issuer JWT>~<disclosure>~…~`."""
        return b"".join((self.signing_input, b".", b64u_bytes(signature), self.disclosures)).decode("ascii")


def sign_credential(credential: PreparedCredential, signer: Signer) -> str:
    """Sign once, check what was signed, and give `<issuer JWT>~<disclosure>~…~`.

    Raises:
        SelfCheckFailed: the signature does not verify under the signer's certificate; nothing is released.
    """
    unsigned = encode_credential(credential, signer.x5c_der)
    signature = signer.sign(unsigned.signing_input)
    try:
        verify_es256(signer.public_key, unsigned.signing_input, signature)
    except SignatureInvalid as error:
        raise SelfCheckFailed("the signing key does not match its certificate") from error
    return unsigned.signed(signature)


def encode_credential(credential: PreparedCredential, x5c_der: tuple[bytes, ...]) -> UnsignedCredential:
    """Conceal the claims under fresh salts, and encode all that the signature goes over.

    Args:
        x5c_der: the chain of the key that will sign, leaf first, without the anchor.
    """
    digests, disclosures = _conceal(credential.concealed, credential.by_element)
    digests = sorted(digests + _decoys(credential.digest_count - len(digests)))
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
    signing_input = b"%b.%b" % (x5c_header(TYP, x5c_der), b64u_bytes(orjson.dumps(payload)))
    return UnsignedCredential(signing_input, b"~".join([b"", *disclosures, b""]))


def _conceal(claims: Mapping[str, object], by_element: frozenset[str]) -> tuple[list[str], list[bytes]]:
    """Digests (sorted, so that they tell nothing of the order) and disclosures, parents before their children."""
    inner: list[bytes] = []
    digests, disclosures = _disclose(
        [
            (name, _conceal_within(name, value, by_element, inner) if isinstance(value, _STRUCTURED) else value)
            for name, value in claims.items()
        ]
    )
    return sorted(digests), disclosures + inner


def _conceal_within(name: str, value: object, by_element: frozenset[str], inner: list[bytes]) -> object:
    """A claim's value with its members concealed in turn, or its elements where they are disclosed one by one.

    Their disclosures are added to `inner`.
    """
    if isinstance(value, dict):
        digests, disclosures = _conceal(value, by_element)
        inner += disclosures
        return {"_sd": digests}
    if isinstance(value, list | tuple) and name in by_element:
        deeper: list[bytes] = []
        elements = [(_conceal_within(name, element, by_element, deeper),) for element in value]
        digests, disclosures = _disclose(elements)
        inner += disclosures + deeper
        return [{"...": digest} for digest in digests]
    return value


def _decoys(count: int) -> list[str]:
    return [b64u_encode(sha256(secrets.token_bytes(SALT_BYTES)).digest()) for _ in range(count)]


def _disclose(contents: Sequence[tuple[object, ...]]) -> tuple[list[str], list[bytes]]:
    """Digest and disclosure of each name and value, or of each element, of one level (RFC 9901 §4.2).

    All salts of a level are drawn at once, and what is encoded is encoded together: this is the hot path.
    """
    if not contents:
        return [], []
    random = b64u_encode(secrets.token_bytes(SALT_BYTES * len(contents)))
    salts = [random[at : at + SALT_CHARS] for at in range(0, len(random), SALT_CHARS)]
    disclosures = b64u_joined([orjson.dumps((salt, *content)) for salt, content in zip(salts, contents, strict=True)])
    texts = disclosures.split(b"~")
    return b64u_joined([sha256(text).digest() for text in texts]).decode("ascii").split("~"), texts
