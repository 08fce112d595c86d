"""The loaded keys: what signs, and what readers are told to trust."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from credentials.keys.errors import SigningKeyMissing
from credentials.keys.models import KeyPurpose, TrustedKey
from credentials.keys.ports import Signer


@dataclass(frozen=True)
class KeyRing:
    """The keys at the moment of loading. A key that another process rotates stays good until this one loads again.

    Attributes:
        anchor_pem: the root's certificate, for readers to pin.
        outside_anchors_pem: those of outside authorities that certified keys of ours, to be pinned beside it.
        signers: the active keys by purpose and authority code.
        trusted_keys: the keys of the trust list, next, active and previous.
    """

    anchor_pem: str
    signers: Mapping[tuple[KeyPurpose, str | None], Signer] = field(repr=False)
    trusted_keys: tuple[TrustedKey, ...] = field(repr=False)
    outside_anchors_pem: tuple[str, ...] = ()

    @property
    def anchors_pem(self) -> tuple[str, ...]:
        """Everything that readers pin, the platform's root first."""
        return (self.anchor_pem, *self.outside_anchors_pem)

    def signer(self, purpose: KeyPurpose, authority_code: str | None = None) -> Signer:
        """The key that signs for a purpose.

        Args:
            authority_code: for `credential` the authority's code, otherwise left out.

        Raises:
            SigningKeyMissing: there is none.
        """
        signer = self.signers.get((purpose, authority_code))
        if signer is None:
            owner = f"the authority {authority_code}" if authority_code else "the platform"
            raise SigningKeyMissing(f"{owner} has no active key for the purpose {purpose.value}")
        return signer

    def trusted(self) -> tuple[TrustedKey, ...]:
        """The keys that readers are told to trust."""
        return self.trusted_keys
