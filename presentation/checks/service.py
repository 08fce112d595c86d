"""Answering a verifier: the code is checked, the licence looked up, the code burned, the release noted and signed."""

import hashlib
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from presentation.accesslog import AccessLog, Release
from presentation.checks import patterns, repository
from presentation.checks.errors import (
    CANNOT_TELL,
    NOT_VALID,
    AlreadyUsed,
    CheckRefused,
    CodeRefused,
    LicenceNotValid,
    PatternStopped,
    SceneNotAllowed,
)
from presentation.checks.formats.check_result import result_claims
from presentation.checks.live_trust import OUT_OF_DATE, LiveTrust
from presentation.checks.models import CheckRequest, LicenceState, PatternReport, ShownLicence, StatusPlaceKey
from presentation.checks.ports import Clock, Licences, Marks, OneTimeValues, ResultSigner
from presentation.checks.releasing import Released, release
from presentation.ids import new_id
from presentation.scenes import Scene, Scenes
from presentation.shows import Profile
from presentation.shows.masking import mask_number
from presentation.verifiers import Verifier, Verifiers
from verifier_sdk import Shown

CTI_MEMORY = timedelta(seconds=180)  # a code is accepted for 60 s and twice the skew of 30 s; then its age refuses it

_STATES = {
    LicenceState.SUSPENDED: ("suspended", NOT_VALID, "the licence is suspended"),
    LicenceState.REVOKED: ("revoked", NOT_VALID, "the licence is revoked or cancelled"),
    LicenceState.LAPSED: ("lapsed", NOT_VALID, "the licence is over, or replaced by a newer one"),
    LicenceState.UNKNOWN: (
        "state_unknown",
        CANNOT_TELL,
        "the licence's state says neither; ask the authority",
    ),
}


class Checks:
    """Checks on line. Every method works in the caller's session.

    Args:
        public_url: `iss` of the results.
    """

    def __init__(
        self,
        *,
        verifiers: Verifiers,
        scenes: Scenes,
        licences: Licences,
        access_log: AccessLog,
        trust: LiveTrust,
        one_time: OneTimeValues,
        signer: ResultSigner,
        marks: Marks,
        clock: Clock,
        public_url: str,
    ) -> None:
        self._verifiers = verifiers
        self._scenes = scenes
        self._licences = licences
        self._access_log = access_log
        self._trust = trust
        self._one_time = one_time
        self._signer = signer
        self._marks = marks
        self._clock = clock
        self._public_url = public_url

    def verdict(self, request: CheckRequest) -> Shown | CodeRefused:
        """What the code itself says, before anything is asked of the database."""
        try:
            return self._trust.check_shown(request.qr_text, request.challenge)
        except CodeRefused as refusal:
            return refusal

    async def check(
        self, session: AsyncSession, client_id: str, request: CheckRequest, verdict: Shown | CodeRefused
    ) -> str:
        """Check one code for one verifier: of any number of callers at once with one code, exactly one is answered.

        Args:
            verdict: of `verdict(request)`, a moment ago.

        Returns:
            The signed result (`formats/check_result.py`); it may leave when the caller has committed.

        Raises:
            VerifierUnknown, VerifierSuspended: it is not or no longer registered.
            SceneUnknown, SceneNotAllowed: there is no such scene, or not for this verifier.
            CheckRefused: its children say why. Roll back: nothing is used up.
        """
        now = self._clock.now()
        verifier = await self._verifiers.active(session, client_id)
        scene = await self._scenes.current(session, request.scene_id)
        if not verifier.may_check_for(scene.id):
            raise SceneNotAllowed("this verifier is not registered for this scene")
        await patterns.expect_usual(session, verifier, now)
        shown = await self._expect_shown(session, request, verdict)
        licence = await self._expect_licence(session, shown, scene)
        profile = Profile[shown.profile.name]
        released = release(licence, profile, scene, request.asked)
        burned = hashlib.sha256(shown.device_key_x + shown.cti).hexdigest()
        if not await self._one_time.burn(session, "live_code", burned, now + CTI_MEMORY):
            raise AlreadyUsed
        check_id = new_id(now)
        await patterns.trace_release(session, self._marks, verifier, licence, now)
        await self._access_log.append(session, self._release(check_id, verifier, scene, licence, released, request))
        return self._signer.sign(
            result_claims(
                issuer=self._public_url,
                client_id=client_id,
                check_id=check_id,
                now=now,
                request=request,
                scene=scene,
                licence=licence,
                released=released,
                shown_at_s=shown.made_at_s,
            )
        )

    async def note_refusal(self, session: AsyncSession, client_id: str, refusal: CheckRefused) -> bool:
        """Count a refused check in a transaction of its own; a stopped pattern is reported instead.

        Returns:
            True when a report was begun, which is worth a line in the log.
        """
        now = self._clock.now()
        if isinstance(refusal, PatternStopped):
            return await repository.report(session, client_id, refusal.kind, patterns.report_window(now), now)
        await repository.trace_refusals(session, client_id, now, [refusal.code])
        return False

    async def reports(self, session: AsyncSession, limit: int = 100) -> Sequence[PatternReport]:
        """The newest reports of stopped patterns."""
        return await repository.reports(session, limit)

    async def prune(self, session: AsyncSession) -> None:
        """Forget traces that no pattern looks at any more."""
        await repository.prune(session, self._clock.now() - patterns.KEPT)

    async def _expect_shown(self, session: AsyncSession, request: CheckRequest, verdict: Shown | CodeRefused) -> Shown:
        """What is shown; a refusal that a newer trust list may heal is looked at once more."""
        if isinstance(verdict, CodeRefused) and verdict.code in OUT_OF_DATE and await self._trust.reload(session):
            verdict = self.verdict(request)
        if isinstance(verdict, CodeRefused):
            raise verdict
        return verdict

    async def _expect_licence(self, session: AsyncSession, shown: Shown, scene: Scene) -> ShownLicence:
        """The licence that is shown, of a type of the scene and in force now."""
        if shown.type_code not in scene.items:
            detail = "licences of this type are not checked in this scene"
            raise CodeRefused(detail, code="scene_type", outcome=NOT_VALID)
        place = StatusPlaceKey(shown.status_uri, shown.status_idx)
        licence = (await self._licences.shown(session, [place])).get(place)
        if licence is None or licence.type_code != shown.type_code:
            detail = "no pass was issued under this status index"
            raise CodeRefused(detail, code="status_index_unknown", outcome=NOT_VALID)
        if licence.state is not LicenceState.VALID:
            code, outcome, detail = _STATES[licence.state]
            raise LicenceNotValid(detail, code=code, outcome=outcome)
        return licence

    def _release(
        self,
        check_id: str,
        verifier: Verifier,
        scene: Scene,
        licence: ShownLicence,
        released: Released,
        request: CheckRequest,
    ) -> Release:
        return Release(
            check_id=check_id,
            holder_id=licence.holder_id,
            at=self._clock.now(),
            client_id=verifier.client_id,
            organisation=verifier.organisation,
            system_name=verifier.system_name,
            licence_id=licence.licence_id,
            type_code=licence.type_code,
            type_version=licence.type_version,
            number_masked=mask_number(licence.number),
            items=released.names(),
            scene_id=scene.id,
            scene_version=scene.version,
            offline=False,
            reason=request.reason,
            operator=request.operator,
        )
