"""The platform's own trust list at hand, to check what holders show with the same code as every inspector's device.

A module beside the vocabulary, because it is state of a process: verified keys and passes seen a moment ago.
"""

from sqlalchemy.ext.asyncio import AsyncSession

from presentation.checks.errors import CodeRefused
from presentation.checks.ports import Clock, TrustList
from verifier_sdk import NotValid, Shown, TrustInHand, Verifier, VerifierError

#: A list published meanwhile may heal these.
OUT_OF_DATE = frozenset({"issuer_unknown", "pass_signature_invalid", "trust_missing", "trust_stale"})


class LiveTrust:
    """Checks live codes against the newest trust list that this process has read."""

    def __init__(self, trust_list: TrustList, clock: Clock) -> None:
        self._trust_list = trust_list
        self._clock = clock
        self._at_hand: tuple[str, tuple[str, ...]] = "", ()
        self._verifier: Verifier | None = None

    async def reload(self, session: AsyncSession) -> bool:
        """Read the newest list; False when it is the one at hand already, under the same anchors."""
        token, anchors_pem = current = await self._trust_list.current(session)
        if current == self._at_hand:
            return False
        self._verifier = Verifier(TrustInHand(token, [pem.encode() for pem in anchors_pem]), clock=self._clock)
        self._at_hand = current
        return True

    def verdict(self, qr_text: str, challenge: bytes | None) -> Shown | CodeRefused:
        """What steps 1 to 10 of FORMAT.md §5 say of a code; a refusal has the verifier SDK's code."""
        if self._verifier is None:
            return CodeRefused("the trust list is not read yet", code="trust_missing", outcome="cannot_tell")
        try:
            return self._verifier.check_shown(qr_text, challenge)
        except VerifierError as error:
            outcome = "not_valid" if isinstance(error, NotValid) else "cannot_tell"
            return CodeRefused(error.meaning.en, code=error.code, outcome=outcome)
