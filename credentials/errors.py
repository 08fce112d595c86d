"""The base of every error that the `credentials` package raises."""


class CredentialsError(Exception):
    """Something was asked of `credentials` that it refuses.

    Attributes:
        code: stable, machine-readable; part of the public contract.
        detail: one sentence for a person, without personal data.
    """

    code: str = "credentials_error"

    def __init__(self, detail: str) -> None:
        self.detail = detail
        super().__init__(detail)
