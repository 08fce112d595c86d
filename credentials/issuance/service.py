"""Offers, grants, and the record of what was issued, whose status follows its licence."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncSession

from credentials.issuance import repository
from credentials.issuance.errors import GrantRefused, NotIssuable, OfferUnknown
from credentials.issuance.formats.credential_offer import TX_CODE_LENGTH, offer_object
from credentials.issuance.formats.sd_jwt_vc import TYP
from credentials.issuance.models import (
    CredentialOffer,
    HeldLicence,
    IssuanceGrant,
    IssuedToken,
    OfferNotice,
    OfferProgress,
    OfferState,
)
from credentials.issuance.ports import Clock, OfferNotices, Protector
from credentials.keys.formats.jws import b64u_encode
from credentials.registry import CertState, Registry, StateChange, UnknownLicence, new_id
from credentials.status import StatusReference, StatusService, StatusValue

OFFER_LIFETIME = timedelta(minutes=30)  # the holder stands at the counter, or has just read the message
PUSHED_OFFER_LIFETIME = timedelta(days=30)  # the holder reads of it some day; it holds no code, so that it can wait
TX_CODE_ATTEMPTS = 5  # of a million codes: guessing right has odds of 1 in 200,000

_REFERENCE = re.compile(r"[A-Za-z0-9_-]{43}")

_STATUS_OF: dict[CertState, StatusValue] = {
    CertState.VALID: StatusValue.VALID,
    CertState.SUSPENDED: StatusValue.SUSPENDED,
    CertState.WITHDRAWN: StatusValue.INVALID,
    CertState.CANCELLED: StatusValue.INVALID,
    CertState.LAPSED: StatusValue.INVALID,
    CertState.REVOKED: StatusValue.INVALID,
    CertState.TRANSFERRING_OUT: StatusValue.SUSPENDED,  # not to be used, and may come back (10, 07)
    CertState.OTHER: StatusValue.SUSPENDED,
}


class Issuance:
    """Offers licences to their holders, and keeps what was issued in step with the licence.

    Args:
        public_url: the Credential Issuer Identifier.
    """

    def __init__(
        self,
        *,
        registry: Registry,
        status: StatusService,
        protector: Protector,
        notices: OfferNotices,
        clock: Clock,
        public_url: str,
    ) -> None:
        self._registry = registry
        self._status = status
        self._protector = protector
        self._notices = notices
        self._clock = clock
        self._public_url = public_url

    async def offer_licence(
        self,
        session: AsyncSession,
        licence_id: str,
        *,
        holder_id: str | None = None,
        with_tx_code: bool = True,
        with_code: bool = True,
        with_sign_in: bool = False,
    ) -> CredentialOffer:
        """Offer a licence to one of its holders (the first when none is named), who is there to take it.

        Args:
            with_code: whoever has the offer gets the credential by a pre-authorized code.
            with_tx_code: together with a transaction code only.
            with_sign_in: the holder may sign in instead.

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
        asks_tx_code = with_code and with_tx_code
        offer = CredentialOffer(
            id=secrets.token_urlsafe(32),
            licence_id=licence.id,
            configuration_id=licence.type_code,
            pre_authorized_code=secrets.token_urlsafe(32) if with_code else None,
            issuer_state=secrets.token_urlsafe(32) if with_sign_in else None,
            asks_tx_code=asks_tx_code,
            tx_code=f"{secrets.randbelow(10**TX_CODE_LENGTH):0{TX_CODE_LENGTH}}" if asks_tx_code else None,
            expires_at=now + (OFFER_LIFETIME if with_code else PUSHED_OFFER_LIFETIME),
        )
        await repository.insert_offer(session, self._row(offer, holder_id, now, pushed=not with_code))
        return offer

    async def push_offer(self, session: AsyncSession, licence_id: str, holder_id: str | None = None) -> CredentialOffer:
        """Offer a licence to a holder who is elsewhere: the wallet lists the offer, a notice goes out, and the holder
        signs in to take it.

        Raises:
            UnknownLicence, NotIssuable: as `offer_licence` says.
        """
        offer = await self.offer_licence(session, licence_id, holder_id=holder_id, with_code=False, with_sign_in=True)
        row = await repository.offer(session, offer.id)
        assert row is not None  # written in this transaction
        await self._notices.offered(session, OfferNotice(offer.id, row.holder_id, offer.licence_id, offer.expires_at))
        return offer

    async def offer_by_reference(self, session: AsyncSession, offer_id: str) -> dict[str, object]:
        """The credential offer object behind a `credential_offer_uri` (OpenID4VCI 1.0 §4.1.3); it is noted as opened.

        Raises:
            OfferUnknown: there is none, it was used, or it is over.
        """
        well_formed = _REFERENCE.fullmatch(offer_id)  # PostgreSQL takes no NUL in a text
        row = await repository.open_offer(session, offer_id, self._clock.now()) if well_formed else None
        if row is None:
            raise OfferUnknown("there is no such offer, or it was used, or it is over")
        return offer_object(self._offer(row), self._public_url)

    async def offer_state(self, session: AsyncSession, offer_id: str) -> OfferState:
        """How far an offer has come.

        Raises:
            OfferUnknown: there never was one.
        """
        row = await repository.offer(session, offer_id) if _REFERENCE.fullmatch(offer_id) else None
        if row is None:
            raise OfferUnknown("there is no such offer")
        progress = OfferProgress.OPENED if row.opened_at else OfferProgress.WAITING
        if row.expires_at <= self._clock.now():
            progress = OfferProgress.OVER
        if row.used_at is not None:
            progress = OfferProgress.REDEEMED
        return OfferState(progress, row.licence_id, row.expires_at)

    async def pushed_offers(self, session: AsyncSession, holder_id: str) -> Sequence[CredentialOffer]:
        """The offers that departments pushed to a holder and that no wallet has taken up yet, the newest first."""
        rows = await repository.pushed_offers(session, holder_id, self._clock.now())
        return [self._offer(row) for row in rows]

    async def offered_by_state(self, session: AsyncSession, issuer_state: str) -> CredentialOffer | None:
        """The live offer that an authorization request's `issuer_state` is bound to (OpenID4VCI 1.0 §5.1.3).

        It says what to ask the holder about. Anybody may bring it: it never says who the holder is.
        """
        if not _REFERENCE.fullmatch(issuer_state):
            return None
        row = await repository.offer_by_issuer_state(session, _hash(issuer_state), self._clock.now())
        return self._offer(row) if row is not None else None

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

    async def holdings(
        self, session: AsyncSession, holder_id: str, configuration_ids: Iterable[str]
    ) -> Mapping[str, Sequence[str]]:
        """Configuration id → ids of the holder's licences in force that it can be issued for, the newest first."""
        return await self._registry.in_force(session, holder_id, configuration_ids, self._clock.now())

    async def record(
        self,
        session: AsyncSession,
        licence_id: str,
        holder_id: str,
        token_format: str,
        key_thumbprints: Sequence[str],
        signing_kid: bytes,
        expiries: Sequence[datetime],
    ) -> Sequence[StatusReference]:
        """Record tokens about to be signed for a licence, each with a status index of its own.

        Args:
            key_thumbprints, expiries: one of each per token.
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
                for reference, key_thumbprint, expires_at in zip(references, key_thumbprints, expiries, strict=True)
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

    async def refers_to(self, session: AsyncSession, status_uri: str, since: datetime) -> bool:
        """Whether anything issued that points to a status list was still good at `since` (`status.References`)."""
        return await repository.any_at_status_list(session, status_uri, since)

    async def held(self, session: AsyncSession, holder_id: str, licence_id: str | None = None) -> Sequence[HeldLicence]:
        """A holder's licences in whatever state, each in its newest version, the newest first.

        Args:
            licence_id: only this one, or the version that followed it.
        """
        licences = await self._registry.of_holder(session, holder_id)
        now = self._clock.now()
        issued = await repository.licences_issued(session, holder_id, TYP, now)
        before = {licence.id: licence.predecessor_id for licence in licences}
        replaced = set(before.values())
        return [
            HeldLicence(
                licence,
                in_force=licence.in_force(now),
                reissue_available=licence.in_force(now)
                and licence.id not in issued
                and not issued.isdisjoint(_predecessors(licence.id, before)),
            )
            for licence in licences
            if licence.id not in replaced
            and (licence_id is None or licence_id in {licence.id, *_predecessors(licence.id, before)})
        ]

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

    def _row(self, offer: CredentialOffer, holder_id: str, now: datetime, *, pushed: bool) -> dict[str, Any]:
        code, state = offer.pre_authorized_code, offer.issuer_state
        return {
            "id": offer.id,
            "licence_id": offer.licence_id,
            "holder_id": holder_id,
            "configuration_id": offer.configuration_id,
            "code_hash": code and _hash(code),
            "code_sealed": code and self._protector.seal(code.encode(), _code_context(offer.id)),
            "issuer_state_hash": state and _hash(state),
            "issuer_state_sealed": state and self._protector.seal(state.encode(), _state_context(offer.id)),
            "tx_code_index": self._tx_code_index(offer.id, offer.tx_code) if offer.tx_code else None,
            "attempts": 0,
            "pushed": pushed,
            "expires_at": offer.expires_at,
            "created_at": now,
        }

    def _offer(self, row: Row[Any]) -> CredentialOffer:
        def opened(sealed: bytes | None, context: str) -> str | None:
            return self._protector.open(sealed, context).decode() if sealed is not None else None

        return CredentialOffer(
            id=row.id,
            licence_id=row.licence_id,
            configuration_id=row.configuration_id,
            pre_authorized_code=opened(row.code_sealed, _code_context(row.id)),
            issuer_state=opened(row.issuer_state_sealed, _state_context(row.id)),
            asks_tx_code=row.tx_code_index is not None,
            tx_code=None,
            expires_at=row.expires_at,
        )

    def _tx_code_index(self, offer_id: str, tx_code: str) -> bytes:
        return self._protector.blind_index(f"tx_code:{offer_id}", tx_code)


def _predecessors(licence_id: str, before: Mapping[str, str | None]) -> Iterator[str]:
    while (earlier := before.get(licence_id)) is not None:
        yield earlier
        licence_id = earlier


def _code_context(offer_id: str) -> str:
    return f"credential_offer:{offer_id}"


def _state_context(offer_id: str) -> str:
    return f"credential_offer.issuer_state:{offer_id}"


def _hash(code: str) -> bytes:
    return hashlib.sha256(code.encode()).digest()
