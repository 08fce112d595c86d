"""One input to a verifier with all that it stands on, and what must come of it: the form of the vector files."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding

from tests.fakes import FakeClock
from tests.verifier_sdk.issuer import NOW, NOW_S, STATUS_URI, Issuer
from verifier_sdk import CannotTell, Expected, NotValid, TrustStore, Verifier, VerifierError, _trust_list
from verifier_sdk._cache import Cache, HeldToken, HeldTrustList
from verifier_sdk._x509 import load_anchor
from verifier_sdk.errors import Family

VALID = "valid"
MAX_VECTOR_CHARS = 16_000  # what is only too long is made by each reader's own tests
FAMILIES = {Family.NOT_VALID: NotValid, Family.CANNOT_TELL: CannotTell}
_DER = Encoding.DER


@dataclass(frozen=True)
class Case:
    """A vector. `expect` is a code or `valid`; `knowledge` what the device holds, by default what `world` gives."""

    name: str
    expect: str
    input: str
    now: int = NOW_S
    challenge: str | None = None  # hex
    scene: str | None = None
    audience: str | None = None
    nonce: str | None = None
    vct: str | None = None
    trust_list: str | None = ""  # "" stands for the world's, None for none
    status_lists: Mapping[str, str] | None = None


@dataclass(frozen=True)
class World:
    """The anchor and the default knowledge that a file of vectors has in common."""

    anchor: str
    trust_list: str
    status_lists: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, issuer: Issuer) -> "World":
        return cls(issuer.root.pem.decode(), issuer.trust_list(), {STATUS_URI: issuer.status_list()})


def as_json(source: str, world: World, cases: list[Case]) -> dict[str, Any]:
    shortened = []
    for case in cases:
        if len(case.input) > MAX_VECTOR_CHARS:
            continue
        defaults = asdict(Case(case.name, case.expect, case.input))
        always = {"name": case.name, "expect": case.expect, "input": case.input}
        shortened.append({**always, **{name: it for name, it in asdict(case).items() if it != defaults[name]}})
    return {"source": source, "now": NOW_S, "world": asdict(world), "cases": shortened}


def hold(folder: Path, anchor: bytes, trust_list: str | None, status_lists: Mapping[str, str | bytes]) -> None:
    """Put documents into a device's cache, as a synchronisation would."""
    cache = Cache(folder)
    certificate = load_anchor(anchor)
    if trust_list is not None:
        read, _ = _trust_list.read(trust_list, [certificate])
        row = HeldTrustList("url", trust_list, None, read.iss, read.sequence, read.iat, read.content_sha256)
        cache.store_trust_list(row, [certificate.public_bytes(_DER)], lambda held: True)
    for uri, token in status_lists.items():
        cache.store_status_list(HeldToken(uri, token, None, 0), lambda held: True)
    cache.close()


def outcome(case: Case, world: World, folder: Path) -> str:
    """Run a case on a device of its own; the code that came of it."""
    anchor = world.anchor.encode()
    trust_list = world.trust_list if case.trust_list == "" else case.trust_list
    hold(folder, anchor, trust_list, world.status_lists if case.status_lists is None else case.status_lists)
    clock = FakeClock(NOW)
    clock.forward(seconds=case.now - NOW_S)
    with TrustStore.open(folder, [anchor], clock=clock) as trust:
        verifier = Verifier(trust, clock=clock)
        try:
            _check(verifier, case)
        except VerifierError as error:
            return error.code if isinstance(error, FAMILIES[error.meaning.family]) else "of the wrong family"
        return VALID


def _check(verifier: Verifier, case: Case) -> None:
    if case.audience is not None and case.nonce is not None:
        verifier.check_presentation(case.input, Expected(case.audience, case.nonce, case.vct))
    elif "~" in case.input or case.input.startswith("ey"):
        verifier.check_credential(case.input)
    else:
        challenge = bytes.fromhex(case.challenge) if case.challenge is not None else None
        verifier.check(case.input, challenge, scene=case.scene)
