"""Issuance over OpenID4VCI 1.0: credential offers, key proofs, SD-JWT VCs, and the record of what was issued.

offer = await issuance.offer_licence(session, licence.id)      # offer.tx_code is for the holder's ears only
grant = await issuance.redeem(session, offer.pre_authorized_code, offer.tx_code)
response = await issuer.issue(session, grant, WireMessage(credential_request_body, encrypted=False))
"""

from credentials.issuance.content import licence_claims
from credentials.issuance.errors import (
    CredentialRequestRefused,
    GrantRefused,
    NotIssuable,
    OfferUnknown,
    ReleaseDecided,
    ReleaseUnknown,
    SelfCheckFailed,
)
from credentials.issuance.formats.credential_offer import AUTHORIZATION_CODE, PRE_AUTHORIZED_CODE
from credentials.issuance.formats.credential_response import response_object
from credentials.issuance.formats.issuer_metadata import issuer_metadata, signed_issuer_metadata
from credentials.issuance.formats.key_proofs import PROOF_TYP
from credentials.issuance.issuing import AttestationPolicy, CredentialIssuer
from credentials.issuance.models import (
    CredentialOffer,
    CredentialResponse,
    HeldLicence,
    IssuanceGrant,
    IssuedToken,
    OfferNotice,
    OfferProgress,
    OfferState,
    WaitingRelease,
    WireMessage,
)
from credentials.issuance.releases import Releases
from credentials.issuance.request_keys import RequestKeys
from credentials.issuance.service import Issuance

__all__ = [
    "AUTHORIZATION_CODE",
    "PRE_AUTHORIZED_CODE",
    "PROOF_TYP",
    "AttestationPolicy",
    "CredentialIssuer",
    "CredentialOffer",
    "CredentialRequestRefused",
    "CredentialResponse",
    "GrantRefused",
    "HeldLicence",
    "Issuance",
    "IssuanceGrant",
    "IssuedToken",
    "NotIssuable",
    "OfferNotice",
    "OfferProgress",
    "OfferState",
    "OfferUnknown",
    "ReleaseDecided",
    "ReleaseUnknown",
    "Releases",
    "RequestKeys",
    "SelfCheckFailed",
    "WaitingRelease",
    "WireMessage",
    "issuer_metadata",
    "licence_claims",
    "response_object",
    "signed_issuer_metadata",
]
