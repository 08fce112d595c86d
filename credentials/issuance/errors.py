"""Errors of issuance. Those of the standard endpoints carry the standard's own code (OpenID4VCI 1.0 §6.3, §8.3.1)."""

from credentials.errors import CredentialsError


class OfferUnknown(CredentialsError):
    """No such credential offer, or it is over."""

    code = "offer_not_found"


class NotIssuable(CredentialsError):
    """The licence is not in force, so no credential can be offered for it."""

    code = "licence_not_in_force"


class ReleaseUnknown(CredentialsError):
    """Nothing of the department's own waits under this id."""

    code = "release_not_found"


class ReleaseDecided(CredentialsError):
    """It was released or denied before."""

    code = "release_decided"


class GrantRefused(CredentialsError):
    """A pre-authorized code cannot be redeemed.

    Attributes:
        code: `invalid_request` or `invalid_grant`.
    """

    def __init__(self, code: str, detail: str) -> None:
        self.code = code
        super().__init__(detail)


class CredentialRequestRefused(CredentialsError):
    """A request of the credential, deferred or notification endpoint is refused.

    Attributes:
        code: one of OpenID4VCI 1.0 §8.3.1.2, §9.3 and §11.3, e.g. `invalid_proof`, `invalid_nonce`.
    """

    def __init__(self, code: str, detail: str) -> None:
        self.code = code
        super().__init__(detail)


class SelfCheckFailed(CredentialsError):
    """What was signed does not verify under the certificate it names; it was not released."""

    code = "self_check_failed"
