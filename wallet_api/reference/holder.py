"""A holder's device: fetches a licence over OpenID4VCI, keeps it with its key in files, shows it without a network."""

import base64
import hashlib
import json
import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from jwcrypto.jwk import JWK

from credentials.issuance import PRE_AUTHORIZED_CODE, PROOF_TYP
from credentials.registry.ports import Clock
from presentation.shows import CTI_BYTES, encode_proof, qr_text
from wallet_api.reference.jwts import dpop_proof, signed
from wallet_api.reference.loopback import Loopback

PROFILES = ("minimal", "face")
CLIENT_ID = "liangzheng-reference-holder"


class HolderError(Exception):
    """What a holder asked for cannot be done; the message says what to do."""


@dataclass(frozen=True)
class HeldPass:
    """A pass in the wallet; times in seconds since 1970."""

    profile: str
    token_b64u: str
    not_before_s: int
    expires_at_s: int


@dataclass(frozen=True)
class HeldCredential:
    """What the wallet keeps of one licence, in a file of its own."""

    id: str
    issuer: str
    configuration_id: str
    fetched_at_s: int
    credential: str
    key_pem: str
    passes: tuple[HeldPass, ...]


class HolderWallet:
    """Credentials in a directory, readable by its owner only.

    Args:
        verify: what checks a received credential before it is kept; raises when it does not hold.
    """

    def __init__(self, home: Path, clock: Clock) -> None:
        self._home = home
        self._clock = clock

    def get(
        self, http: httpx.Client, link: str, tx_code: str | None, days: int, verify: Callable[[str], object]
    ) -> HeldCredential:
        """Fetch what a credential offer offers, check it, and keep it with its passes.

        Args:
            link: `openid-credential-offer://?…`, or the bare URL of an offer.
            days: for how many days ahead to fetch passes, 1 to 7.

        Raises:
            HolderError: the offer or the issuer is out of form, or the issuer refused.
        """
        offer = _json(http.get(_offer_uri(link)))
        grant = offer["grants"][PRE_AUTHORIZED_CODE]
        if "tx_code" in grant and not tx_code:
            raise HolderError("this offer asks for the transaction code that you were told: add --tx-code")
        session = _Session(http, offer["credential_issuer"], self._clock)
        session.redeem(grant["pre-authorized_code"], tx_code)
        return self._fetched(session, offer["credential_configuration_ids"][0], days, verify)

    def sign_in(
        self,
        http: httpx.Client,
        issuer: str,
        configuration_ids: Sequence[str],
        days: int,
        verify: Callable[[str], object],
        invite: Callable[[str], object],
    ) -> list[HeldCredential]:
        """Have the holder sign in with a browser on this machine, and fetch what they allow.

        Args:
            configuration_ids: what to ask for; none asks for everything.
            invite: given the address to open.

        Raises:
            HolderError: the holder declined, or the issuer refused or is out of form.
        """
        session = _Session(http, issuer, self._clock)
        wanted = configuration_ids or list(session.metadata["credential_configurations_supported"])
        with Loopback() as loopback:
            request = PushedRequest(loopback.redirect_uri, wanted)
            invite(session.push(request))
            code = request.code_in(loopback.wait(), issuer)
        granted = session.exchange(request, code)
        return [self._fetched(session, one, days, verify) for one in granted]

    def _fetched(
        self, session: "_Session", configuration_id: str, days: int, verify: Callable[[str], object]
    ) -> HeldCredential:
        """A credential with a device key of its own, checked and kept."""
        key = JWK.generate(kty="EC", crv="P-256")
        credential = session.credential(key, configuration_id)
        verify(credential)
        held = HeldCredential(
            id=f"{configuration_id}-{secrets.token_hex(4)}",
            issuer=session.issuer,
            configuration_id=configuration_id,
            fetched_at_s=int(self._clock.now().timestamp()),
            credential=credential,
            key_pem=key.export_to_pem(private_key=True, password=None).decode(),
            passes=tuple(held for profile in PROFILES for held in session.passes(key, profile, days)),
        )
        self._keep(held)
        return held

    def held(self) -> list[HeldCredential]:
        """What is in the wallet, the newest first."""
        files = sorted(self._home.glob("*.json")) if self._home.exists() else []
        held = [_held(json.loads(file.read_text())) for file in files]
        return sorted(held, key=lambda one: one.fetched_at_s, reverse=True)

    def find(self, credential_id: str | None) -> HeldCredential:
        """One credential by its id, or the newest.

        Raises:
            HolderError: there is none.
        """
        everything = self.held()
        for held in everything:
            if credential_id in (None, held.id):
                return held
        if everything:
            raise HolderError(f"there is no licence {credential_id} here: see `liangzheng holder list`")
        raise HolderError("nothing to show: fetch a licence first with `liangzheng holder get OFFER`")

    def live_code(self, held: HeldCredential, profile: str, challenge: bytes | None = None) -> str:
        """The text of a fresh live code. Needs no network.

        Raises:
            HolderError: no pass of this profile covers the present; the message says why, and what to do.
        """
        now_s = int(self._clock.now().timestamp())
        token = base64.urlsafe_b64decode(_current_pass(held, profile, now_s).token_b64u + "==")
        key = JWK.from_pem(held.key_pem.encode()).get_op_key("sign")
        proof = encode_proof(token, now_s, secrets.token_bytes(CTI_BYTES), _es256(key), challenge)
        return qr_text(held.issuer, proof)

    def _keep(self, held: HeldCredential) -> None:
        self._home.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = self._home / f".{held.id}.draft"
        with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            json.dump(asdict(held), file, ensure_ascii=False, indent=1)
        draft.rename(self._home / f"{held.id}.json")


class PushedRequest:
    """What a wallet remembers between its pushed request and the answer (RFC 7636 §4, RFC 9207 §2.4)."""

    def __init__(self, redirect_uri: str, configuration_ids: Sequence[str]) -> None:
        self.redirect_uri = redirect_uri
        self.verifier = secrets.token_urlsafe(48)
        self._state = secrets.token_urlsafe(16)
        challenge = hashlib.sha256(self.verifier.encode()).digest()
        self.form = {
            "response_type": "code",
            "client_id": CLIENT_ID,
            "redirect_uri": redirect_uri,
            "state": self._state,
            "scope": " ".join(configuration_ids),
            "code_challenge": base64.urlsafe_b64encode(challenge).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }

    def code_in(self, answer: Mapping[str, str], issuer: str) -> str:
        """The code of an answer to this request, by this issuer.

        Raises:
            HolderError: it is an error, or an answer to something else.
        """
        if answer.get("state") != self._state or answer.get("iss") != issuer:
            raise HolderError("the answer is not one to this request; begin anew")
        if "code" not in answer:
            raise HolderError(f"nothing was granted ({answer.get('error')})")
        return answer["code"]


class _Session:
    """One visit to an issuer, under one DPoP key."""

    def __init__(self, http: httpx.Client, issuer: str, clock: Clock) -> None:
        self.issuer = issuer
        self.metadata = _json(http.get(_well_known(issuer, "openid-credential-issuer")))
        self._server = _json(http.get(_well_known(issuer, "oauth-authorization-server")))
        if self.metadata["credential_issuer"] != issuer or self._server["issuer"] != issuer:
            raise HolderError("the issuer's metadata names another issuer")
        self._http = http
        self._clock = clock
        self._key = JWK.generate(kty="EC", crv="P-256")
        self._token: str | None = None

    def redeem(self, code: str, tx_code: str | None) -> None:
        """Exchange a pre-authorized code."""
        form = {"grant_type": PRE_AUTHORIZED_CODE, "pre-authorized_code": code}
        if tx_code:
            form["tx_code"] = tx_code
        self._token = self._sent(self._server["token_endpoint"], data=form)["access_token"]

    def push(self, request: PushedRequest) -> str:
        """Push a request: the address to open in a browser."""
        answer = self._sent(self._server["pushed_authorization_request_endpoint"], data=request.form)
        query = urlencode({"client_id": CLIENT_ID, "request_uri": answer["request_uri"]})
        return f"{self._server['authorization_endpoint']}?{query}"

    def exchange(self, request: PushedRequest, code: str) -> list[str]:
        """Exchange a code: the configurations that were granted."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "client_id": CLIENT_ID,
            "redirect_uri": request.redirect_uri,
            "code_verifier": request.verifier,
        }
        answer = self._sent(self._server["token_endpoint"], data=form)
        self._token = answer["access_token"]
        return str(answer["scope"]).split()

    def credential(self, key: JWK, configuration_id: str) -> str:
        """A credential for this device key."""
        nonce = _json(self._http.post(self.metadata["nonce_endpoint"]))["c_nonce"]
        claims = {"aud": self.issuer, "iat": int(self._clock.now().timestamp()), "nonce": nonce}
        proof = signed(key, PROOF_TYP, claims, with_jwk=True)
        request = {"credential_configuration_id": configuration_id, "proofs": {"jwt": [proof]}}
        answer = self._sent(self.metadata["credential_endpoint"], json=request)
        if "transaction_id" in answer:
            raise HolderError("a clerk of the issuing authority must release this licence first")
        return str(answer["credentials"][0]["credential"])

    def passes(self, key: JWK, profile: str, days: int) -> Iterator[HeldPass]:
        """Passes for the credential of this device key."""
        request = {"jwk": key.export_public(as_dict=True), "profile": profile, "days": days}
        for one in self._sent(f"{self.issuer}/api/v1/me/passes", json=request)["passes"]:
            yield HeldPass(profile, one["pass"], one["not_before"], one["expires_at"])

    def _sent(self, url: str, **body: Any) -> dict[str, Any]:
        """POST with a DPoP proof; once more when the server wants its nonce in it (RFC 9449 §8)."""
        answer = self._posted(url, None, **body)
        if answer.is_error and "use_dpop_nonce" in answer.text + answer.headers.get("WWW-Authenticate", ""):
            answer = self._posted(url, answer.headers.get("DPoP-Nonce"), **body)
        return _json(answer)

    def _posted(self, url: str, nonce: str | None, **body: Any) -> httpx.Response:
        proof = dpop_proof(self._key, "POST", url, self._clock.now(), self._token, nonce)
        headers = {"DPoP": proof} | ({"Authorization": f"DPoP {self._token}"} if self._token else {})
        return self._http.post(url, headers=headers, **body)


def _current_pass(held: HeldCredential, profile: str, now_s: int) -> HeldPass:
    passes = [one for one in held.passes if one.profile == profile]
    if not passes:
        raise HolderError(f"there are no {profile} passes for this licence: fetch it again, with a network")
    for one in passes:
        if one.not_before_s <= now_s < one.expires_at_s:
            return one
    first_s, last_s = min(one.not_before_s for one in passes), max(one.expires_at_s for one in passes)
    if now_s < first_s:
        raise HolderError(f"the first pass begins at {_utc(first_s)}: is this device's clock right?")
    raise HolderError(f"the last pass ended at {_utc(last_s)}: fetch the licence again, with a network")


def _utc(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _offer_uri(link: str) -> str:
    parts = urlsplit(link)
    if parts.scheme in ("http", "https"):
        return link
    uris = parse_qs(parts.query).get("credential_offer_uri", [])
    if len(uris) != 1:
        raise HolderError("not a credential offer link")
    return uris[0]


def _well_known(issuer: str, name: str) -> str:
    parts = urlsplit(issuer)
    return f"{parts.scheme}://{parts.netloc}/.well-known/{name}{parts.path}"


def _json(answer: httpx.Response) -> dict[str, Any]:
    try:
        body = answer.json()
    except ValueError as error:
        raise HolderError(f"the issuer answered {answer.status_code} with something that is not JSON") from error
    if answer.is_error:
        said = body.get("error_description") or body.get("detail") or body.get("error")
        raise HolderError(f"the issuer refused ({body.get('error') or body.get('code')}): {said}")
    content: dict[str, Any] = body
    return content


def _held(value: dict[str, Any]) -> HeldCredential:
    return HeldCredential(**{**value, "passes": tuple(HeldPass(**one) for one in value["passes"])})


def _es256(key: ec.EllipticCurvePrivateKey) -> Callable[[bytes], bytes]:
    def sign(message: bytes) -> bytes:
        r, s = decode_dss_signature(key.sign(message, ec.ECDSA(SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    return sign
