"""What the settings ask of wallets, and whose attestations they trust."""

from pathlib import Path

from cryptography import x509

from credentials.keys.formats.jwk import KeyMalformed, PublicJwk
from credentials.keys.formats.signed_jwt import JsonMalformed, json_object
from wallet_api.oauth.client_attestation import Attesters
from wallet_api.oauth.models import WalletPolicy
from wallet_api.settings import Settings


def wallet_policy(settings: Settings) -> WalletPolicy:
    """The policy of a deployment.

    Raises:
        KeyMalformed: a file of attesters is missing or out of form.
    """
    return WalletPolicy(
        attesters=Attesters(_anchors(settings.wallet_attester_anchors), _keys(settings.wallet_attester_keys)),
        dpop_nonce_required=settings.dpop_nonce_required,
        attestation_required=settings.wallet_attestation_required,
        challenge_required=settings.wallet_challenge_required,
        app_schemes=settings.app_schemes,
    )


def _anchors(path: Path | None) -> tuple[x509.Certificate, ...]:
    if path is None:
        return ()
    try:
        return tuple(x509.load_pem_x509_certificates(path.read_bytes()))
    except (OSError, ValueError) as error:
        raise KeyMalformed(f"WALLET_ATTESTER_ANCHORS: {path} is no file of PEM certificates") from error


def _keys(path: Path | None) -> tuple[PublicJwk, ...]:
    if path is None:
        return ()
    try:
        keys = json_object(path.read_bytes()).get("keys")
    except (OSError, JsonMalformed) as error:
        raise KeyMalformed(f"WALLET_ATTESTER_KEYS: {path} is no JWK Set") from error
    if not isinstance(keys, list) or not keys:
        raise KeyMalformed(f"WALLET_ATTESTER_KEYS: {path} is no JWK Set with keys")
    return tuple(map(PublicJwk.from_object, keys))
