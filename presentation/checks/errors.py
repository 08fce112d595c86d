"""Why a check is refused. Every refusal leaves the code unused: nothing was released."""

from presentation.errors import PresentationError

NOT_VALID, CANNOT_TELL = "not_valid", "cannot_tell"


class CheckRefused(PresentationError):
    """A check ends without a release.

    Attributes:
        outcome: `not_valid` or `cannot_tell`, as the verifier SDK tells them apart; None where the refusal is about the
            verifier and says nothing of what was shown.
    """

    code = "check_refused"

    def __init__(self, detail: str, *, code: str | None = None, outcome: str | None = None) -> None:
        super().__init__(detail)
        self.code = code or type(self).code
        self.outcome = outcome


class CodeRefused(CheckRefused):
    """The code does not hold; `code` is the verifier SDK's."""


class LicenceNotValid(CheckRefused):
    """The code holds, the licence does not: `revoked`, `suspended`, `lapsed`, or `state_unknown` (cannot tell)."""


class AlreadyUsed(CheckRefused):
    """The code was checked before."""

    code = "already_used"

    def __init__(self) -> None:
        super().__init__("this code was checked before; ask for a fresh one", outcome=NOT_VALID)


class SceneNotAllowed(CheckRefused):
    """The verifier is not registered for this scene."""

    code = "scene_not_allowed"


class PatternStopped(CheckRefused):
    """The verifier's checks look like something else than checking: `too_many_refusals` or `pattern_stopped`.

    Attributes:
        kind: `refusals`, `holders` or `sequence`, for the operators' report.
    """

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(detail, code="too_many_refusals" if kind == "refusals" else "pattern_stopped")
        self.kind = kind
