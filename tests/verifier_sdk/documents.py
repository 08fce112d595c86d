"""Documents that a reader fetches: trust lists, status lists, signed results of checks on line; as vectors."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from tests.fakes import FakeClock
from tests.verifier_sdk.cases import MAX_VECTOR_CHARS, VALID
from tests.verifier_sdk.issuer import HOST, NOW_S, Issuer
from tests.verifier_sdk.platform import CLIENT_ID, Platform
from tests.verifier_sdk.server import Server
from tests.verifier_sdk.test_online import BAD_RESULTS, SCENE, live_code
from tests.verifier_sdk.test_status_list_cwt import REFUSED as REFUSED_CWTS
from tests.verifier_sdk.test_sync import REFUSED_STATUS_LISTS, REFUSED_TRUST_LISTS
from verifier_sdk import TrustInHand, VerifierError, _check_result, _status_list, _sync, _trust_list
from verifier_sdk._cache import HeldTrustList
from verifier_sdk._check_result import Asked
from verifier_sdk._x509 import load_anchor

SOURCE = "credentials/keys/TRUST_LIST.md, draft-ietf-oauth-status-list-20; made by tests/verifier_sdk/documents.py"


@dataclass(frozen=True)
class Document:
    """A vector. `input` is the text as fetched, for a `status_list_cwt` hexadecimal."""

    kind: str
    name: str
    expect: str
    input: str


@dataclass(frozen=True)
class Held:
    """What the reader holds and asked: the trust list before, the list's URI, the code, scene and client_id."""

    anchor: str
    trust_list: str
    status_uri: str
    code: str
    scene: str
    client_id: str


def vectors() -> dict[str, Any]:
    server = Server(HOST, Issuer())
    platform = Platform(server)
    held = Held(
        anchor=server.issuer.root.pem.decode(),
        trust_list=server.answers["/api/v1/trust-list"].body.decode(),
        status_uri=server.status_uri,
        code=live_code(platform),
        scene=SCENE,
        client_id=CLIENT_ID,
    )
    cases = [each for each in _documents(server, platform, held) if len(each.input) <= MAX_VECTOR_CHARS]
    return {"source": SOURCE, "now": NOW_S, "held": asdict(held), "cases": [asdict(case) for case in cases]}


def _documents(server: Server, platform: Platform, held: Held) -> Iterator[Document]:
    request = {"code": held.code, "scene": held.scene}
    yield Document("trust_list", "the next one", VALID, server.trust_list(sequence=8))
    yield Document("trust_list", "the one that is held", VALID, held.trust_list)
    for name, (code, make) in REFUSED_TRUST_LISTS.items():
        yield Document("trust_list", name, code, make(server))
    yield Document("status_list", "a JWT", VALID, server.status_list())
    for name, (code, make) in REFUSED_STATUS_LISTS.items():
        if code != "status_list_rolled_back":  # needs one that is held
            yield Document("status_list", name, code, make(server))
    yield Document("status_list_cwt", "a CWT", VALID, server.issuer.status_list_cwt().hex())
    for name, (code, make_cwt) in REFUSED_CWTS.items():
        yield Document("status_list_cwt", name, code, make_cwt(server.issuer).hex())
    yield Document("check_result", "the answer to this code", VALID, platform.result(request))
    for name, make_result in BAD_RESULTS.items():
        yield Document("check_result", name, "answer_not_trusted", make_result(platform, request))
    for name, iat in (("signed in the future", NOW_S + 31), ("signed long ago", NOW_S - 331)):
        yield Document("check_result", name, "clock_off", platform.result(request, iat=iat, exp=iat + 300))


def outcome(document: Document, held: Held) -> str:
    """The code that comes of it."""
    trust = TrustInHand(held.trust_list, [held.anchor.encode()])
    try:
        _READ[document.kind](document.input, held, trust)
    except VerifierError as error:
        return error.code
    return VALID


def _read_trust_list(text: str, held: Held, trust: TrustInHand) -> None:
    read, path = _trust_list.read(text, [load_anchor(held.anchor.encode())])
    _trust_list.expect_now(read, path, FakeClock().now())
    _sync._supersedes(_row(text, read), _row(held.trust_list, _known(trust)))


def _row(token: str, read: _trust_list.TrustList) -> HeldTrustList:
    return HeldTrustList("url", token, None, read.iss, read.sequence, read.iat, read.content_sha256)


def _known(trust: TrustInHand) -> _trust_list.TrustList:
    trust_list = trust.trust_list()
    assert trust_list is not None
    return trust_list


def _read_status_list(token: str | bytes, held: Held, trust: TrustInHand) -> None:
    _status_list.expect_now(_status_list.read(token, held.status_uri, _known(trust)), FakeClock().now())


def _read_result(text: str, held: Held, trust: TrustInHand) -> None:
    asked = Asked(held.code, held.scene, held.client_id)
    _check_result.read(text, asked, trust, _known(trust), FakeClock().now(), 30)


_READ: dict[str, Callable[[str, Held, TrustInHand], None]] = {
    "trust_list": _read_trust_list,
    "status_list": _read_status_list,
    "status_list_cwt": lambda text, held, trust: _read_status_list(bytes.fromhex(text), held, trust),
    "check_result": _read_result,
}
