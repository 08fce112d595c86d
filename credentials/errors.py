"""The error every part of the package descends from."""


class CredentialsError(Exception):
    """Something in `credentials` was refused or failed.

    Attributes:
        code: stable, for programs.
        detail: one sentence for people, without personal data.
    """

    code: str = "credentials_error"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail
