"""SD-JWT VC: issuing one, and checking one as issued and as presented."""

from contextlib import ExitStack

from credentials.issuance.formats.sd_jwt_vc import TYP, sign_credential
from credentials.keys.formats.signed_jwt import SignedJwt
from tests.bench.registered import bench
from tests.bench.suite import Prepare, repeat
from tests.bench.world import device, signer_of, ten_claims
from tests.verifier_sdk.issuer import Issuer
from verifier_sdk import Expected

DISCLOSED = 3


@bench("sd_jwt_vc_issue", unit="credential", raw={"es256_sign": 1, "es256_verify": 1})
def issue(_: ExitStack) -> Prepare:
    """Ten concealed claims. It signs once and verifies what it signed before it lets go of it."""
    issuer = Issuer()
    credential, signer = ten_claims(issuer), signer_of(issuer.credential_key)
    return repeat(lambda: sign_credential(credential, signer))


@bench("sd_jwt_vc_issue_self_check", unit="credential", raw={"sd_jwt_vc_issue": 1})
def self_check(_: ExitStack) -> Prepare:
    """That verifying alone. Its ratio is its share of issuing; the rest of 1 is the share of concealing and signing."""
    issuer = Issuer()
    signer = signer_of(issuer.credential_key)
    jwt = sign_credential(ten_claims(issuer), signer).partition("~")[0]
    return repeat(lambda: SignedJwt.from_compact(jwt, typ=TYP).verified(signer.public_key))


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
    verifier = device(stack, issuer)
    jwt, *disclosures, _ = sign_credential(ten_claims(issuer), signer_of(issuer.credential_key)).split("~")
    expected = Expected(audience="x509_hash:verifier", nonce="a nonce of the request")
    shown = "~".join([jwt, *disclosures[:DISCLOSED], ""])
    text = issuer.present(shown, aud=expected.audience, nonce=expected.nonce)
    return repeat(lambda: verifier.check_presentation(text, expected))
