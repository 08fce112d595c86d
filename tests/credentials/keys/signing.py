"""A signer without a database, for tests of formats."""

from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric import ec

from credentials.keys.formats.x509 import Validity, build_root
from credentials.keys.signers import KeySigner

VALIDITY = Validity(datetime(2026, 1, 1, tzinfo=UTC), datetime(2036, 1, 1, tzinfo=UTC))


def self_signed() -> KeySigner:
    """A signer whose chain is one self-signed certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    return KeySigner(key, (build_root(key, VALIDITY),))
