"""Credential Issuer Metadata (OpenID4VCI 1.0 §12.2), plain and signed."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from credentials.catalogue import Catalogue, LicenceType
from credentials.catalogue.models import LocalisedText
from credentials.issuance.formats.key_proofs import BATCH_SIZE, PROOF_TYPES
from credentials.issuance.formats.message_encryption import ALG, ENC_VALUES
from credentials.issuance.formats.sd_jwt_vc import TYP
from credentials.keys import Signer
from credentials.keys.formats.jws import json_bytes, sign_compact, x5c

SIGNED_TYP = "openidvci-issuer-metadata+jwt"
ISSUER_NAME = LocalisedText("亮证", "Liangzheng")


def issuer_metadata(
    catalogue: Catalogue, issuer: str, request_jwk: Mapping[str, Any], *, attestations_required: bool
) -> dict[str, Any]:
    """The metadata as JSON (§12.2.4).

    Args:
        issuer: the Credential Issuer Identifier.
        request_jwk: the public key to encrypt requests to.
        attestations_required: of keys of every type.
    """
    return {
        "credential_issuer": issuer,
        "credential_endpoint": f"{issuer}/openid4vci/credential",
        "nonce_endpoint": f"{issuer}/openid4vci/nonce",
        "deferred_credential_endpoint": f"{issuer}/openid4vci/deferred-credential",
        "notification_endpoint": f"{issuer}/openid4vci/notification",
        "batch_credential_issuance": {"batch_size": BATCH_SIZE},
        "credential_request_encryption": {
            "jwks": {"keys": [dict(request_jwk)]},
            "enc_values_supported": list(ENC_VALUES),
            "encryption_required": False,
        },
        "credential_response_encryption": {
            "alg_values_supported": [ALG],
            "enc_values_supported": list(ENC_VALUES),
            "encryption_required": False,
        },
        "display": _names(ISSUER_NAME),
        "credential_configurations_supported": {
            kind.code: _configuration(kind, issuer, attestations_required=attestations_required)
            for kind in catalogue.types()
        },
    }


def signed_issuer_metadata(metadata: Mapping[str, Any], signer: Signer, now: datetime) -> str:
    """The same as a compact JWS, whose `sub` is the issuer (§12.2.3)."""
    claims = {**metadata, "sub": metadata["credential_issuer"], "iat": int(now.timestamp())}
    return sign_compact({"typ": SIGNED_TYP, "x5c": x5c(signer)}, json_bytes(claims), signer)


def _configuration(kind: LicenceType, issuer: str, *, attestations_required: bool) -> dict[str, Any]:
    proof: dict[str, Any] = {"proof_signing_alg_values_supported": ["ES256"]}
    if kind.key_attestation is not None:
        proof["key_attestations_required"] = kind.key_attestation.to_object()
    elif attestations_required:
        proof["key_attestations_required"] = {}
    return {
        "format": TYP,
        "vct": kind.vct(issuer),
        "scope": kind.code,
        "cryptographic_binding_methods_supported": ["jwk"],
        "credential_signing_alg_values_supported": ["ES256"],
        "proof_types_supported": dict.fromkeys(PROOF_TYPES, proof),
        "credential_metadata": {"display": _cards(kind), "claims": _claims(kind)},
    }


def _cards(kind: LicenceType) -> list[dict[str, Any]]:
    colours = {"background_color": kind.face.background_color, "text_color": kind.face.text_color}
    return [{**entry, **colours} for entry in _names(kind.name)]


def _claims(kind: LicenceType) -> list[dict[str, Any]]:
    """The claims and, where a claim's elements are disclosed one by one, all its elements (appendix C)."""
    claims = [_claim([claim.name], claim.label, mandatory=True) for claim in kind.common_claims]
    for item in kind.items:
        claims.append(_claim([item.name], item.label, mandatory=item.required))
        if item.elements_disclosable:
            claims.append(_claim([item.name, None], item.label, mandatory=False))
    return claims


def _claim(path: list[str | None], label: LocalisedText, *, mandatory: bool) -> dict[str, Any]:
    return {"path": path, "mandatory": mandatory, "display": _names(label)}


def _names(text: LocalisedText) -> list[dict[str, Any]]:
    return [{"name": text.zh, "locale": "zh-CN"}, {"name": text.en, "locale": "en"}]
