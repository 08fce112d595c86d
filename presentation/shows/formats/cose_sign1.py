"""Writing COSE_Sign1 (RFC 9052 §4) with ES256, in the profile of `FORMAT.md` §2."""

from collections.abc import Callable, Mapping

import cbor2

ES256 = -7
ALG, KID, KCWT = 1, 4, 13
COSE_SIGN1_TAG = 18


def sign1(
    protected: Mapping[int, object], context: bytes, payload: bytes, sign: Callable[[bytes], bytes]
) -> cbor2.CBORTag:
    """A tagged COSE_Sign1.

    Args:
        protected: the header; `alg` is set here.
        context: the `external_aad`, which names what is signed.
        sign: gives the 64 bytes r‖s of ES256 over its argument.
    """
    header = cbor2.dumps({ALG: ES256, **protected})
    signature = sign(cbor2.dumps(["Signature1", header, context, payload]))
    return cbor2.CBORTag(COSE_SIGN1_TAG, [header, {}, payload, signature])
