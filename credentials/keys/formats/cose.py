"""COSE_Sign1 with ES256 (RFC 9052 §4.2, RFC 9053 §2.1), deterministic CBOR (RFC 8949 §4.2.1)."""

from collections.abc import Mapping

import cbor2

from credentials.keys.ports import Signer

ALG = 1
KID = 4
X5CHAIN = 33  # RFC 9360
ES256 = -7
COSE_SIGN1_TAG = 18


def x5chain(signer: Signer) -> bytes | list[bytes]:
    """The `x5chain` header parameter (RFC 9360 §2): one certificate as bytes, several as an array, leaf first."""
    return signer.x5c_der[0] if len(signer.x5c_der) == 1 else list(signer.x5c_der)


def to_be_signed(protected: bytes, payload: bytes) -> bytes:
    """The Sig_structure of a COSE_Sign1 without external data (RFC 9052 §4.4)."""
    return cbor2.dumps(["Signature1", protected, b"", payload], canonical=True)


def sign1(header: Mapping[int, object], payload: bytes, signer: Signer) -> bytes:
    """Sign a payload as a tagged COSE_Sign1.

    Args:
        header: the protected header without `alg`, which is set to ES256 here; the unprotected one stays empty.
        payload: any bytes; for a CWT the claims as CBOR.
        signer: holds the key. Whether its certificate suits the use is not checked.
    """
    protected = cbor2.dumps({**header, ALG: ES256}, canonical=True)
    signature = signer.sign(to_be_signed(protected, payload))
    return cbor2.dumps(cbor2.CBORTag(COSE_SIGN1_TAG, [protected, {}, payload, signature]), canonical=True)
