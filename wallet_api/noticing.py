"""What holders are told besides reminders: news of their licences, showings of them, and codes for a transaction.

News and showings are found by the worker, so that neither intake nor a check waits for them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from credentials.catalogue import Catalogue, UnknownType
from credentials.errors import CredentialsError
from credentials.issuance import CredentialOffer
from credentials.registry import SHANGHAI, CertState, Licence, LicenceEvent, OperateType, Registry
from credentials.registry.ports import Clock
from notifications import Bilingual, Notice, Outbox, Preferences
from notifications.preferences import CODE, NEWS, SHOWN
from presentation.accesslog import AccessLog

CONSUMER = "notices"
NEWS_FOR = timedelta(days=2)  # what happened longer ago is no news: a worker that was down, a store taken over
GRANTED_WITHIN = timedelta(days=7)  # a licence granted longer ago and stored only now is history, not news
LOOK_BACK = timedelta(minutes=15)  # far more than the time between two runs; the access log itself forgets nothing

_TOLD = {
    OperateType.ISSUE: Bilingual("已签发，可在钱包中领取", "was granted: fetch it with your wallet"),
    OperateType.RENEW: Bilingual("已延续，请在钱包中领取新证", "was renewed: fetch the new one with your wallet"),
    OperateType.CHANGE: Bilingual("内容已变更，请在钱包中更新", "was changed: fetch it again with your wallet"),
    OperateType.TRANSFER_IN: Bilingual("已转入，可在钱包中领取", "was transferred in: fetch it with your wallet"),
    OperateType.SUSPEND: Bilingual("已被暂扣，暂时不能使用", "was suspended: it cannot be used for now"),
    OperateType.RESUME: Bilingual("已发还，可以继续使用", "was given back: it can be used again"),
}
_ENDED = {
    CertState.WITHDRAWN: Bilingual("已被撤销", "was withdrawn"),
    CertState.CANCELLED: Bilingual("已注销", "was cancelled"),
    CertState.REVOKED: Bilingual("已被吊销", "was revoked"),
}
_ENDED_OTHERWISE = Bilingual("已终止", "has ended")
_NEW_VERSION = frozenset({OperateType.RENEW, OperateType.CHANGE, OperateType.TRANSFER_IN})
_ASK = Bilingual("如有疑问，请联系发证机关。", "If you have questions, ask the issuing authority.")
_SHOWN = Bilingual(
    "您的证照刚刚被查验。何时、由谁、用于什么，见钱包中的用证记录。",
    "A licence of yours was checked. When, by whom and what for: see the access log in your wallet.",
)


class NoPhone(CredentialsError):
    """A code should go to a phone that the store does not know."""

    code = "no_phone"


class SmsUnavailable(CredentialsError):
    """A code should go by SMS from a platform that sends none."""

    code = "sms_unavailable"


class HolderEnded(CredentialsError):
    """A code should go to somebody who, as a register says, has died or was dissolved."""

    code = "holder_ended"


class Notices:
    """Writes notices into the outbox. Texts name the licence's type and never a number or a person.

    A holder who has ended is told nothing.
    """

    def __init__(
        self,
        outbox: Outbox,
        registry: Registry,
        catalogue: Catalogue,
        access_log: AccessLog,
        preferences: Preferences,
        clock: Clock,
    ) -> None:
        self._outbox = outbox
        self._registry = registry
        self._catalogue = catalogue
        self._access_log = access_log
        self._preferences = preferences
        self._clock = clock

    async def tell_news(self, session: AsyncSession, limit: int = 500) -> int:
        """Tell what happened to licences, from the next events of the feed; gives how many events were read."""
        events = await self._registry.pull_events(session, CONSUMER, limit)
        since = self._clock.now() - NEWS_FOR
        fresh = [event for event in events if event.occurred_at >= since]
        by_id = await self._licences(session, [event.licence_id for event in fresh])
        before = await self._licences(session, [one.predecessor_id for one in by_id.values() if one.predecessor_id])
        notices: list[Notice] = []
        for event in fresh:
            licence = by_id[event.licence_id]
            notices += self._news(event, licence, before.get(licence.predecessor_id or ""))
        await self._write(session, NEWS, notices)
        return len(events)

    async def tell_showings(self, session: AsyncSession) -> int:
        """Tell whose licences were checked just now, at most once for each hour; gives how many holders that were."""
        checked = await self._access_log.holders_since(session, self._clock.now() - LOOK_BACK)
        title = Bilingual("证照被查验", "A licence was checked")
        notices = [
            Notice(holder_id, SHOWN, f"{holder_id}:{last.astimezone(SHANGHAI):%Y%m%d%H}", title, _SHOWN)
            for holder_id, last in checked.items()
        ]
        await self._write(session, SHOWN, notices)
        return len(checked)

    async def send_code(self, session: AsyncSession, holder_id: str, offer: CredentialOffer) -> None:
        """Send the transaction code of an offer by SMS, for as long as it is good, at any hour.

        Raises:
            HolderEnded: a register says that the holder has ended.
            NoPhone: the store has no number of the holder.
            SmsUnavailable: no provider of SMS is set up.
        """
        holder = await self._registry.holder(session, holder_id)
        if holder.ended:
            raise HolderEnded("a register says that this holder has ended; no code is sent")
        if holder.mobile is None:
            raise NoPhone("the store has no phone number of this holder; give the code at the counter")
        text = Bilingual(
            f"领取电子证照的验证码：{offer.tx_code}。请只输入您自己的钱包，工作人员不会索要。",
            f"Code to fetch your licence: {offer.tx_code}. Enter it in your own wallet only; nobody asks for it.",
        )
        notice = Notice(
            holder_id=holder_id,
            kind=CODE,
            subject=offer.id,
            title=Bilingual("", ""),
            text=text,
            channels=("sms",),
            urgent=True,
            useful_until=offer.expires_at,
        )
        if not await self._outbox.notify(session, [notice]):
            raise SmsUnavailable("this platform sends no SMS; give the code at the counter")

    async def _write(self, session: AsyncSession, kind: str, notices: Sequence[Notice]) -> None:
        ended = await self._registry.ended_among(session, {notice.holder_id for notice in notices})
        notices = [notice for notice in notices if notice.holder_id not in ended]
        if notices:
            choices = await self._preferences.of(session, {notice.holder_id for notice in notices})
            chosen = [replace(one, muted=choices[one.holder_id].muted_for(kind, None)) for one in notices]
            for first in range(0, len(chosen), 100):
                await self._outbox.notify(session, chosen[first : first + 100])

    async def _licences(self, session: AsyncSession, licence_ids: Sequence[str]) -> Mapping[str, Licence]:
        return {one.id: one for one in await self._registry.licences(session, list(dict.fromkeys(licence_ids)))}

    def _news(self, event: LicenceEvent, licence: Licence, before: Licence | None) -> Sequence[Notice]:
        told = _TOLD.get(event.operate_type)
        if event.operate_type is OperateType.END:
            told = _ENDED.get(event.state, _ENDED_OTHERWISE)
        elif event.operate_type is not OperateType.SUSPEND and event.state is not CertState.VALID:
            told = None  # the licence before it: its end is no news beside its successor's beginning
        if told is None or (event.operate_type is OperateType.ISSUE and self._is_history(licence)):
            return ()
        try:
            name = self._catalogue.get(licence.type_code, licence.type_version).name
        except UnknownType:
            return ()
        text = Bilingual(f"您的《{name.zh}》{told.zh}。{_ASK.zh}", f"Your {name.en} {told.en}. {_ASK.en}")
        texts = dict.fromkeys(licence.holder_ids, text)
        if before is not None and event.operate_type in _NEW_VERSION:
            left = Bilingual(
                f"您不再是《{name.zh}》的持证人。{_ASK.zh}", f"You are no longer a holder of your {name.en}. {_ASK.en}"
            )
            texts = dict.fromkeys(before.holder_ids, left) | texts
        title = Bilingual("证照状态变化", "News of a licence")
        subject = f"{event.licence_id}:{event.sequence}"
        return [Notice(holder_id, NEWS, f"{subject}:{holder_id}", title, text) for holder_id, text in texts.items()]

    def _is_history(self, licence: Licence) -> bool:
        today = self._clock.now().astimezone(SHANGHAI).date()
        return today - licence.issued_on > GRANTED_WITHIN
