"""Asking the platform: live state, photo and items of a shown code, and taking the journal there.

client = OnlineClient("https://wallet.example.gov.cn", "traffic-police-3", private_key_pem)
result = verifier.redeem(qr_text, scene="road-traffic", client=client)
"""

import json
import secrets
import threading
from collections.abc import Mapping, Sequence
from urllib.parse import urlencode, urlsplit

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from . import _base64url, _ecdsa, _fetch, _json
from ._fault import Fault
from .clock import Clock, SystemClock
from .errors import CODES, CannotTell, Family, NotValid, TrustError
from .models import JournalEntry, UploadReport

SCOPE = "checks:write"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_LIFETIME_S = 60  # it is used at once
TOKEN_SPARE_S = 30  # a token that ends sooner is fetched anew, so that none ends on the way
MAX_METADATA_BYTES = 1 << 16  # ours takes 2 kB
MAX_TOKEN_ANSWER_BYTES = 1 << 16  # a token and five short members
MAX_ANSWER_BYTES = 4 << 20  # a photo as a data: URI, signed

_BY_STATUS = {401: "verifier_refused", 403: "verifier_refused", 429: "too_many_requests"}


class OnlineClient:
    """A registered verifier's way to the platform. May be shared by threads.

    Every answer comes from the host of `base_url` over TLS; `Verifier.redeem` believes "valid" only under the
    platform's signature.

    Args:
        base_url: The platform's PUBLIC_URL.
        client_id: As registered.
        private_key: The registered P-256 key, as PEM or as a key of the `cryptography` package.
        private_network: Whether the host may have a private address.
        clock: Another clock than the machine's.

    Raises:
        TrustError: `url_not_allowed`.
        ValueError: Not a P-256 private key.
    """

    def __init__(
        self,
        base_url: str,
        client_id: str,
        private_key: bytes | ec.EllipticCurvePrivateKey,
        *,
        private_network: bool = False,
        clock: Clock | None = None,
    ) -> None:
        _fetch.origin(base_url)
        self.base_url = base_url.rstrip("/")
        self.client_id = client_id
        self._key = _private_key(private_key)
        self._private_network = private_network
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._token: tuple[str, float] | None = None

    def check(
        self,
        qr_text: str,
        scene: str,
        *,
        challenge: bytes | None = None,
        items: Sequence[str] | None = None,
        reason: str | None = None,
        operator: str | None = None,
    ) -> str:
        """Ask the platform to check and use up a code; gives its answer **unverified**: see `Verifier.redeem`.

        Raises:
            NotValid: The platform says so.
            CannotTell: `network_unavailable`, `answer_not_trusted`, `verifier_refused`, `too_many_requests`, and what
                else the platform cannot tell.
        """
        request: dict[str, object] = {"code": qr_text, "scene": scene}
        if challenge is not None:
            request["cnonce"] = _base64url.encode(challenge)
        optional = {"items": None if items is None else list(items), "reason": reason, "operator": operator}
        request |= {name: value for name, value in optional.items() if value is not None}
        answer = self._authorised("/api/v1/checks", request)
        if answer.status != 200:
            raise _refusal(answer)
        result = _members(answer).get("result")
        if not isinstance(result, str):
            raise CannotTell("answer_not_trusted", "the answer has no result")
        return result

    def upload(self, device: str, entries: Sequence[JournalEntry]) -> UploadReport:
        """Take entries of a journal to the platform; `Journal.upload` calls this.

        Raises:
            CannotTell: As `check`; nothing is known of what became of the entries.
        """
        answer = self._authorised(
            "/api/v1/check-journals", {"device": device, "entries": [_uploaded(entry) for entry in entries]}
        )
        if answer.status != 200:
            raise _refusal(answer)
        return _account(_members(answer).get("entries"), entries)

    def _authorised(self, path: str, request: Mapping[str, object]) -> _fetch.Answer:
        """POST with a token; once more with a fresh one when the platform does not know it any more."""
        body = json.dumps(request, ensure_ascii=False).encode("utf-8", "replace")
        answer = self._post(self.base_url + path, "application/json", body, MAX_ANSWER_BYTES, self._access_token())
        if answer.status != 401:
            return answer
        with self._lock:
            self._token = None
        return self._post(self.base_url + path, "application/json", body, MAX_ANSWER_BYTES, self._access_token())

    def _access_token(self) -> str:
        with self._lock:
            now_s = self._clock.now().timestamp()
            if self._token is None or self._token[1] <= now_s:
                self._token = self._fetch_token(now_s)
            return self._token[0]

    def _fetch_token(self, now_s: float) -> tuple[str, float]:
        """Client credentials with `private_key_jwt` (RFC 6749 §4.4, RFC 7523 §2.2): the token, and when to renew it."""
        form = {
            "grant_type": "client_credentials",
            "scope": SCOPE,
            "client_id": self.client_id,
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": self._assertion(int(now_s)),
        }
        body = urlencode(form).encode("ascii")
        content_type = "application/x-www-form-urlencoded"
        answer = self._post(self._token_endpoint(), content_type, body, MAX_TOKEN_ANSWER_BYTES, None)
        if answer.status in (400, 401):
            raise CannotTell("verifier_refused", f"no token: {_text_member(answer, 'error')}")
        if answer.status != 200:
            raise _refusal(answer)
        members = _members(answer)
        token, lifetime_s = members.get("access_token"), members.get("expires_in", ASSERTION_LIFETIME_S)
        if not isinstance(token, str) or not token.isascii() or not token.isprintable() or type(lifetime_s) is not int:
            raise CannotTell("answer_not_trusted", "the token answer is out of form")
        return token, now_s + lifetime_s - TOKEN_SPARE_S

    def _token_endpoint(self) -> str:
        """From the authorization server's metadata (RFC 8414 §3), which must name this platform and its own host."""
        parts = urlsplit(self.base_url)
        url = f"{parts.scheme}://{parts.netloc}/.well-known/oauth-authorization-server{parts.path}"
        try:
            document = _fetch.get(url, "application/json", MAX_METADATA_BYTES, private_network=self._private_network)
            metadata = _json.loads_object(document.body or b"")
            endpoint = _json.as_text(metadata.get("token_endpoint"))
            if metadata.get("issuer") != self.base_url or _fetch.origin(endpoint) != _fetch.origin(self.base_url):
                raise CannotTell("answer_not_trusted", "the metadata is of another platform")
        except TrustError as error:
            raise _network(error) from error
        except Fault as fault:
            raise CannotTell("answer_not_trusted", "the platform's metadata is out of form") from fault
        return endpoint

    def _assertion(self, now_s: int) -> str:
        claims = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": self.base_url,
            "jti": secrets.token_urlsafe(16),
            "iat": now_s,
            "exp": now_s + ASSERTION_LIFETIME_S,
        }
        header = {"alg": "ES256", "typ": "client-authentication+jwt"}
        signing_input = ".".join(_base64url.encode(json.dumps(part).encode()) for part in (header, claims))
        return f"{signing_input}.{_base64url.encode(_ecdsa.sign(self._key, signing_input.encode('ascii')))}"

    def _post(self, url: str, content_type: str, body: bytes, max_bytes: int, bearer: str | None) -> _fetch.Answer:
        try:
            return _fetch.post(url, content_type, body, max_bytes, bearer, private_network=self._private_network)
        except TrustError as error:
            raise _network(error) from error


def _private_key(given: bytes | ec.EllipticCurvePrivateKey) -> ec.EllipticCurvePrivateKey:
    try:
        key = load_pem_private_key(given, None) if isinstance(given, bytes) else given
    except (TypeError, UnsupportedAlgorithm) as error:
        raise ValueError("not a private key that can be read without a password") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError("a verifier's key is a P-256 private key")
    return key


def _network(error: TrustError) -> CannotTell:
    return CannotTell("network_unavailable", f"{error.code}: {error.detail}")


def _refusal(answer: _fetch.Answer) -> NotValid | CannotTell:
    """The error that a problem document (RFC 9457) stands for. Its `code` decides where it is one of ours."""
    code, outcome = _text_member(answer, "code"), _text_member(answer, "outcome")
    known = CODES.get(code)
    detail = f"the platform answered {answer.status} {code or 'without a code'}"
    if known is not None and known.family is Family.NOT_VALID:
        return NotValid(code, detail)
    if known is not None and known.family is Family.CANNOT_TELL:
        return CannotTell(code, detail)
    if outcome == "not_valid":
        return NotValid("refused_by_platform", detail)
    if outcome == "cannot_tell":
        return CannotTell("state_unknown", detail)
    if answer.status >= 500 or (answer.status in (404, 405) and outcome == ""):
        return CannotTell("network_unavailable", detail)
    return CannotTell(_BY_STATUS.get(answer.status, "answer_not_trusted"), detail)


def _text_member(answer: _fetch.Answer, name: str) -> str:
    """A short word of a JSON answer; empty where there is none."""
    try:
        value = _json.loads_object(answer.body).get(name)
    except Fault:
        return ""
    return value if isinstance(value, str) and len(value) <= 64 and value.isidentifier() else ""


def _members(answer: _fetch.Answer) -> Mapping[str, object]:
    try:
        return _json.loads_object(answer.body)
    except Fault as fault:
        raise CannotTell("answer_not_trusted", fault.reason) from fault


def _uploaded(entry: JournalEntry) -> Mapping[str, object]:
    return {
        "id": entry.id,
        "checked_at": entry.checked_at,
        "scene": entry.scene,
        "cti": _base64url.encode(entry.cti),
        "pass_status": {"uri": entry.status_uri, "idx": entry.status_idx},
        "outcome": "valid",
        "code": "ok",
    }


def _account(answered: object, entries: Sequence[JournalEntry]) -> UploadReport:
    """What became of the entries; the answer must name each of them once and nothing else."""
    try:
        outcomes = [_json.as_object(each) for each in _json.as_array(answered)]
        by_id = {_json.as_text(each.get("id")): each for each in outcomes}
        told = {entry_id: _json.as_text(each.get("outcome")) for entry_id, each in by_id.items()}
    except Fault as fault:
        raise CannotTell("answer_not_trusted", fault.reason) from fault
    if len(outcomes) != len(entries) or told.keys() != {entry.id for entry in entries}:
        raise CannotTell("answer_not_trusted", "the platform did not account for every entry")
    if not set(told.values()) <= {"accepted", "unchanged", "rejected"}:
        raise CannotTell("answer_not_trusted", "the platform did something unknown with an entry")
    count = list(told.values()).count
    rejected = tuple(
        (entry_id, str(by_id[entry_id].get("code", ""))) for entry_id, what in told.items() if what == "rejected"
    )
    return UploadReport(count("accepted"), count("unchanged"), rejected)
