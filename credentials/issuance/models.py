"""What issuance speaks of."""

from dataclasses import dataclass
from datetime import datetime

from credentials.keys.formats.jwk import PublicJwk


@dataclass(frozen=True)
class CredentialOffer:
    """An offer of one licence to one of its holders (OpenID4VCI 1.0 §4).

    Attributes:
        tx_code: digits to tell the holder by another channel, or None when the offer asks for none. Known here only:
            the store keeps a blind index of it.
    """

    id: str
    licence_id: str
    configuration_id: str
    pre_authorized_code: str
    tx_code: str | None
    expires_at: datetime


@dataclass(frozen=True)
class IssuanceGrant:
    """What a redeemed code entitles its token to: credentials of this licence, for this holder, and nothing else.

    Attributes:
        client_id: what the wallet called itself when it redeemed the code; not authenticated.
    """

    licence_id: str
    holder_id: str
    configuration_id: str
    client_id: str | None = None


@dataclass(frozen=True)
class CredentialRequest:
    """A credential request of the right form (OpenID4VCI 1.0 §8.2), its key proof verified.

    Attributes:
        nonce: the c_nonce of the proof, its MAC and time checked; it is burned by whoever acts on the request.
    """

    configuration_id: str
    holder_key: PublicJwk
    nonce: str
