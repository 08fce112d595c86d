"""A platform with its keys, a licence, and a device that has just synchronised: made once a bench."""

from contextlib import ExitStack
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from credentials.issuance.formats.sd_jwt_vc import PreparedCredential
from credentials.keys.formats.jwk import PublicJwk
from credentials.keys.signers import KeySigner
from credentials.status import StatusReference
from presentation.shows import DeviceKey, Profile, StatusPlace
from presentation.shows.formats.live_code import PassClaims, encode_pass
from presentation.shows.masking import mask_name, mask_number
from tests.fakes import FakeClock
from tests.verifier_sdk.cases import World, hold
from tests.verifier_sdk.issuer import HOST, NOW, NOW_S, STATUS_URI, VCT, Certified, Issuer
from verifier_sdk import TrustStore, Verifier

STATUS_IDX = 7
HOUR_S = 3600
TEN_CLAIMS = {
    "name": "张三丰",
    "number": "310101199001011234",
    "sex": "男",
    "nationality": "中国",
    "address": "上海市黄浦区人民大道200号",
    "birth_date": "1990-01-01",
    "first_issue_date": "2012-06-05",
    "vehicle_class": "C1",
    "file_number": "310012345678",
    "issuing_authority": "上海市公安局交通警察总队",
}


def signer_of(certified: Certified) -> KeySigner:
    """The platform's signer over a key of the tests' issuer."""
    return KeySigner(certified.key, (certified.certificate,))


def ten_claims(issuer: Issuer) -> PreparedCredential:
    """A licence with ten claims, each concealed."""
    return PreparedCredential(
        issuer=HOST,
        vct=VCT,
        holder_key=PublicJwk.from_key(issuer.holder.public_key()),
        status=StatusReference(uri=STATUS_URI, idx=STATUS_IDX),
        issued_at_s=NOW_S - HOUR_S,
        not_before_s=NOW_S - HOUR_S,
        expires_at_s=NOW_S + 24 * HOUR_S,
        plain={},
        concealed=TEN_CLAIMS,
    )


def visible_claims(issuer: Issuer) -> dict[Any, object]:
    """The claims of the same credential that are never concealed."""
    return {
        "iss": HOST,
        "vct": VCT,
        "iat": NOW_S - HOUR_S,
        "nbf": NOW_S - HOUR_S,
        "exp": NOW_S + 24 * HOUR_S,
        "cnf": {"jwk": PublicJwk.from_key(issuer.holder.public_key()).to_object()},
        "status": {"status_list": {"idx": STATUS_IDX, "uri": STATUS_URI}},
    }


def minimal_pass(issuer: Issuer, signer: KeySigner) -> bytes:
    """A `minimal` pass for the issuer's holder; two are never the same bytes, because ES256 draws a nonce."""
    point = issuer.holder.public_key().public_numbers()
    key = DeviceKey(point.x.to_bytes(32, "big"), bool(point.y & 1), thumbprint="")
    claims = PassClaims(
        not_before_s=NOW_S - HOUR_S,
        expires_at_s=NOW_S + HOUR_S,
        key=key,
        type_code="driving-licence",
        type_version=1,
        profile=Profile.MINIMAL,
        valid_until=date(2030, 2, 28),
        items={0: mask_name(TEN_CLAIMS["name"]), 1: mask_number(TEN_CLAIMS["number"])},
        status=StatusPlace(STATUS_URI, STATUS_IDX),
    )
    return encode_pass(claims, signer.kid, signer.sign)


def device(stack: ExitStack, issuer: Issuer) -> Verifier:
    """A verifier that holds the platform's trust list and its status list of 1024 entries."""
    folder, world, clock = Path(stack.enter_context(TemporaryDirectory())), World.of(issuer), FakeClock(NOW)
    hold(folder, issuer.root.pem, world.trust_list, world.status_lists)
    trust = stack.enter_context(TrustStore.open(folder, [issuer.root.pem], clock=clock))
    trust.knowledge()  # reads and verifies both lists, which is no part of a check
    return Verifier(trust, clock=clock)
