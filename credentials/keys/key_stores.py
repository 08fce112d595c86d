"""Several stores of private keys as one: new keys go where their purpose says, old ones are found where they are."""

from collections.abc import Collection

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from credentials.keys.models import KeyPurpose
from credentials.keys.ports import KeyStore

TOKEN_SCHEME = "pkcs11:"  # noqa: S105 (a scheme, no password)


class KeyStores:
    """Key files, and a token for some purposes.

    Args:
        files: keeps every key whose reference does not begin with `pkcs11:`.
        token: keeps the others.
        token_purposes: of these, new keys are made in the token. Changing it moves no key: rotate to move one.
    """

    def __init__(self, files: KeyStore, token: KeyStore, token_purposes: Collection[KeyPurpose]) -> None:
        self._files = files
        self._token = token
        self._token_purposes = frozenset(token_purposes)

    def generate(self, purpose: KeyPurpose) -> tuple[str, EllipticCurvePrivateKey]:
        """Make a key where keys of this purpose belong."""
        return (self._token if purpose in self._token_purposes else self._files).generate(purpose)

    def read(self, reference: str) -> EllipticCurvePrivateKey:
        """Find a key where it was made."""
        return self._of(reference).read(reference)

    def remove(self, reference: str) -> None:
        """Destroy a key where it was made."""
        self._of(reference).remove(reference)

    def _of(self, reference: str) -> KeyStore:
        return self._token if reference.startswith(TOKEN_SCHEME) else self._files
