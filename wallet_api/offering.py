"""Tells holders of offers that departments push, through the outbox of notifications."""

from sqlalchemy.ext.asyncio import AsyncSession

from credentials.catalogue import Catalogue
from credentials.issuance import OfferNotice
from credentials.registry import Registry
from notifications import Bilingual, Notice, Outbox, Preferences
from notifications.preferences import OFFER


class OfferMessages:
    """`credentials.issuance.ports.OfferNotices` over the outbox: one message an offer. Never a number or name.

    Nothing is written to a holder who has ended.
    """

    def __init__(self, outbox: Outbox, registry: Registry, catalogue: Catalogue, preferences: Preferences) -> None:
        self._outbox = outbox
        self._registry = registry
        self._catalogue = catalogue
        self._preferences = preferences

    async def offered(self, session: AsyncSession, notice: OfferNotice) -> None:
        """See `credentials.issuance.ports.OfferNotices`."""
        if await self._registry.ended_among(session, [notice.holder_id]):
            return
        licence = await self._registry.licence(session, notice.licence_id)
        name = self._catalogue.get(licence.type_code, licence.type_version).name
        choices = await self._preferences.of(session, [notice.holder_id])
        message = Notice(
            holder_id=notice.holder_id,
            kind=OFFER,
            subject=notice.offer_id,
            title=Bilingual("证照待领取", "A licence is ready for your wallet"),
            text=Bilingual(
                f"发证机关为您签发了《{name.zh}》，请在钱包中登录后领取。",
                f"Your {name.en} can be fetched: sign in with your wallet.",
            ),
            muted=choices[notice.holder_id].muted_for(OFFER, None),
            useful_until=notice.expires_at,
        )
        await self._outbox.notify(session, [message])
