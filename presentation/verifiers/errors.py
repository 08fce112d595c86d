"""Errors of verifiers."""

from presentation.errors import PresentationError


class VerifierUnknown(PresentationError):
    """No verifier is registered under this client id."""

    code = "verifier_unknown"


class VerifierSuspended(PresentationError):
    """The verifier is suspended: nothing is checked for it."""

    code = "verifier_suspended"


class VerifierInvalid(PresentationError):
    """A registration is out of form."""

    code = "verifier_invalid"
