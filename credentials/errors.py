"""The one base of what `credentials` raises."""


class CredentialsError(Exception):
    """Anything this package refuses.

    Attributes:
        code: stable, for programs; documented and never reused for something else.
        detail: one sentence for people, without personal data.
    """

    code: str = "credentials_error"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail
