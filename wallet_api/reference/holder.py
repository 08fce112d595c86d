"""A holder's device: fetches a licence over OpenID4VCI, keeps it with its key in files, shows it without a network."""

import base64
import json
import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from jwcrypto.jwk import JWK

from credentials.issuance import PRE_AUTHORIZED_CODE, PROOF_TYP
from credentials.registry.ports import Clock
from presentation.shows import CTI_BYTES, encode_proof, qr_text
from wallet_api.reference.jwts import dpop_proof, signed

PROFILES = ("minimal", "face")


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
        issuer, grant = offer["credential_issuer"], offer["grants"][PRE_AUTHORIZED_CODE]
        if "tx_code" in grant and not tx_code:
            raise HolderError("this offer asks for the transaction code that you were told: add --tx-code")
        metadata = _json(http.get(_well_known(issuer, "openid-credential-issuer")))
        server = _json(http.get(_well_known(issuer, "oauth-authorization-server")))
        if metadata["credential_issuer"] != issuer or server["issuer"] != issuer:
            raise HolderError("the issuer's metadata names another issuer")
        session = _Session(http, JWK.generate(kty="EC", crv="P-256"), self._clock)
        session.sign_in(server["token_endpoint"], grant["pre-authorized_code"], tx_code)
        configuration_id = offer["credential_configuration_ids"][0]
        credential = session.credential(metadata, configuration_id)
        verify(credential)
        held = HeldCredential(
            id=f"{configuration_id}-{secrets.token_hex(4)}",
            issuer=issuer,
            configuration_id=configuration_id,
            fetched_at_s=int(self._clock.now().timestamp()),
            credential=credential,
            key_pem=session.key.export_to_pem(private_key=True, password=None).decode(),
            passes=tuple(held for profile in PROFILES for held in session.passes(issuer, profile, days)),
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
        for held in self.held():
            if credential_id in (None, held.id):
                return held
        raise HolderError("nothing to show: fetch a licence first with `liangzheng holder get OFFER`")

    def live_code(self, held: HeldCredential, profile: str, challenge: bytes | None = None) -> str:
        """The text of a fresh live code. Needs no network.

        Raises:
            HolderError: no pass of this profile covers the present.
        """
        now_s = int(self._clock.now().timestamp())
        current = [
            one for one in held.passes if one.profile == profile and one.not_before_s <= now_s < one.expires_at_s
        ]
        if not current:
            raise HolderError("the passes have run out: fetch the licence again, with a network")
        token = base64.urlsafe_b64decode(current[0].token_b64u + "==")
        key = JWK.from_pem(held.key_pem.encode()).get_op_key("sign")
        proof = encode_proof(token, now_s, secrets.token_bytes(CTI_BYTES), _es256(key), challenge)
        return qr_text(held.issuer, proof)

    def _keep(self, held: HeldCredential) -> None:
        self._home.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = self._home / f".{held.id}.draft"
        with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            json.dump(asdict(held), file, ensure_ascii=False, indent=1)
        draft.rename(self._home / f"{held.id}.json")


class _Session:
    """One visit to an issuer with one device key."""

    def __init__(self, http: httpx.Client, key: JWK, clock: Clock) -> None:
        self.key = key
        self._http = http
        self._clock = clock
        self._token = ""

    def sign_in(self, endpoint: str, code: str, tx_code: str | None) -> None:
        form = {"grant_type": PRE_AUTHORIZED_CODE, "pre-authorized_code": code}
        if tx_code:
            form["tx_code"] = tx_code
        proof = dpop_proof(self.key, "POST", endpoint, self._clock.now())
        self._token = _json(self._http.post(endpoint, data=form, headers={"DPoP": proof}))["access_token"]

    def credential(self, metadata: dict[str, Any], configuration_id: str) -> str:
        nonce = _json(self._http.post(metadata["nonce_endpoint"]))["c_nonce"]
        claims = {
            "aud": metadata["credential_issuer"],
            "iat": int(self._clock.now().timestamp()),
            "nonce": nonce,
        }
        proof = signed(self.key, PROOF_TYP, claims, with_jwk=True)
        request = {"credential_configuration_id": configuration_id, "proofs": {"jwt": [proof]}}
        answer = self._post(metadata["credential_endpoint"], request)
        if "transaction_id" in answer:
            raise HolderError("a clerk of the issuing authority must release this licence first")
        return str(answer["credentials"][0]["credential"])

    def passes(self, issuer: str, profile: str, days: int) -> Iterator[HeldPass]:
        request = {"jwk": self.key.export_public(as_dict=True), "profile": profile, "days": days}
        for one in self._post(f"{issuer}/api/v1/me/passes", request)["passes"]:
            yield HeldPass(profile, one["pass"], one["not_before"], one["expires_at"])

    def _post(self, url: str, body: Any) -> dict[str, Any]:
        proof = dpop_proof(self.key, "POST", url, self._clock.now(), self._token)
        headers = {"Authorization": f"DPoP {self._token}", "DPoP": proof}
        return _json(self._http.post(url, json=body, headers=headers))


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
