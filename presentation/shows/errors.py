"""Errors of showing."""

from presentation.errors import PresentationError


class NotShowable(PresentationError):
    """The licence is not in force, so there is no pass for it."""

    code = "licence_not_in_force"


class DeviceKeyUnknown(PresentationError):
    """No credential of this licence was issued to this key."""

    code = "device_key_unknown"


class PassRequestInvalid(PresentationError):
    """The request for passes is out of form."""

    code = "pass_request_invalid"
