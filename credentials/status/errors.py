"""What can go wrong with status lists."""

from credentials.errors import CredentialsError


class StatusError(CredentialsError):
    """The base of this folder's errors."""

    code = "status_error"


class InvalidAllocation(StatusError):
    """A number of indexes was asked for that no list holds."""

    code = "status_allocation_invalid"


class UnknownStatusList(StatusError):
    """There is no such status list, or it was not published yet."""

    code = "status_list_unknown"


class StatusListRetired(StatusError):
    """The list is over: every credential that pointed to it had ended before it was taken away."""

    code = "status_list_retired"


class UnknownStatusIndex(StatusError):
    """An index lies outside its list."""

    code = "status_index_unknown"


class StatusIsFinal(StatusError):
    """INVALID is final: what was revoked neither comes back nor is suspended."""

    code = "status_final"


class InvalidStatusList(StatusError):
    """A list cannot be encoded with these bits, size or entries."""

    code = "status_list_invalid"
