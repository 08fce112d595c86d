"""What issuance speaks of."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from credentials.issuance.formats.key_proofs import KeyProofs
from credentials.issuance.formats.message_encryption import ResponseEncryption
from credentials.registry import Licence


@dataclass(frozen=True)
class CredentialOffer:
    """An offer of one licence to one of its holders (OpenID4VCI 1.0 §4).

    Attributes:
        pre_authorized_code: None when the holder must sign in.
        issuer_state: binds a sign-in to this offer, and proves nothing about who signs in; None when there is none.
        asks_tx_code: whether the code is good together with a transaction code only.
        tx_code: digits to tell the holder by another channel. Known to whoever made the offer only: the store keeps
            a blind index of it.
    """

    id: str
    licence_id: str
    configuration_id: str
    pre_authorized_code: str | None
    issuer_state: str | None
    asks_tx_code: bool
    tx_code: str | None
    expires_at: datetime


class OfferProgress(StrEnum):
    """How far an offer has come."""

    WAITING = "waiting"
    OPENED = "opened"  # a wallet has fetched the offer
    REDEEMED = "redeemed"  # a wallet has a token for it
    OVER = "over"


@dataclass(frozen=True)
class OfferState:
    """An offer as the counter that made it sees it."""

    progress: OfferProgress
    licence_id: str
    expires_at: datetime


@dataclass(frozen=True)
class OfferNotice:
    """A department offers a licence to a holder who is not at the counter; it says so to the holder."""

    offer_id: str
    holder_id: str
    licence_id: str
    expires_at: datetime


@dataclass(frozen=True)
class HeldLicence:
    """A licence as its holder's wallet lists it.

    Attributes:
        reissue_available: the holder has a credential of an older version, and none of this one.
    """

    licence: Licence
    in_force: bool
    reissue_available: bool


@dataclass(frozen=True)
class IssuanceGrant:
    """What a wallet's token is good for: credentials of this holder's licences, of these types, and nothing else.

    Attributes:
        id: of the grant; every token that grew out of one sign-in or one code carries the same.
        holder_id: whose licences; a token that acts for an organisation names the organisation.
        configuration_ids: the credential configurations that may be asked for.
        licence_id: the one licence of a pre-authorized code, or None when the holder signed in.
        credential_identifiers: `credential_identifier` → licence id, where identifiers were given out.
        client_id: what the wallet called itself; authenticated only where wallet attestations are required.
    """

    id: str
    holder_id: str
    configuration_ids: frozenset[str]
    licence_id: str | None = None
    credential_identifiers: Mapping[str, str] = field(default_factory=dict)
    client_id: str | None = None


@dataclass(frozen=True)
class IssuedToken:
    """That a credential or pass was issued, and for which licence and holder; `format` says which."""

    licence_id: str
    holder_id: str
    format: str
    issued_at: datetime
    expires_at: datetime


@dataclass(frozen=True)
class WireMessage:
    """A request as it came: JSON, or a compact JWE of it (`application/jwt`)."""

    body: bytes
    encrypted: bool


@dataclass(frozen=True)
class CredentialRequest:
    """A credential request of the right form (OpenID4VCI 1.0 §8.2), its key proofs verified.

    Attributes:
        configuration_id: what was asked for, or None when a credential identifier says which licence.
        licence_id: the licence meant, or None: the holder's newest of the configuration's type.
        encryption: how the response is to be encrypted, or None.
    """

    configuration_id: str | None
    licence_id: str | None
    proofs: KeyProofs
    encryption: ResponseEncryption | None = None


@dataclass(frozen=True)
class DeferredRequest:
    """A request for what was deferred (OpenID4VCI 1.0 §9.1)."""

    transaction_id: str
    encryption: ResponseEncryption | None


@dataclass(frozen=True)
class CredentialResponse:
    """What a credential request or a deferred one is answered with (OpenID4VCI 1.0 §8.3, §9.2).

    Attributes:
        credentials: SD-JWT VCs, one a key; empty when the wallet must come again.
        notification_id: set with credentials.
        transaction_id: set when a clerk must release the credentials first.
        encryption: how to encrypt the response, or None.
    """

    credentials: tuple[str, ...] = ()
    notification_id: str | None = None
    transaction_id: str | None = None
    encryption: ResponseEncryption | None = None


@dataclass(frozen=True)
class WaitingRelease:
    """Credentials that a clerk of the issuing authority may release.

    Attributes:
        keys: how many copies the wallet asked for.
    """

    id: str
    licence_id: str
    keys: int
    requested_at: datetime
