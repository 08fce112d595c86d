"""Errors of the registry. A row's error is a verdict on that row only; the others go on."""

from credentials.errors import CredentialsError


class RowError(CredentialsError):
    """One intake row is refused.

    Attributes:
        field: the member of the row that is at fault, or "" for the row as a whole.
    """

    def __init__(self, code: str, field: str, detail: str) -> None:
        self.code = code
        self.field = field
        super().__init__(detail)


class FileError(CredentialsError):
    """A file as a whole cannot be taken: its header says nothing that rows could be read by."""

    code = "header_invalid"


class IdentifierError(CredentialsError):
    """Not an identifier in the form of GB/T 36904."""

    code = "identifier_malformed"


class UnknownLicence(CredentialsError):
    """No such licence, or not one the asker may know of."""

    code = "licence_not_found"


class UnknownHolder(CredentialsError):
    """The store holds nobody by this reference."""

    code = "holder_not_found"


class UnknownBatch(CredentialsError):
    """No such intake batch, or not one the asker may know of."""

    code = "batch_not_found"


class IntakeConflict(CredentialsError):
    """Another writer kept taking the same records; nothing of this chunk was written."""

    code = "intake_conflict"


class Overtaken(Exception):
    """Another writer moved what a transaction was about to move; look again and repeat it. Never leaves the package."""
