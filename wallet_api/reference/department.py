"""A department's system: signs in with its key, moves licences, offers them to their holders."""

import secrets
from pathlib import Path
from typing import Any

import httpx
from jwcrypto.jwk import JWK

from credentials.registry.ports import Clock
from wallet_api.reference.jwts import signed

ASSERTION_LIFETIME_S = 60
CLIENT_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class DepartmentClient:
    """Calls the departments' interface as `client_id`.

    Raises (all methods):
        httpx.HTTPStatusError: the platform refused; the problem document is in the response.
    """

    def __init__(self, http: httpx.Client, public_url: str, client_id: str, key_file: Path, clock: Clock) -> None:
        self._http = http
        self._url = public_url
        self._client_id = client_id
        self._key = JWK.from_pem(key_file.read_bytes())
        self._clock = clock

    def look_up(self, identifier: str) -> dict[str, Any]:
        """A licence's state and the row that would bring it in."""
        return self._post("/api/v1/licences/lookup", {"certificate_identifier": identifier})

    def take_step(self, identifier: str, operate_type: str, **members: Any) -> dict[str, Any]:
        """Suspend (03), expire (04), end (05 with `cert_state`) or resume (06) a licence."""
        row = self.look_up(identifier)["row"]
        step = {
            "source_record_id": row["source_record_id"],
            "source_version": row["source_version"] + 1,
            "operate_type": operate_type,
        }
        return self._post("/api/v1/licences", step | members)

    def renew(self, identifier: str, valid_from: str, valid_until: str) -> dict[str, Any]:
        """Renew (02) a licence: the same content with new dates, as the next version."""
        row = self.look_up(identifier)["row"]
        renewed = {
            "source_version": row["source_version"] + 1,
            "operate_type": "02",
            "certificate_issued_date": valid_from,
            "certificate_validate_start": valid_from,
            "certificate_validate_end": valid_until,
        }
        del row["certificate_identifier"]  # a new version has an identifier of its own
        return self._post("/api/v1/licences", row | renewed)

    def offer(self, identifier: str) -> dict[str, Any]:
        """Offer a licence to its holder's wallet."""
        return self._post("/api/v1/credential-offers", {"certificate_identifier": identifier})

    def _post(self, path: str, body: Any) -> dict[str, Any]:
        authorization = {"Authorization": f"Bearer {self._token()}"}
        answer = self._http.post(f"{self._url}{path}", json=body, headers=authorization)
        answer.raise_for_status()
        content: dict[str, Any] = answer.json()
        return content

    def _token(self) -> str:
        now_s = int(self._clock.now().timestamp())
        assertion = {
            "iss": self._client_id,
            "sub": self._client_id,
            "aud": self._url,
            "jti": secrets.token_urlsafe(16),
            "iat": now_s,
            "exp": now_s + ASSERTION_LIFETIME_S,
        }
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": CLIENT_ASSERTION_TYPE,
            "client_assertion": signed(self._key, "client-authentication+jwt", assertion),
        }
        answer = self._http.post(f"{self._url}/oauth/token", data=form)
        answer.raise_for_status()
        return str(answer.json()["access_token"])
