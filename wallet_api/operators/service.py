"""The steps, and the notes of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Table, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from credentials.keys.formats.jwk import PublicJwk
from credentials.registry import EndReport, HolderEnd, HolderEnds, RowError
from credentials.registry.ports import Clock, UnitOfWork
from notifications import ReminderSwitches
from notifications.reminders.switches import read_reason
from presentation.scenes import Scene, SceneDraft, Scenes
from presentation.verifiers import Registration, Verifiers, VerifierUnknown
from wallet_api.oauth import REGISTER_SCOPE, VERIFIER_SCOPE, AuthorizationServer
from wallet_api.operators.tables import OperatorActionRow

COMMAND_LINE = "(command line)"  # no client id has parentheses

_ACTION: Table = OperatorActionRow.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Action:
    """A step that was taken: who, what, on which verifier, register, scene or licence type, and why if they said so."""

    id: int
    at: datetime
    operator: str
    action: str
    subject: str
    reason: str | None


class Operators:
    """Every step works in the caller's transaction."""

    def __init__(
        self,
        verifiers: Verifiers,
        scenes: Scenes,
        oauth: AuthorizationServer,
        reminders: ReminderSwitches,
        holder_ends: HolderEnds,
        clock: Clock,
    ) -> None:
        self._verifiers = verifiers
        self._scenes = scenes
        self._oauth = oauth
        self._reminders = reminders
        self._holder_ends = holder_ends
        self._clock = clock

    async def register(
        self, session: AsyncSession, registration: Registration, key: PublicJwk | None, *, by: str = COMMAND_LINE
    ) -> bool:
        """Register a verifier, or replace what is said of it; gives whether it is new.

        Args:
            key: its public key; None leaves the one it has.

        Raises:
            VerifierInvalid: a name or limit is out of form.
            VerifierUnknown: it is new and brings no key.
            SceneUnknown: it names a scene that is not there or retired.
            OAuthError: `invalid_client_metadata` when the id is out of form, or another kind of client has it.
        """
        for scene in registration.scenes:
            await self._scenes.current(session, scene)
        try:
            await self._verifiers.find(session, registration.client_id)
            is_new = False
        except VerifierUnknown:
            if key is None:
                raise
            is_new = True
        if key is not None:
            await self._oauth.register_client(
                session, registration.client_id, registration.system_name, (), key, VERIFIER_SCOPE
            )
        await self._verifiers.register(session, registration)
        step = "verifier_registered" if is_new else "verifier_changed" if key is None else "verifier_key_replaced"
        await self._note(session, by, step, registration.client_id)
        return is_new

    async def suspend(
        self, session: AsyncSession, client_id: str, *, by: str = COMMAND_LINE, reason: str | None = None
    ) -> None:
        """Refuse a verifier from its next request on; VerifierUnknown when there is none."""
        await self._verifiers.suspend(session, client_id)
        await self._note(session, by, "verifier_suspended", client_id, reason)

    async def resume(
        self, session: AsyncSession, client_id: str, *, by: str = COMMAND_LINE, reason: str | None = None
    ) -> None:
        """Let a suspended verifier check again; VerifierUnknown when there is none."""
        await self._verifiers.resume(session, client_id)
        await self._note(session, by, "verifier_resumed", client_id, reason)

    async def put_scene(
        self, session: AsyncSession, draft: SceneDraft, replaces: int | None = None, *, by: str = COMMAND_LINE
    ) -> Scene:
        """See `Scenes.put`; nothing is noted when nothing changes."""
        before = {scene.id: scene.version for scene in await self._scenes.every(session)}
        scene = await self._scenes.put(session, draft, replaces)
        if before.get(scene.id) != scene.version:
            await self._note(session, by, "scene_put", f"{scene.id[:50]} {scene.version}")
        return scene

    async def retire_scene(
        self, session: AsyncSession, scene_id: str, *, by: str = COMMAND_LINE, reason: str | None = None
    ) -> None:
        """See `Scenes.retire`."""
        await self._scenes.retire(session, scene_id)
        await self._note(session, by, "scene_retired", scene_id, reason)

    async def switch_reminders_off(
        self, session: AsyncSession, type_code: str, reason: str, *, by: str = COMMAND_LINE
    ) -> None:
        """See `ReminderSwitches.switch_off`. That the type is there is for the caller to know."""
        await self._reminders.switch_off(session, type_code, reason)
        await self._note(session, by, "reminders_switched_off", type_code, read_reason(reason))

    async def switch_reminders_on(
        self, session: AsyncSession, type_code: str, *, by: str = COMMAND_LINE, reason: str | None = None
    ) -> bool:
        """See `ReminderSwitches.switch_on` and `read_reason`; nothing is noted when they were on."""
        said = read_reason(reason) if reason else None
        were_off = await self._reminders.switch_on(session, type_code)
        if were_off:
            await self._note(session, by, "reminders_switched_on", type_code, said)
        return were_off

    async def admit_register(
        self, session: AsyncSession, client_id: str, name: str, key: PublicJwk, *, by: str = COMMAND_LINE
    ) -> None:
        """Let a register of persons or organisations report ends of holders, or replace its name and key.

        Raises:
            OAuthError: `invalid_client_metadata` when the id is out of form, or another kind of client has it.
        """
        await self._oauth.register_client(session, client_id, name, (), key, REGISTER_SCOPE)
        await self._note(session, by, "register_admitted", client_id)

    async def set_register_active(
        self, session: AsyncSession, client_id: str, *, active: bool, by: str = COMMAND_LINE
    ) -> bool:
        """Let a register report, or refuse it from its next request on; False when there is none."""
        found = await self._oauth.set_client_active(session, client_id, REGISTER_SCOPE, active=active)
        if found:
            await self._note(session, by, "register_resumed" if active else "register_suspended", client_id)
        return found

    async def report_holder_ends(
        self, uow: UnitOfWork, register: str, rows: Sequence[HolderEnd | RowError], *, by: str = COMMAND_LINE
    ) -> EndReport:
        """See `HolderEnds.take_all`; what changed something is noted, in numbers, with the register as its subject."""

        async def note(session: AsyncSession, report: EndReport) -> None:
            numbers = ", ".join(f"{outcome} {count}" for outcome, count in report.counts.items() if count)
            await self._note(session, by, "holder_ends_reported", register, numbers)

        return await self._holder_ends.take_all(uow, register, rows, note)

    async def actions(self, session: AsyncSession, before: int | None, limit: int) -> Sequence[Action]:
        """What was done, the newest first, from below the id `before`."""
        statement = select(_ACTION).order_by(_ACTION.c.id.desc()).limit(limit)
        if before is not None:
            statement = statement.where(_ACTION.c.id < before)
        return [
            Action(row.id, row.at, row.operator, row.action, row.subject, row.reason)
            for row in await session.execute(statement)
        ]

    async def _note(
        self, session: AsyncSession, operator: str, action: str, subject: str, reason: str | None = None
    ) -> None:
        values = {"operator": operator, "action": action, "subject": subject, "reason": reason}
        await session.execute(insert(_ACTION).values(at=self._clock.now(), **values))
