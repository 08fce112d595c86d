"""Live codes for thin clients (FORMAT.md §6): the server holds the key that a device would have.

A module beside the vocabulary: the other way to show, with a key of its own kind.
"""

import json
import secrets
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from sqlalchemy.ext.asyncio import AsyncSession

from presentation.shows import repository
from presentation.shows.formats.live_code import CTI_BYTES, PassClaims, encode_pass, encode_proof, qr_text
from presentation.shows.models import DeviceKey, LiveCode, Profile, ShowableLicence
from presentation.shows.ports import Clock, Licences, PassSigner, Protector, Signers
from presentation.shows.service import end_of, pass_items

HELD_LIFETIME_S = 900  # how long an ended session's last pass lives; a new status index as often
CODE_LIFETIME_S = 60  # FORMAT.md §5 step 8, before the reader's skew
_ES256 = ec.ECDSA(SHA256())


class HeldKeys:
    """Mints live codes for signed-in holders without a device key. Every code is good once and for a minute.

    Args:
        public_url: the QR text begins with it.
    """

    def __init__(
        self, licences: Licences, signer: Signers, protector: Protector, clock: Clock, public_url: str
    ) -> None:
        self._licences = licences
        self._signer = signer
        self._protector = protector
        self._clock = clock
        self._public_url = public_url

    async def live_code(
        self, session: AsyncSession, session_id: str, licence_id: str, holder_id: str, profile: Profile
    ) -> LiveCode:
        """A fresh code. The key belongs to this session, licence and profile, and never leaves the server.

        Raises:
            NotShowable: the licence is not in force.
        """
        licence = await self._licences.showable(session, licence_id, holder_id, None)
        now = self._clock.now()
        place = f"held_show_key:{session_id}:{licence_id}:{int(profile)}"
        good_until = now + timedelta(seconds=CODE_LIFETIME_S)
        sealed = await repository.held_key(session, session_id, licence_id, profile, good_until)
        if sealed is None:
            key, token, expires_at = await self._new_key(session, licence, profile)
            content = json.dumps({"key": _scalar(key), "pass": token.hex()}).encode()
            sealed = self._protector.seal(content, place)
            await repository.keep_key(session, session_id, licence_id, profile, sealed, expires_at)
        else:
            held = json.loads(self._protector.open(sealed, place))
            key, token = ec.derive_private_key(int(held["key"], 16), ec.SECP256R1()), bytes.fromhex(held["pass"])
        made_at_s = int(now.timestamp())
        proof = encode_proof(token, made_at_s, secrets.token_bytes(CTI_BYTES), lambda message: _signed(key, message))
        return LiveCode(qr_text(self._public_url, proof), made_at_s, made_at_s + CODE_LIFETIME_S)

    async def prune(self, session: AsyncSession) -> None:
        """Forget keys whose pass is over."""
        await repository.prune(session, self._clock.now())

    async def _new_key(
        self, session: AsyncSession, licence: ShowableLicence, profile: Profile
    ) -> tuple[ec.EllipticCurvePrivateKey, bytes, datetime]:
        """A key, the pass for it, and when that ends."""
        key = ec.generate_private_key(ec.SECP256R1())
        device_key = DeviceKey.from_key(key.public_key())
        now_s = int(self._clock.now().timestamp())
        expires_at_s = min(now_s + HELD_LIFETIME_S, end_of(licence.valid_until))
        expires_at = datetime.fromtimestamp(expires_at_s, UTC)
        signer: PassSigner = self._signer()
        (place,) = await self._licences.reserve_status(
            session, licence, profile, device_key.thumbprint, signer.kid, [expires_at]
        )
        claims = PassClaims(
            not_before_s=now_s,
            expires_at_s=expires_at_s,
            key=device_key,
            type_code=licence.type_code,
            type_version=licence.type_version,
            profile=profile,
            valid_until=licence.valid_until,
            items=pass_items(licence, profile),
            status=place,
        )
        return key, encode_pass(claims, signer.kid, signer.sign), expires_at


def _scalar(key: ec.EllipticCurvePrivateKey) -> str:
    return f"{key.private_numbers().private_value:064x}"


def _signed(key: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
    r, s = decode_dss_signature(key.sign(message, _ES256))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")
