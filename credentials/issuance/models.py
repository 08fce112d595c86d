"""What issuance speaks of."""

from collections.abc import Mapping
from dataclasses import dataclass, field
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
class CredentialRequest:
    """A credential request of the right form (OpenID4VCI 1.0 §8.2), its key proof verified.

    Attributes:
        configuration_id: what was asked for, or None when a credential identifier says which licence.
        licence_id: the licence meant, or None: the holder's newest of the configuration's type.
        nonce: the c_nonce of the proof, its MAC and time checked; it is burned by whoever acts on the request.
    """

    configuration_id: str | None
    licence_id: str | None
    holder_key: PublicJwk
    nonce: str
