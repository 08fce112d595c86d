"""Errors of the authorization server and of access to what it protects, as their standards write them."""


class OAuthError(Exception):
    """An error answer of the token endpoint (RFC 6749 §5.2).

    Attributes:
        error: the standard's code.
        description: printable ASCII without quotes or backslashes.
    """

    def __init__(self, error: str, description: str) -> None:
        self.error = error
        self.description = description
        super().__init__(f"{error}: {description}")


class AccessRefused(Exception):
    """A request to a protected resource is refused (RFC 6750 §3, RFC 9449 §7.1).

    Attributes:
        scheme: `Bearer` or `DPoP`, for the challenge.
        error: None when no token was sent at all.
    """

    def __init__(self, scheme: str, error: str | None, description: str = "") -> None:
        self.scheme = scheme
        self.error = error
        self.description = description
        super().__init__(f"{error}: {description}")

    @property
    def status(self) -> int:
        """403 for a token that is good but not for this, 400 for a request out of form, else 401 (RFC 6750 §3.1)."""
        return {"insufficient_scope": 403, "invalid_request": 400}.get(self.error or "", 401)

    @property
    def challenge(self) -> str:
        """The value of `WWW-Authenticate`."""
        parts = []
        if self.error is not None:
            parts = [f'error="{self.error}"', f'error_description="{self.description}"']
        if self.scheme == "DPoP":
            parts.append('algs="ES256"')
        return f"{self.scheme} {', '.join(parts)}".strip()


class SignInRefused(Exception):
    """A step of a holder's sign-in cannot be taken; the person is told so on a page, and nobody is redirected.

    Attributes:
        code: `request_missing`, `request_unknown` (unknown, over, decided or in another browser), `sign_in_unknown` (an
            answer of the provider that nobody here waits for), `sign_in_failed` (the provider signed nobody in),
            `provider_away` (it does not answer), `nothing_to_grant`, `form_stale`, or `sign_in_unavailable`.
    """

    def __init__(self, code: str, *, request_id: str | None = None) -> None:
        self.code = code
        self.request_id = request_id
        super().__init__(code)
