"""Tells holders of offers that departments push, through the outbox of notifications."""

from sqlalchemy.ext.asyncio import AsyncSession

from credentials.catalogue import Catalogue
from credentials.issuance import OfferNotice
from credentials.registry import SHANGHAI, Registry
from credentials.registry.ports import Clock
from notifications import Outbox
from notifications.models import Bilingual
from notifications.outbox.models import Digest, Entry

KIND = "credential_offer"


class OfferMessages:
    """`credentials.issuance.ports.OfferNotices` over the outbox: a message a holder and day. Never a number or name."""

    def __init__(self, outbox: Outbox, registry: Registry, catalogue: Catalogue, clock: Clock) -> None:
        self._outbox = outbox
        self._registry = registry
        self._catalogue = catalogue
        self._clock = clock

    async def offered(self, session: AsyncSession, notice: OfferNotice) -> None:
        """See `credentials.issuance.ports.OfferNotices`."""
        licence = await self._registry.licence(session, notice.licence_id)
        name = self._catalogue.get(licence.type_code, licence.type_version).name
        digest = Digest(
            holder_id=notice.holder_id,
            day=self._clock.now().astimezone(SHANGHAI).date(),
            kind=KIND,
            title=Bilingual("证照待领取", "A licence is ready for your wallet"),
            lead=Bilingual("发证机关为您签发了{count}本电子证照：", "{count} of your licences can be fetched:"),
            closing=Bilingual("请在钱包中登录后领取。", "Sign in with your wallet to fetch it."),
            entries=(Entry(f"offer:{notice.offer_id}", Bilingual(f"《{name.zh}》", name.en)),),
        )
        await self._outbox.post(session, digest)
