"""Issuance over OpenID4VCI 1.0: credential offers, key proofs, SD-JWT VCs, and the record of what was issued.

offer = await issuance.offer_licence(session, licence.id)      # offer.tx_code is for the holder's ears only
grant = await issuance.redeem(session, offer.pre_authorized_code, offer.tx_code)
sd_jwt_vc = await issuance.issue(session, grant, credential_request_body)
"""

from credentials.issuance.errors import (
    CredentialRequestRefused,
    GrantRefused,
    NotIssuable,
    OfferUnknown,
    SelfCheckFailed,
)
from credentials.issuance.formats.openid4vci import PRE_AUTHORIZED_CODE, PROOF_TYP
from credentials.issuance.models import CredentialOffer, IssuanceGrant, IssuedToken
from credentials.issuance.service import Issuance

__all__ = [
    "PRE_AUTHORIZED_CODE",
    "PROOF_TYP",
    "CredentialOffer",
    "CredentialRequestRefused",
    "GrantRefused",
    "Issuance",
    "IssuanceGrant",
    "IssuedToken",
    "NotIssuable",
    "OfferUnknown",
    "SelfCheckFailed",
]
