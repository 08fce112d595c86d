"""What the authorization server speaks of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from credentials.issuance import IssuanceGrant
from wallet_api.oauth.client_attestation import Attesters

INBOX_SCOPE = "inbox"  # messages, devices and notification settings of a holder, and no licence of theirs


@dataclass(frozen=True)
class Access:
    """What the bearer of a token may do.

    Attributes:
        grant: for a wallet: what its holder granted, narrowed to the token's scope.
        client_id, authority_codes: for a machine: who it is, and for which authorities a department's system writes.
        jkt: the thumbprint of the key that the token is bound to, or None for a bearer token.
    """

    scope: str
    grant: IssuanceGrant | None
    client_id: str | None
    authority_codes: frozenset[str]
    jkt: str | None


@dataclass(frozen=True)
class Granted:
    """What a holder granted a wallet, before it is kept.

    Attributes:
        holder_id: whose licences; the organisation where a person acts for one.
        configuration_ids: in the order that they were asked for; none, and the grant is for the inbox alone.
        licence_id: the one licence of a pre-authorized code, or None when the holder signed in.
        client_id, instance_jkt: what the wallet calls itself, and its attested instance's key where there is one.
        credential_identifiers: `credential_identifier` → licence id, for what was asked for by authorization_details.
    """

    holder_id: str
    configuration_ids: tuple[str, ...]
    licence_id: str | None = None
    client_id: str | None = None
    instance_jkt: str | None = None
    credential_identifiers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ClientHeaders:
    """The header fields of a request that speak for its client: the values of every field of each name."""

    dpop: Sequence[str] = ()
    attestations: Sequence[str] = ()
    attestation_pops: Sequence[str] = ()


@dataclass(frozen=True)
class WalletClient:
    """Who asks: what it calls itself (None: anonymous), and the attested instance's key where it proved one."""

    client_id: str | None
    instance_jkt: str | None


@dataclass(frozen=True)
class WalletPolicy:
    """What is asked of wallets.

    Attributes:
        dpop_nonce_required: whether DPoP proofs must carry a nonce of ours.
        attestation_required: whether wallets must authenticate with an attestation; if not, they may.
        challenge_required: whether an attestation's proof of possession must carry a challenge of ours.
        app_schemes: schemes of redirect URIs to take beside those of RFC 8252.
    """

    attesters: Attesters = field(default_factory=Attesters)
    dpop_nonce_required: bool = False
    attestation_required: bool = False
    challenge_required: bool = False
    app_schemes: frozenset[str] = frozenset()


@dataclass(frozen=True)
class RegisteredClient:
    """A machine as operators see it."""

    client_id: str
    name: str
    active: bool
    created_at: datetime
