"""The live code: made by the holder's device, checked by the verifier SDK. Profile `minimal`."""

import secrets
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack

from presentation.shows import CTI_BYTES, encode_proof, qr_text
from tests.bench.registered import bench
from tests.bench.suite import Prepare, repeat
from tests.bench.world import device, minimal_pass, signer_of
from tests.verifier_sdk.issuer import HOST, NOW_S, Issuer, sign_es256
from verifier_sdk import Verifier


@bench("live_code_make", unit="code", raw={"es256_sign": 1})
def make(_: ExitStack) -> Prepare:
    """What the device does every 15 s, up to the text of the QR code; drawing it is not in it."""
    issuer = Issuer()
    token = minimal_pass(issuer, signer_of(issuer.pass_key))
    return repeat(lambda: _code(issuer, token))


@bench("live_code_check_cold", unit="check", raw={"es256_verify": 2})
def check_cold(stack: ExitStack) -> Prepare:
    """Each code with a pass that this device has never seen: the signatures of pass and proof."""
    issuer = Issuer()
    verifier, signer = device(stack, issuer), signer_of(issuer.pass_key)
    return _checks(verifier, lambda: _code(issuer, minimal_pass(issuer, signer)))


@bench("live_code_check_seen", unit="check", raw={"es256_verify": 1})
def check_seen(stack: ExitStack) -> Prepare:
    """Fresh codes over one pass that was verified before: the proof's signature only."""
    issuer = Issuer()
    verifier, token = device(stack, issuer), minimal_pass(issuer, signer_of(issuer.pass_key))
    verifier.check(_code(issuer, token))
    return _checks(verifier, lambda: _code(issuer, token))


def _code(issuer: Issuer, token: bytes) -> str:
    cti = secrets.token_bytes(CTI_BYTES)
    return qr_text(HOST, encode_proof(token, NOW_S, cti, lambda message: sign_es256(issuer.holder, message)))


def _checks(verifier: Verifier, fresh_code: Callable[[], str]) -> Prepare:
    """A code is accepted once, so that every check takes one of its own."""

    def prepare(count: int) -> Callable[[], object]:
        codes = [fresh_code() for _ in range(count)]
        return lambda: deque(map(verifier.check, codes), maxlen=0)

    return prepare
