"""Bringing a licence to its holder's wallet: offers, grants, credentials, and what becomes of them later."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from credentials.catalogue import Catalogue
from credentials.issuance import repository
from credentials.issuance.errors import CredentialRequestRefused, GrantRefused, NotIssuable, OfferUnknown
from credentials.issuance.formats.c_nonce import make_nonce
from credentials.issuance.formats.openid4vci import TX_CODE_LENGTH, offer_object, read_credential_request
from credentials.issuance.formats.sd_jwt_vc import TYP, PreparedCredential, sign_credential
from credentials.issuance.models import CredentialOffer, CredentialRequest, IssuanceGrant, IssuedToken
from credentials.issuance.ports import Clock, OneTimeValues, Protector, Signers
from credentials.keys import KeyPurpose
from credentials.keys.formats.jws import b64u_encode
from credentials.registry import SHANGHAI, CertState, Licence, Registry, StateChange, UnknownLicence, new_id
from credentials.status import StatusReference, StatusService, StatusValue

OFFER_LIFETIME = timedelta(minutes=30)  # the holder stands at the counter, or has just read the message
TX_CODE_ATTEMPTS = 5  # of a million codes: guessing right has odds of 1 in 200,000
CREDENTIAL_LIFETIME = timedelta(days=365)  # a wallet fetches anew once a year even what is long-term

NONCE_MEMORY = timedelta(minutes=10)  # twice a c_nonce's life

_OFFER_ID = re.compile(r"[A-Za-z0-9_-]{43}")

_STATUS_OF: dict[CertState, StatusValue] = {
    CertState.VALID: StatusValue.VALID,
    CertState.SUSPENDED: StatusValue.SUSPENDED,
    CertState.WITHDRAWN: StatusValue.INVALID,
    CertState.CANCELLED: StatusValue.INVALID,
    CertState.LAPSED: StatusValue.INVALID,
    CertState.REVOKED: StatusValue.INVALID,
}


class Issuance:
    """Issues credentials and keeps their status in step with the licence.

    Args:
        public_url: the Credential Issuer Identifier.
        nonce_key: 32 bytes that only this deployment knows, the same in all its processes.
    """

    def __init__(
        self,
        *,
        registry: Registry,
        catalogue: Catalogue,
        status: StatusService,
        signers: Signers,
        protector: Protector,
        one_time: OneTimeValues,
        clock: Clock,
        public_url: str,
        nonce_key: bytes,
    ) -> None:
        self._registry = registry
        self._catalogue = catalogue
        self._status = status
        self._signers = signers
        self._protector = protector
        self._one_time = one_time
        self._clock = clock
        self._public_url = public_url
        self._nonce_key = nonce_key

    async def offer_licence(
        self, session: AsyncSession, licence_id: str, *, holder_id: str | None = None, with_tx_code: bool = True
    ) -> CredentialOffer:
        """Offer a licence to one of its holders (the first when none is named).

        Raises:
            UnknownLicence: there is none, or it does not name this holder.
            NotIssuable: it is not in force today.
        """
        licence = await self._registry.licence(session, licence_id)
        now = self._clock.now()
        if not licence.in_force(now):
            raise NotIssuable("the licence is not in force today")
        holder_id = holder_id or licence.holder_ids[0]
        if holder_id not in licence.holder_ids:
            raise UnknownLicence("there is no such licence")
        offer = CredentialOffer(
            id=secrets.token_urlsafe(32),
            licence_id=licence.id,
            configuration_id=licence.type_code,
            pre_authorized_code=secrets.token_urlsafe(32),
            tx_code=f"{secrets.randbelow(10**TX_CODE_LENGTH):0{TX_CODE_LENGTH}}" if with_tx_code else None,
            expires_at=now + OFFER_LIFETIME,
        )
        await repository.insert_offer(
            session,
            {
                "id": offer.id,
                "licence_id": licence.id,
                "holder_id": holder_id,
                "configuration_id": offer.configuration_id,
                "code_hash": _hash(offer.pre_authorized_code),
                "code_sealed": self._protector.seal(offer.pre_authorized_code.encode(), f"credential_offer:{offer.id}"),
                "tx_code_index": self._tx_code_index(offer.id, offer.tx_code) if offer.tx_code else None,
                "attempts": 0,
                "expires_at": offer.expires_at,
                "created_at": now,
            },
        )
        return offer

    async def offer_by_reference(self, session: AsyncSession, offer_id: str) -> dict[str, object]:
        """The credential offer object behind a `credential_offer_uri` (OpenID4VCI 1.0 §4.1.3).

        Raises:
            OfferUnknown: there is none, it was used, or it is over.
        """
        well_formed = _OFFER_ID.fullmatch(offer_id)  # PostgreSQL takes no NUL in a text
        row = await repository.live_offer(session, offer_id, self._clock.now()) if well_formed else None
        if row is None:
            raise OfferUnknown("there is no such offer, or it was used, or it is over")
        offer = CredentialOffer(
            id=row.id,
            licence_id=row.licence_id,
            configuration_id=row.configuration_id,
            pre_authorized_code=self._protector.open(row.code_sealed, f"credential_offer:{row.id}").decode(),
            tx_code="asked for" if row.tx_code_index is not None else None,
            expires_at=row.expires_at,
        )
        return offer_object(offer, self._public_url)

    async def count_tx_code_attempt(self, session: AsyncSession, code: str, tx_code: str | None) -> None:
        """Check that a transaction code is there when, and only when, it is asked for, and count the try.

        To be committed on its own before `redeem`, so that a wrong code costs a try even though it is refused.

        Raises:
            GrantRefused: `invalid_request` when its presence is wrong, `invalid_grant` when tries or code are used up.
        """
        row = await repository.offer_by_code(session, _hash(code))
        if row is None or row.used_at is not None or row.expires_at <= self._clock.now():
            raise GrantRefused("invalid_grant", "the pre-authorized code is unknown, used or over")
        if (row.tx_code_index is None) != (tx_code is None):
            raise GrantRefused("invalid_request", "tx_code is missing" if tx_code is None else "no tx_code is expected")
        if tx_code is not None and not await repository.count_attempt(session, row.id, TX_CODE_ATTEMPTS):
            raise GrantRefused("invalid_grant", "too many wrong transaction codes; ask for a new offer")

    async def redeem(self, session: AsyncSession, code: str, tx_code: str | None) -> IssuanceGrant:
        """Use a pre-authorized code. Of any number of callers at once exactly one gets the grant.

        Raises:
            GrantRefused: `invalid_grant`: wrong transaction code, or the code is unknown, used or over.
        """
        row = await repository.offer_by_code(session, _hash(code))
        if row is None:
            raise GrantRefused("invalid_grant", "the pre-authorized code is unknown, used or over")
        if row.tx_code_index is not None:
            given = self._tx_code_index(row.id, tx_code or "")
            if not hmac.compare_digest(given, row.tx_code_index):
                raise GrantRefused("invalid_grant", "the transaction code is wrong")
        if not await repository.burn_offer(session, row.id, self._clock.now()):
            raise GrantRefused("invalid_grant", "the pre-authorized code is unknown, used or over")
        return IssuanceGrant(
            id=row.id,
            holder_id=row.holder_id,
            configuration_ids=frozenset({row.configuration_id}),
            licence_id=row.licence_id,
        )

    def nonce(self) -> str:
        """A fresh c_nonce (OpenID4VCI 1.0 §7.2)."""
        return make_nonce(self._nonce_key, self._clock.now())

    async def issue(self, session: AsyncSession, grant: IssuanceGrant, body: bytes) -> str:
        """Answer a credential request: prepare, check, record, sign once, self-verify, release.

        The licence's row stays locked until the caller commits, so that no revocation slips in between.

        Raises:
            CredentialRequestRefused: with the standard's error code.
        """
        now = self._clock.now()
        request = read_credential_request(
            body,
            issuer=self._public_url,
            grant=grant,
            nonce_key=self._nonce_key,
            now=now,
        )
        if not await self._one_time.burn(session, "c_nonce", request.nonce, now + NONCE_MEMORY):
            raise CredentialRequestRefused("invalid_nonce", "this c_nonce was used before")
        licence = await self._licence_asked_for(session, grant, request)
        licence_type = self._catalogue.get(licence.type_code, licence.type_version)
        signer = self._signers.signer(KeyPurpose.CREDENTIAL, licence.authority_code)
        expires_at = _expiry(licence, now)
        thumbprint = request.holder_key.thumbprint()
        (status,) = await self.record(session, licence.id, grant.holder_id, TYP, thumbprint, signer.kid, [expires_at])
        today_s = _midnight_s(now)
        prepared = PreparedCredential(
            issuer=self._public_url,
            vct=licence_type.vct(self._public_url),
            holder_key=request.holder_key,
            status=status,
            issued_at_s=today_s,
            not_before_s=today_s,
            expires_at_s=int(expires_at.timestamp()),
            plain={},
            concealed=licence_claims(licence),
        )
        return sign_credential(prepared, signer)

    async def holdings(
        self, session: AsyncSession, holder_id: str, configuration_ids: Iterable[str]
    ) -> Mapping[str, Sequence[str]]:
        """Configuration id → ids of the holder's licences in force that it can be issued for, the newest first."""
        return await self._registry.in_force(session, holder_id, configuration_ids, self._clock.now())

    async def _licence_asked_for(
        self, session: AsyncSession, grant: IssuanceGrant, request: CredentialRequest
    ) -> Licence:
        """The newest version of the licence that is meant, locked; it must be in force and the grant's holder's own."""
        licence_id = request.licence_id
        if licence_id is None and request.configuration_id is not None:
            held = await self.holdings(session, grant.holder_id, [request.configuration_id])
            licence_id = next(iter(held.get(request.configuration_id, ())), None)
        if licence_id is None:
            raise CredentialRequestRefused("credential_request_denied", "the holder has no such licence in force")
        licence = await self._registry.newest_version(session, licence_id)
        if grant.holder_id not in licence.holder_ids or licence.type_code not in grant.configuration_ids:
            raise CredentialRequestRefused("credential_request_denied", "the licence is another holder's now")
        if not licence.in_force(self._clock.now()):
            raise CredentialRequestRefused("credential_request_denied", "the licence is not in force")
        return licence

    async def record(
        self,
        session: AsyncSession,
        licence_id: str,
        holder_id: str,
        token_format: str,
        key_thumbprint: str,
        signing_kid: bytes,
        expiries: Sequence[datetime],
    ) -> Sequence[StatusReference]:
        """Record tokens about to be signed for a licence, each with a status index of its own.

        Args:
            expiries: one instant per token.
        """
        references = await self._status.allocate(session, len(expiries))
        now = self._clock.now()
        await repository.insert_issuances(
            session,
            [
                {
                    "id": new_id(now),
                    "licence_id": licence_id,
                    "holder_id": holder_id,
                    "format": token_format,
                    "key_thumbprint": key_thumbprint,
                    "signing_kid": b64u_encode(signing_kid),
                    "status_uri": reference.uri,
                    "status_index": reference.idx,
                    "expires_at": expires_at,
                    "issued_at": now,
                }
                for reference, expires_at in zip(references, expiries, strict=True)
            ],
        )
        return references

    async def was_issued_to(self, session: AsyncSession, licence_id: str, holder_id: str, key_thumbprint: str) -> bool:
        """Whether an unexpired credential of the licence was issued to this key of this holder."""
        return await repository.credential_for_key(
            session, licence_id, holder_id, key_thumbprint, TYP, self._clock.now()
        )

    async def licences_of_key(self, session: AsyncSession, holder_id: str, key_thumbprint: str) -> Sequence[str]:
        """The licences of a holder that unexpired credentials were issued to this key for."""
        return await repository.licences_of_key(session, holder_id, key_thumbprint, TYP, self._clock.now())

    async def at_status_places(
        self, session: AsyncSession, references: Sequence[StatusReference]
    ) -> Mapping[StatusReference, IssuedToken]:
        """What was issued with its status at these places, expired or not."""
        return await repository.at_status_places(session, references)

    async def follow(self, session: AsyncSession, changes: Sequence[StateChange]) -> None:
        """Bring the status of everything issued for these licences to their new state (`registry.StateFollower`)."""
        newest = {change.licence_id: change.state for change in changes}
        places = await repository.unexpired_status_places(session, newest, self._clock.now())
        by_value: dict[StatusValue, list[StatusReference]] = {}
        for licence_id, found in places.items():
            references = by_value.setdefault(_STATUS_OF[newest[licence_id]], [])
            references.extend(StatusReference(uri, index) for uri, index in found)
        for value, references in by_value.items():
            await self._status.set_status(session, references, value)

    def _tx_code_index(self, offer_id: str, tx_code: str) -> bytes:
        return self._protector.blind_index(f"tx_code:{offer_id}", tx_code)


def licence_claims(licence: Licence) -> dict[str, object]:
    """The claims of a licence's credential, by the names of its type metadata."""
    claims: dict[str, object] = {
        "holder_name": "、".join(holder.name for holder in licence.holders),
        "certificate_number": licence.number,
        "certificate_identifier": licence.identifier,
        "issuing_authority_name": licence.authority_name,
        "issued_on": licence.issued_on.isoformat(),
        "valid_until": licence.valid_until and licence.valid_until.isoformat(),  # null: long-term
    }
    return claims | dict(licence.items)


def _expiry(licence: Licence, now: datetime) -> datetime:
    """The end of the licence's last day, or of a credential's longest life; always a midnight (linkability)."""
    longest = datetime.fromtimestamp(_midnight_s(now), UTC) + CREDENTIAL_LIFETIME
    if licence.valid_until is None or licence.valid_until > longest.date():  # 9999-12-31 has no day after
        return longest
    day_after = licence.valid_until + timedelta(days=1)
    return min(longest, datetime.combine(day_after, time(), SHANGHAI).astimezone(UTC))


def _midnight_s(now: datetime) -> int:
    return int(now.timestamp()) // 86_400 * 86_400


def _hash(code: str) -> bytes:
    return hashlib.sha256(code.encode()).digest()
