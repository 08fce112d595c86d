"""Answering a verifier: the code is checked, the licence looked up, the code burned, the release noted and signed."""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from presentation.accesslog import Release
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
from presentation.checks.models import (
    CheckRequest,
    Ground,
    LicenceState,
    PatternReport,
    ShownLicence,
    StatusPlaceKey,
    Written,
)
from presentation.checks.ports import CheckRecords, Clock, Marks, ResultSigner, UnitOfWork
from presentation.checks.releasing import Released, release
from presentation.ids import new_id
from presentation.scenes import Scene, SceneUnknown
from presentation.shows import Profile
from presentation.shows.masking import mask_number
from presentation.verifiers import Verifier, VerifierSuspended, VerifierUnknown
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
    """Checks on line.

    Args:
        public_url: `iss` of the results.
    """

    def __init__(
        self,
        *,
        records: CheckRecords,
        database: UnitOfWork,
        trust: LiveTrust,
        signer: ResultSigner,
        marks: Marks,
        clock: Clock,
        public_url: str,
    ) -> None:
        self._records = records
        self._database = database
        self._trust = trust
        self._signer = signer
        self._marks = marks
        self._clock = clock
        self._public_url = public_url

    async def check(self, client_id: str, request: CheckRequest) -> str:
        """Check one code for one verifier: of any number of callers at once with one code, exactly one is answered.

        Returns:
            The signed result (`formats/check_result.py`). It is noted in the holder's log already.

        Raises:
            VerifierUnknown, VerifierSuspended: it is not or no longer registered.
            SceneUnknown, SceneNotAllowed: there is no such scene, or not for this verifier.
            CheckRefused: its children say why. Nothing is used up.
        """
        verdict = await self._verdict(request)
        while True:
            now = self._clock.now()
            place = StatusPlaceKey(verdict.status_uri, verdict.status_idx) if isinstance(verdict, Shown) else None
            ground = await self._records.look_up(client_id, request.scene_id, place, now)
            verifier, scene = _allowed(ground)
            patterns.judge(verifier, ground.refusals, ground.holders)
            if isinstance(verdict, CodeRefused):
                raise verdict
            licence = _valid_licence(ground.licence, verdict, scene)
            released = release(licence, Profile[verdict.profile.name], scene, request.asked)
            check_id = new_id(now)
            result = self._signer.sign(
                result_claims(
                    issuer=self._public_url,
                    client_id=client_id,
                    check_id=check_id,
                    now=now,
                    request=request,
                    scene=scene,
                    licence=licence,
                    released=released,
                    shown_at_s=verdict.made_at_s,
                )
            )
            noted = _noted(check_id, now, verifier, scene, licence, released, request)
            burned = hashlib.sha256(verdict.device_key_x + verdict.cti).digest()
            marks = patterns.number_marks(self._marks, licence)
            match await self._records.write(noted, burned, now + CTI_MEMORY, marks):
                case Written.DONE:
                    return result
                case Written.ALREADY_USED:
                    raise AlreadyUsed
                case Written.SEQUENCE:
                    raise PatternStopped("sequence", "licence numbers one after another are not checked this way")
                case Written.CHANGED:  # between reading and writing: decide anew on what it is now
                    continue

    async def _verdict(self, request: CheckRequest) -> Shown | CodeRefused:
        """What the code itself says; a refusal that a newer trust list may heal is looked at once more."""
        verdict = self._trust.verdict(request.qr_text, request.challenge)
        if isinstance(verdict, CodeRefused) and verdict.code in OUT_OF_DATE:
            async with self._database.snapshot() as session:
                if await self._trust.reload(session):
                    return self._trust.verdict(request.qr_text, request.challenge)
        return verdict

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


def _allowed(ground: Ground) -> tuple[Verifier, Scene]:
    """The verifier and the scene, when the one may check for the other."""
    verifier, scene = ground.verifier, ground.scene
    if verifier is None:
        raise VerifierUnknown("this client is not registered as a verifier")
    if verifier.suspended_at is not None:
        raise VerifierSuspended("this verifier is suspended")
    if scene is None or scene.retired:
        raise SceneUnknown("there is no such scene, or it is retired")
    if not verifier.may_check_for(scene.id):
        raise SceneNotAllowed("this verifier is not registered for this scene")
    return verifier, scene


def _valid_licence(licence: ShownLicence | None, shown: Shown, scene: Scene) -> ShownLicence:
    """The licence that is shown, of a type of the scene and in force now."""
    if shown.type_code not in scene.items:
        detail = "licences of this type are not checked in this scene"
        raise CodeRefused(detail, code="scene_type", outcome=NOT_VALID)
    if licence is None or licence.type_code != shown.type_code:
        detail = "no pass was issued under this status index"
        raise CodeRefused(detail, code="status_index_unknown", outcome=NOT_VALID)
    if licence.state is not LicenceState.VALID:
        code, outcome, detail = _STATES[licence.state]
        raise LicenceNotValid(detail, code=code, outcome=outcome)
    return licence


def _noted(
    check_id: str,
    now: datetime,
    verifier: Verifier,
    scene: Scene,
    licence: ShownLicence,
    released: Released,
    request: CheckRequest,
) -> Release:
    """What the holder's log says of a release."""
    return Release(
        check_id=check_id,
        holder_id=licence.holder_id,
        at=now,
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
