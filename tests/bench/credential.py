"""SD-JWT VC: issuing one, beside the Python libraries that can, and checking one as issued and as presented."""

from contextlib import ExitStack
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from jwcrypto.jwk import JWK
from openvc.keys import P256SigningKey
from openvc.proof.sd_jwt import SdJwtVcProofSuite
from sd_jwt.common import SDObj
from sd_jwt.issuer import SDJWTIssuer
from sd_jwt.verifier import SDJWTVerifier

from credentials.issuance.formats.sd_jwt_vc import TYP, encode_credential, sign_credential
from credentials.keys.formats.es256 import verify_es256
from tests.bench.registered import bench
from tests.bench.suite import Prepare, repeat
from tests.bench.world import TEN_CLAIMS, device, signer_of, ten_claims, visible_claims
from tests.verifier_sdk.issuer import NOW, Issuer, jwk
from verifier_sdk import Expected

DISCLOSED = 3
EXPECTED = Expected(audience="x509_hash:verifier", nonce="a nonce of the request")


@bench("credential_sign", unit="credential", raw={"es256_sign": 1})
def sign(_: ExitStack) -> Prepare:
    """Ten concealed claims, from values to text, without the self-check: what the peers below do as well."""
    issuer = Issuer()
    credential, signer = ten_claims(issuer), signer_of(issuer.credential_key)

    def operation() -> str:
        unsigned = encode_credential(credential, signer.x5c_der)
        return unsigned.signed(signer.sign(unsigned.signing_input))

    return repeat(operation)


@bench("credential_sign_openvc", unit="credential", raw={"credential_sign": 1})
def sign_openvc(_: ExitStack) -> Prepare:
    """The same credential by openvc-core. Its ratio is how many of ours are made meanwhile."""
    issuer = Issuer()
    signed_by, suite = issuer.credential_key, SdJwtVcProofSuite()
    key = P256SigningKey(signed_by.key, "")
    claims, disclosable = visible_claims(issuer) | TEN_CLAIMS, list(TEN_CLAIMS)
    return repeat(lambda: suite.issue(claims, signing_key=key, disclosable=disclosable, x5c=signed_by.x5c))


@bench("credential_sign_sd_jwt", unit="credential", raw={"credential_sign": 1})
def sign_sd_jwt(_: ExitStack) -> Prepare:
    """The same by sd-jwt, the reference implementation in Python."""
    issuer = Issuer()
    signed_by = issuer.credential_key
    pem = signed_by.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    key, header = JWK.from_pem(pem), {"typ": TYP, "x5c": signed_by.x5c}
    concealed: dict[Any, object] = {SDObj(name): value for name, value in TEN_CLAIMS.items()}
    claims = visible_claims(issuer) | concealed
    return repeat(lambda: SDJWTIssuer(claims, key, sign_alg="ES256", extra_header_parameters=header).sd_jwt_issuance)


@bench("sd_jwt_vc_issue", unit="credential", raw={"es256_sign": 1, "es256_verify": 1})
def issue(_: ExitStack) -> Prepare:
    """As the platform issues it: it verifies what it signed before it lets go of it."""
    issuer = Issuer()
    credential, signer = ten_claims(issuer), signer_of(issuer.credential_key)
    return repeat(lambda: sign_credential(credential, signer))


@bench("sd_jwt_vc_issue_self_check", unit="credential", raw={"sd_jwt_vc_issue": 1})
def self_check(_: ExitStack) -> Prepare:
    """That verifying alone. Its ratio is its share of issuing; the rest of 1 is the share of concealing and signing."""
    issuer = Issuer()
    signer = signer_of(issuer.credential_key)
    unsigned = encode_credential(ten_claims(issuer), signer.x5c_der)
    signature = signer.sign(unsigned.signing_input)
    return repeat(lambda: verify_es256(signer.public_key, unsigned.signing_input, signature))


@bench("sd_jwt_vc_check_credential", unit="credential", raw={"es256_verify": 1})
def check_credential(stack: ExitStack) -> Prepare:
    """As issued, with all ten disclosures: one signature."""
    issuer = Issuer()
    verifier, text = device(stack, issuer), sign_credential(ten_claims(issuer), signer_of(issuer.credential_key))
    return repeat(lambda: verifier.check_credential(text))


@bench("sd_jwt_vc_check_presentation", unit="presentation", raw={"es256_verify": 2})
def check_presentation(stack: ExitStack) -> Prepare:
    """As presented, with three disclosures and key binding: two signatures."""
    issuer = Issuer()
    verifier, text = device(stack, issuer), _presented(issuer)
    return repeat(lambda: verifier.check_presentation(text, EXPECTED))


@bench("sd_jwt_vc_check_presentation_openvc", unit="presentation", raw={"sd_jwt_vc_check_presentation": 1})
def check_presentation_openvc(_: ExitStack) -> Prepare:
    """The same by openvc-core, given the issuer's key: no path to an anchor, no trust list, no status, no exp."""
    issuer = Issuer()
    suite, text, key = SdJwtVcProofSuite(), _presented(issuer), jwk(issuer.credential_key.key)
    asked: dict[str, Any] = {"audience": EXPECTED.audience, "nonce": EXPECTED.nonce, "now": NOW}
    asked |= {"require_key_binding": True, "check_temporal": False}  # it has no clock but the machine's
    return repeat(lambda: suite.verify(text, public_key_jwk=key, **asked))


@bench("sd_jwt_vc_check_presentation_sd_jwt", unit="presentation", raw={"sd_jwt_vc_check_presentation": 1})
def check_presentation_sd_jwt(_: ExitStack) -> Prepare:
    """The same by sd-jwt, given the issuer's key: no times either."""
    issuer = Issuer()
    text, key = _presented(issuer), JWK(**jwk(issuer.credential_key.key))

    def operation() -> object:
        return SDJWTVerifier(text, lambda *_: key, EXPECTED.audience, EXPECTED.nonce).get_verified_payload()

    return repeat(operation)


def _presented(issuer: Issuer) -> str:
    jwt, *disclosures, _ = sign_credential(ten_claims(issuer), signer_of(issuer.credential_key)).split("~")
    shown = "~".join([jwt, *disclosures[:DISCLOSED], ""])
    return issuer.present(shown, aud=EXPECTED.audience, nonce=EXPECTED.nonce)
