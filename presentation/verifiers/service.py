"""Keeping the register of verifiers."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from presentation.scenes.models import SCENE_ID
from presentation.verifiers import repository
from presentation.verifiers.errors import VerifierInvalid, VerifierSuspended, VerifierUnknown
from presentation.verifiers.models import Registration, Verifier
from presentation.verifiers.ports import Clock

MAX_SCENES = 200  # all that ship are 50
MAX_LIMIT = 100_000  # a minute; above it a limit protects nothing


class Verifiers:
    """The register. Every method works in the caller's session."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def register(self, session: AsyncSession, registration: Registration) -> None:
        """Register a verifier, or replace what is said of it; a suspended one stays suspended.

        Raises:
            VerifierInvalid: a name is empty or cannot be printed, a scene id or a limit is out of form.
        """
        _check(registration)
        await repository.save(session, registration, self._clock.now())

    async def all(self, session: AsyncSession) -> Sequence[Verifier]:
        """All verifiers, suspended ones too."""
        return await repository.every(session)

    async def find(self, session: AsyncSession, client_id: str) -> Verifier:
        """One verifier, suspended or not.

        Raises:
            VerifierUnknown: nobody is registered under this id.
        """
        verifier = await repository.find(session, client_id)
        if verifier is None:
            raise VerifierUnknown("this client is not registered as a verifier")
        return verifier

    async def active(self, session: AsyncSession, client_id: str) -> Verifier:
        """A verifier that may check.

        Raises:
            VerifierUnknown: nobody is registered under this id.
            VerifierSuspended: it is suspended.
        """
        verifier = await self.find(session, client_id)
        if verifier.suspended_at is not None:
            raise VerifierSuspended("this verifier is suspended")
        return verifier

    async def suspend(self, session: AsyncSession, client_id: str) -> None:
        """Refuse a verifier from its next request on.

        Raises:
            VerifierUnknown: nobody is registered under this id.
        """
        _expect(await repository.set_suspended(session, client_id, self._clock.now()))

    async def resume(self, session: AsyncSession, client_id: str) -> None:
        """Let a suspended verifier check again.

        Raises:
            VerifierUnknown: nobody is registered under this id.
        """
        _expect(await repository.set_suspended(session, client_id, None))


def _expect(found: bool) -> None:
    if not found:
        raise VerifierUnknown("no verifier is registered under this client id")


def _check(registration: Registration) -> None:
    for text in (registration.organisation, registration.system_name):
        if not 0 < len(text.strip()) <= len(text) <= 200 or not text.isprintable():
            raise VerifierInvalid("organisation and system have names of 1 to 200 printable characters")
    for limit in (registration.holders_per_minute, registration.refusals_per_10_minutes):
        if not 1 <= limit <= MAX_LIMIT:
            raise VerifierInvalid(f"limits are 1 to {MAX_LIMIT}")
    _check_scenes(registration.scenes)


def _check_scenes(scenes: Sequence[str]) -> None:
    if len(scenes) > MAX_SCENES or len(set(scenes)) < len(scenes):
        raise VerifierInvalid(f"at most {MAX_SCENES} scenes, each once")
    if not all(SCENE_ID.fullmatch(scene) for scene in scenes):
        raise VerifierInvalid("a scene id is 1 to 64 of a-z 0-9 -")
