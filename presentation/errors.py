"""The base of every error that the `presentation` package raises."""


class PresentationError(Exception):
    """Something was asked of `presentation` that it refuses.

    Attributes:
        code: stable, machine-readable; part of the public contract.
        detail: one sentence for a person, without personal data.
    """

    code: str = "presentation_error"

    def __init__(self, detail: str) -> None:
        self.detail = detail
        super().__init__(detail)
