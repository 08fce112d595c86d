"""The claims of a check's result: a JWS of `typ` `lz-check+jwt` (FORMAT.md §7)."""

import base64
import hashlib
from datetime import datetime

from presentation.checks.models import CheckRequest, ShownLicence
from presentation.checks.releasing import Released
from presentation.scenes import Scene

TYP = "lz-check+jwt"
LIFETIME_S = 300  # to be read at once; what a verifier keeps longer is its own record


def result_claims(
    *,
    issuer: str,
    client_id: str,
    check_id: str,
    now: datetime,
    request: CheckRequest,
    scene: Scene,
    licence: ShownLicence,
    released: Released,
    shown_at_s: int,
) -> dict[str, object]:
    """All claims. `code_hash` is base64url of SHA-256 over the QR text, without padding."""
    issued_at_s = int(now.timestamp())
    digest = hashlib.sha256(request.qr_text.encode(errors="surrogatepass")).digest()
    claims: dict[str, object] = {
        "iss": issuer,
        "aud": client_id,
        "iat": issued_at_s,
        "exp": issued_at_s + LIFETIME_S,
        "jti": check_id,
        "code_hash": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
        "scene": scene.id,
        "scene_version": scene.version,
        "outcome": "valid",
        "licence": {
            "type": licence.type_code,
            "type_version": licence.type_version,
            "state": licence.state.value,
            "valid_until": licence.valid_until and licence.valid_until.isoformat(),
        },
        "items": dict(released.items),
        "shown_at": shown_at_s,
    }
    if released.portrait is not None:
        claims["portrait"] = released.portrait
    return claims
