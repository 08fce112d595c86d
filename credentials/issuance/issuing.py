"""The credential issuer of OpenID4VCI 1.0: credential requests, deferred ones, notifications."""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from cryptography import x509
from sqlalchemy.ext.asyncio import AsyncSession

from credentials.catalogue import Catalogue, LicenceType
from credentials.issuance import repository
from credentials.issuance.content import credential_expiry, midnight_s, prepare
from credentials.issuance.errors import CredentialRequestRefused
from credentials.issuance.formats.c_nonce import make_nonce
from credentials.issuance.formats.credential_request import read_credential_request, read_deferred_request
from credentials.issuance.formats.key_proofs import KeyProofs, ProofReader
from credentials.issuance.formats.notification import licence_of, make_notification_id, read_notification
from credentials.issuance.formats.sd_jwt_vc import TYP, sign_credential
from credentials.issuance.models import CredentialRequest, CredentialResponse, IssuanceGrant, WireMessage
from credentials.issuance.ports import Clock, OneTimeValues, Signers
from credentials.issuance.request_keys import RequestKeys
from credentials.issuance.service import Issuance
from credentials.keys import KeyPurpose
from credentials.keys.formats.jwk import PublicJwk
from credentials.registry import Licence, Registry, new_id

NONCE_MEMORY = timedelta(minutes=10)  # twice a c_nonce's life
RELEASE_WITHIN = timedelta(days=30)  # the longest that a clerk may take; then the wallet asks anew


@dataclass(frozen=True)
class AttestationPolicy:
    """Whose key attestations count.

    Attributes:
        anchors: of wallets' providers; with none, no attestation is believed.
        required: of every type; a type pack can ask for more.
    """

    anchors: tuple[x509.Certificate, ...] = ()
    required: bool = False


class CredentialIssuer:
    """Answers wallets. Every method works in the caller's transaction; a refusal rolls back, and burns nothing.

    Args:
        public_url: the Credential Issuer Identifier.
        nonce_key: 32 bytes that only this deployment knows, the same in all its processes.
    """

    def __init__(
        self,
        *,
        issuance: Issuance,
        registry: Registry,
        catalogue: Catalogue,
        signers: Signers,
        request_keys: RequestKeys,
        one_time: OneTimeValues,
        attestations: AttestationPolicy,
        clock: Clock,
        public_url: str,
        nonce_key: bytes,
    ) -> None:
        self._issuance = issuance
        self._registry = registry
        self._catalogue = catalogue
        self._signers = signers
        self._request_keys = request_keys
        self._one_time = one_time
        self._attestations = attestations
        self._clock = clock
        self._public_url = public_url
        self._nonce_key = nonce_key

    def nonce(self) -> str:
        """A fresh c_nonce (OpenID4VCI 1.0 §7.2)."""
        return make_nonce(self._nonce_key, self._clock.now())

    async def issue(
        self, session: AsyncSession, grant: IssuanceGrant, message: WireMessage, jkt: str | None = None
    ) -> CredentialResponse:
        """Answer a credential request: prepare, check, record, sign once, self-verify, release.

        The licence's row stays locked until the caller commits, so that no revocation slips in between.

        Args:
            jkt: the thumbprint of the access token's DPoP key; what is deferred is delivered to the same key only.

        Raises:
            CredentialRequestRefused: with the standard's error code.
        """
        now = self._clock.now()
        reader = ProofReader(self._public_url, grant.client_id, self._nonce_key, self._attestations.anchors, now)
        body = await self._opened(session, message)
        request = read_credential_request(body, encrypted=message.encrypted, grant=grant, proofs=reader)
        if not await self._one_time.burn(session, "c_nonce", request.proofs.nonce, now + NONCE_MEMORY):
            raise CredentialRequestRefused("invalid_nonce", "this c_nonce was used before")
        licence = await self._licence_asked_for(session, grant, request)
        kind = self._catalogue.get(licence.type_code, licence.type_version)
        self._check_attestations(kind, request.proofs)
        if kind.needs_release:
            response = await self._defer(session, grant, licence, request.proofs.keys, jkt)
        else:
            response = await self._issued(session, grant, licence, kind, request.proofs.keys)
        return replace(response, encryption=request.encryption)

    async def deliver(
        self, session: AsyncSession, grant: IssuanceGrant, message: WireMessage, jkt: str | None = None
    ) -> CredentialResponse:
        """Answer a deferred credential request (OpenID4VCI 1.0 §9): what a clerk has released is given out once.

        Raises:
            CredentialRequestRefused: `invalid_transaction_id` also for another grant or another DPoP key.
        """
        body = await self._opened(session, message)
        request = read_deferred_request(body, encrypted=message.encrypted)
        row = await repository.deferred(session, _hash(request.transaction_id), self._clock.now())
        if row is None or row.grant_id != grant.id or row.jkt != jkt:
            raise _no_transaction()
        if row.state == "denied":
            raise CredentialRequestRefused("credential_request_denied", "the issuing authority does not release it")
        if row.state == "waiting":
            return CredentialResponse(transaction_id=request.transaction_id, encryption=request.encryption)
        if not await repository.move_deferred(session, row.id, "released", state="delivered", keys=[]):
            raise _no_transaction()
        licence = await self._issuable(session, grant, row.licence_id)
        kind = self._catalogue.get(licence.type_code, licence.type_version)
        keys = tuple(PublicJwk(**key) for key in row.keys)
        return replace(await self._issued(session, grant, licence, kind, keys), encryption=request.encryption)

    async def note(self, session: AsyncSession, grant: IssuanceGrant, body: bytes) -> None:
        """Record what became of a response's credentials in the wallet (OpenID4VCI 1.0 §11); idempotent.

        Raises:
            CredentialRequestRefused: `invalid_notification_id` or `invalid_notification_request`.
        """
        notification = read_notification(body)
        await repository.note_event(
            session,
            {
                "notification_hash": _hash(notification.notification_id),
                "event": notification.event,
                "grant_id": grant.id,
                "licence_id": licence_of(self._nonce_key, grant.id, notification.notification_id),
                "description": notification.description,
                "received_at": self._clock.now(),
            },
        )

    async def prune(self, session: AsyncSession) -> None:
        """Forget transactions and keys that are over."""
        await repository.prune_deferred(session, self._clock.now())
        await self._request_keys.prune(session)

    async def _opened(self, session: AsyncSession, message: WireMessage) -> bytes:
        return await self._request_keys.open(session, message.body) if message.encrypted else message.body

    async def _licence_asked_for(
        self, session: AsyncSession, grant: IssuanceGrant, request: CredentialRequest
    ) -> Licence:
        licence_id = request.licence_id
        if licence_id is None and request.configuration_id is not None:
            held = await self._issuance.holdings(session, grant.holder_id, [request.configuration_id])
            licence_id = next(iter(held.get(request.configuration_id, ())), None)
        if licence_id is None:
            raise CredentialRequestRefused("credential_request_denied", "the holder has no such licence in force")
        return await self._issuable(session, grant, licence_id)

    async def _issuable(self, session: AsyncSession, grant: IssuanceGrant, licence_id: str) -> Licence:
        """The newest version of a licence, locked; it must be in force and the grant's holder's own."""
        licence = await self._registry.newest_version(session, licence_id)
        if grant.holder_id not in licence.holder_ids or licence.type_code not in grant.configuration_ids:
            raise CredentialRequestRefused("credential_request_denied", "the licence is another holder's now")
        if not licence.in_force(self._clock.now()):
            raise CredentialRequestRefused("credential_request_denied", "the licence is not in force")
        return licence

    def _check_attestations(self, kind: LicenceType, proofs: KeyProofs) -> None:
        """Where attestations are required, every key has one, and each is as strong as the type demands (§12.2.4)."""
        demand = kind.key_attestation
        if (self._attestations.required or demand is not None) and not proofs.attestations:
            raise CredentialRequestRefused("invalid_proof", "a key attestation is required")
        for attestation in proofs.attestations:
            if demand and not demand.is_met_by(attestation.key_storage, attestation.user_authentication):
                raise CredentialRequestRefused("invalid_proof", "the keys are not attested as this licence demands")

    async def _issued(
        self,
        session: AsyncSession,
        grant: IssuanceGrant,
        licence: Licence,
        kind: LicenceType,
        keys: Sequence[PublicJwk],
    ) -> CredentialResponse:
        now = self._clock.now()
        signer = self._signers.signer(KeyPurpose.CREDENTIAL, licence.authority_code)
        expires_at = credential_expiry(licence, now, signer.not_after)
        thumbprints = [key.thumbprint() for key in keys]
        places = await self._issuance.record(
            session, licence.id, grant.holder_id, TYP, thumbprints, signer.kid, [expires_at] * len(keys)
        )
        dates = midnight_s(now), int(expires_at.timestamp())
        credentials = tuple(
            sign_credential(prepare(licence, kind, key, place, self._public_url, *dates), signer)
            for key, place in zip(keys, places, strict=True)
        )
        return CredentialResponse(credentials, make_notification_id(self._nonce_key, grant.id, licence.id))

    async def _defer(
        self,
        session: AsyncSession,
        grant: IssuanceGrant,
        licence: Licence,
        keys: Sequence[PublicJwk],
        jkt: str | None,
    ) -> CredentialResponse:
        transaction_id, now = secrets.token_urlsafe(32), self._clock.now()
        await repository.insert_deferred(
            session,
            {
                "id": new_id(now),
                "transaction_hash": _hash(transaction_id),
                "grant_id": grant.id,
                "jkt": jkt,
                "licence_id": licence.id,
                "authority_code": licence.authority_code,
                "keys": [{"x": key.x, "y": key.y} for key in keys],
                "state": "waiting",
                "expires_at": now + RELEASE_WITHIN,
                "created_at": now,
            },
        )
        return CredentialResponse(transaction_id=transaction_id)


def _no_transaction() -> CredentialRequestRefused:
    return CredentialRequestRefused("invalid_transaction_id", "there is no such transaction, or it is over")


def _hash(value: str) -> bytes:
    return hashlib.sha256(value.encode(errors="surrogatepass")).digest()
