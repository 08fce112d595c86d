"""Taking in what verifiers checked without a network: each entry once, and into the holder's access log (lesson 32)."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from presentation.accesslog import AccessLog, Release
from presentation.checks import patterns, repository
from presentation.checks.formats.journal import Journal
from presentation.checks.models import EntryOutcome, JournalEntry, ShownLicence, StatusPlaceKey
from presentation.checks.ports import Clock, Licences
from presentation.checks.releasing import ALWAYS, profile_items
from presentation.scenes import Scene, Scenes
from presentation.shows import Profile
from presentation.shows.masking import mask_number
from presentation.verifiers import Verifier, Verifiers

PASS_UNKNOWN = "pass_unknown"  # noqa: S105  (the one rejection that guessing status indexes gives)
AHEAD = timedelta(minutes=5)  # an inspector's clock may be off; the SDK notices more
OLDEST = timedelta(days=60)  # longer than any device stays without a network: its trust list ends after seven days
CODE_SPAN = timedelta(seconds=120)  # how far outside its pass's life a code may pass, both skews counted


class Journals:
    """Takes in offline checks. Works in the caller's session."""

    def __init__(
        self, *, verifiers: Verifiers, scenes: Scenes, licences: Licences, access_log: AccessLog, clock: Clock
    ) -> None:
        self._verifiers = verifiers
        self._scenes = scenes
        self._licences = licences
        self._access_log = access_log
        self._clock = clock

    async def take(self, session: AsyncSession, client_id: str, journal: Journal) -> Sequence[EntryOutcome]:
        """Judge entry by entry; the outcomes stand in the order of the upload and nothing is dropped.

        An entry counts once for (verifier, id): sent again it is *unchanged*, with other content it is rejected. One
        that ended *valid* becomes a row of its holder's access log, marked offline.

        Raises:
            VerifierUnknown, VerifierSuspended: it is not or no longer registered.
            PatternStopped: too many of its checks were refused, or entries named passes that do not exist.
        """
        now = self._clock.now()
        verifier = await self._verifiers.active(session, client_id)
        await patterns.expect_usual(session, verifier, now)
        formed = [entry for entry in journal.entries if isinstance(entry, JournalEntry)]
        known = await repository.known_entries(session, client_id, [entry.id for entry in formed])
        licences = await self._licences.shown(session, sorted({entry.place for entry in formed}, key=_place))
        scenes = {scene.id: scene for scene in await self._scenes.all(session)}
        outcomes = {each.id: each for each in journal.entries if isinstance(each, EntryOutcome)}
        for entry in formed:
            outcomes[entry.id] = _judged(entry, known, licences, scenes, verifier, now)
        fresh = [entry for entry in formed if outcomes[entry.id].outcome == "accepted"]
        taken = await repository.take_entries(session, client_id, journal.device, fresh, now)
        for entry in fresh:
            if entry.id not in taken:  # the same upload came in twice at once
                outcomes[entry.id] = EntryOutcome(entry.id, "unchanged")
        releases = [
            _release(entry, licences[entry.place], scenes.get(entry.scene_id or ""), verifier)
            for entry in fresh
            if entry.id in taken and entry.outcome == "valid"
        ]
        for release in sorted(releases, key=lambda release: (release.holder_id, release.at)):  # one lock order
            await self._access_log.append(session, release)
        guessed = [each.code for each in outcomes.values() if each.code == PASS_UNKNOWN]
        await repository.trace_refusals(session, client_id, now, guessed)
        return [outcomes[each.id] for each in journal.entries]


def _judged(
    entry: JournalEntry,
    known: Mapping[str, bytes],
    licences: Mapping[StatusPlaceKey, ShownLicence],
    scenes: Mapping[str, Scene],
    verifier: Verifier,
    now: datetime,
) -> EntryOutcome:
    if entry.id in known:
        same = known[entry.id] == entry.digest
        return EntryOutcome(entry.id, "unchanged") if same else EntryOutcome(entry.id, "rejected", "id_reused")
    code = _objection(entry, licences.get(entry.place), scenes, verifier, now)
    return EntryOutcome(entry.id, "rejected", code) if code else EntryOutcome(entry.id, "accepted")


def _objection(
    entry: JournalEntry,
    licence: ShownLicence | None,
    scenes: Mapping[str, Scene],
    verifier: Verifier,
    now: datetime,
) -> str | None:
    """Why an entry is not believed, or None. What was shown cannot be proven any more; the impossible is refused."""
    if entry.checked_at > now + AHEAD:
        return "checked_in_the_future"
    if entry.checked_at < now - OLDEST:
        return "too_old"
    if entry.scene_id is not None and entry.scene_id not in scenes:
        return "scene_unknown"
    if entry.scene_id is not None and not verifier.may_check_for(entry.scene_id):
        return "scene_not_allowed"
    if entry.outcome != "valid":
        return None
    if licence is None:
        return PASS_UNKNOWN
    if not licence.issued_at - CODE_SPAN <= entry.checked_at <= licence.expires_at + CODE_SPAN:
        return "outside_pass"
    if entry.scene_id is not None and licence.type_code not in scenes[entry.scene_id].items:
        return "scene_type"
    return None


def _release(entry: JournalEntry, licence: ShownLicence, scene: Scene | None, verifier: Verifier) -> Release:
    """What a device saw: all that the pass's profile shows."""
    shown = [name for name in profile_items(licence, licence.profile or Profile.MINIMAL) if name != ALWAYS]
    return Release(
        check_id=entry.id,
        holder_id=licence.holder_id,
        at=entry.checked_at,
        client_id=verifier.client_id,
        organisation=verifier.organisation,
        system_name=verifier.system_name,
        licence_id=licence.licence_id,
        type_code=licence.type_code,
        type_version=licence.type_version,
        number_masked=mask_number(licence.number),
        items=[*shown, ALWAYS],
        scene_id=scene.id if scene else None,
        scene_version=scene.version if scene else None,
        offline=True,
    )


def _place(place: StatusPlaceKey) -> tuple[str, int]:
    return place.uri, place.idx
