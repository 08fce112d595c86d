"""Where the packages meet: every port gets its implementation here, and nowhere else."""

from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Self

from credentials.catalogue import Catalogue
from credentials.issuance import AttestationPolicy, CredentialIssuer, Issuance, Releases, RequestKeys
from credentials.keys import (
    Authority,
    CertificateService,
    KeyFiles,
    KeyPurpose,
    KeyRequest,
    KeyService,
    KeyStore,
    KeyStores,
    LocalText,
    TrustListItem,
    TrustListService,
    TrustListType,
)
from credentials.registry import HolderEnds, Intake, Registry
from credentials.registry.ports import Clock
from credentials.status import StatusService
from notifications import (
    DeliveryPolicy,
    Devices,
    Inbox,
    Outbox,
    Preferences,
    ReminderService,
    ReminderSwitches,
    TickReport,
    tick,
)
from notifications.channels.sms_aliyun import AliyunReceipts
from notifications.outbox.receipts import ReceiptBook
from presentation.accesslog import AccessLog
from presentation.checks import Checks, Journals, LiveTrust, StoredRecords
from presentation.scenes import Scenes
from presentation.shows import HeldKeys, Shows
from presentation.verifiers import Verifiers
from wallet_api.check_statements import CheckStatements
from wallet_api.checking import CheckSigner, OwnTrustList, PackTypes, ShownLicences, pack_scenes
from wallet_api.clock import SystemClock
from wallet_api.database import Database
from wallet_api.delivering import Channels
from wallet_api.deployment_secrets import Secrets
from wallet_api.edge import Cursors, IdempotentRequests, Metrics, RateLimits
from wallet_api.key_ring import LiveKeyRing
from wallet_api.noticing import Notices
from wallet_api.oauth import AuthorizationServer, OneTimeValues, SignIns
from wallet_api.oauth.demo_provider import DemoProvider
from wallet_api.oauth.openid_connect import OpenIdProvider, openid_provider
from wallet_api.oauth.trusted_attesters import wallet_policy
from wallet_api.offering import OfferMessages
from wallet_api.operators import Operators
from wallet_api.reminding import RENEWED_AT, HolderContacts, PackRules, StoredChanges
from wallet_api.settings import Settings
from wallet_api.showable import StoredLicences

MAX_NEWS = 200  # batches of events a run

PLATFORM_KEYS = (KeyPurpose.TRUST_LIST, KeyPurpose.STATUS, KeyPurpose.PASS, KeyPurpose.METADATA, KeyPurpose.CHECK)


@dataclass(frozen=True)
class Platform:
    """Everything a process of the platform works with."""

    settings: Settings
    clock: Clock
    database: Database
    catalogue: Catalogue
    registry: Registry
    intake: Intake
    issuance: Issuance
    credential_issuer: CredentialIssuer
    request_keys: RequestKeys
    releases: Releases
    status: StatusService
    keys: KeyService
    certificates: CertificateService
    key_ring: LiveKeyRing
    trust_list: TrustListService
    showable: StoredLicences
    shows: Shows
    held_keys: HeldKeys
    verifiers: Verifiers
    scenes: Scenes
    operators: Operators
    access_log: AccessLog
    live_trust: LiveTrust
    checks: Checks
    journals: Journals
    one_time: OneTimeValues
    oauth: AuthorizationServer
    sign_ins: SignIns
    openid_provider: OpenIdProvider | None
    demo_provider: DemoProvider | None
    inbox: Inbox
    devices: Devices
    channels: Channels
    outbox: Outbox
    aliyun_receipts: AliyunReceipts
    reminders: ReminderService
    reminder_switches: ReminderSwitches
    preferences: Preferences
    notices: Notices
    idempotency: IdempotentRequests
    cursors: Cursors
    limits: RateLimits
    metrics: Metrics
    streams: Counter[str] = field(default_factory=Counter)  # open streams of events at this process, by holder

    @classmethod
    def of(
        cls,
        settings: Settings,
        *,
        clock: Clock | None = None,
        database: Database | None = None,
        catalogue: Catalogue | None = None,
    ) -> Self:
        """Wire a platform. Nothing is opened, read or written yet but the embedded mode's own secrets.

        Args:
            catalogue: the types to offer; by default those that ship.

        Raises:
            SecretsInvalid: a secret is missing or out of form.
            PackError: a type pack is broken.
        """
        clock = clock or SystemClock()
        database = database or Database(settings.database)
        secrets = Secrets.of(settings)
        catalogue = catalogue or Catalogue.default()
        one_time = OneTimeValues()
        registry = Registry(secrets.protector, clock)
        status = StatusService(secrets.protector, clock, settings.public_url)
        key_store = _key_store(settings, secrets)
        keys = KeyService(key_store, clock, settings.public_url)
        key_ring = LiveKeyRing(keys)
        inbox = Inbox(clock, secrets.protector, database)
        devices = Devices(clock, secrets.protector)
        channels = Channels.of(settings, clock, database, devices, inbox)
        preferences = Preferences(clock)
        outbox = Outbox(
            clock,
            secrets.protector,
            HolderContacts(registry, devices, preferences),
            channels.channels,
            DeliveryPolicy(sms_after_s=settings.push_wait_s, quiet=settings.quiet),
        )
        issuance = Issuance(
            registry=registry,
            status=status,
            protector=secrets.protector,
            notices=OfferMessages(outbox, registry, catalogue, preferences),
            clock=clock,
            public_url=settings.public_url,
        )
        request_keys = RequestKeys(secrets.protector, clock)
        credential_issuer = CredentialIssuer(
            issuance=issuance,
            registry=registry,
            catalogue=catalogue,
            signers=key_ring,
            request_keys=request_keys,
            one_time=one_time,
            attestations=AttestationPolicy(settings.key_attesters, settings.key_attestation_required),
            clock=clock,
            public_url=settings.public_url,
            nonce_key=secrets.nonce_key,
        )
        oauth = AuthorizationServer(
            database=database,
            offers=issuance,
            one_time=one_time,
            clock=clock,
            public_url=settings.public_url,
            configurations=[kind.code for kind in catalogue.types()],
            key=secrets.nonce_key,
            policy=wallet_policy(settings),
        )
        licences = StoredLicences(registry, issuance, catalogue, clock)
        trust_list = TrustListService(clock)
        reminder_switches = ReminderSwitches(clock)
        verifiers, scenes = Verifiers(clock), Scenes(PackTypes(catalogue), clock)
        access_log = AccessLog(clock, secrets.protector)
        live_trust = LiveTrust(OwnTrustList(trust_list, lambda: key_ring.ring), clock)
        shown = ShownLicences(registry, issuance, catalogue, clock)
        return cls(
            settings=settings,
            clock=clock,
            database=database,
            catalogue=catalogue,
            registry=registry,
            intake=Intake(catalogue, secrets.protector, clock, followers=[issuance]),
            issuance=issuance,
            credential_issuer=credential_issuer,
            request_keys=request_keys,
            releases=Releases(clock),
            status=status,
            keys=keys,
            certificates=CertificateService(key_store, clock, settings.public_url),
            key_ring=key_ring,
            trust_list=trust_list,
            showable=licences,
            shows=Shows(licences, lambda: key_ring.signer(KeyPurpose.PASS), clock),
            held_keys=HeldKeys(
                licences, lambda: key_ring.signer(KeyPurpose.PASS), secrets.protector, clock, settings.public_url
            ),
            verifiers=verifiers,
            scenes=scenes,
            operators=Operators(
                verifiers, scenes, oauth, reminder_switches, HolderEnds(secrets.protector, clock), clock
            ),
            access_log=access_log,
            live_trust=live_trust,
            checks=Checks(
                records=StoredRecords(database, shown, one_time, access_log)
                if database.is_sqlite
                else CheckStatements(database, shown, registry, secrets.protector),
                database=database,
                trust=live_trust,
                signer=CheckSigner(lambda: key_ring.signer(KeyPurpose.CHECK)),
                marks=secrets.protector,
                clock=clock,
                public_url=settings.public_url,
            ),
            journals=Journals(verifiers=verifiers, scenes=scenes, licences=shown, access_log=access_log, clock=clock),
            one_time=one_time,
            oauth=oauth,
            sign_ins=SignIns(database, issuance, registry, clock, settings.public_url),
            openid_provider=openid_provider(settings, clock, secrets.nonce_key),
            demo_provider=None
            if settings.oidc_issuer or settings.deployment != "embedded"
            else DemoProvider(registry, issuance),
            inbox=inbox,
            devices=devices,
            channels=channels,
            outbox=outbox,
            aliyun_receipts=AliyunReceipts(ReceiptBook(database, clock)),
            reminders=ReminderService(clock, StoredChanges(registry), PackRules(catalogue), outbox, RENEWED_AT),
            reminder_switches=reminder_switches,
            preferences=preferences,
            notices=Notices(outbox, registry, catalogue, access_log, preferences, clock),
            idempotency=IdempotentRequests(database, secrets.protector, clock),
            cursors=Cursors(secrets.protector),
            limits=RateLimits(database, secrets.protector, clock, settings.rate_policies),
            metrics=Metrics(database),
        )

    async def start(self) -> None:
        """Make the keys that are missing, prove all of them, and publish the trust list and the status lists.

        Safe when several processes start at once.
        """
        await self.renew_keys()
        await self.seed_scenes()
        await self.publish_trust()
        await self.publish_status()

    async def close(self) -> None:
        """Give back every connection; what fails in one of them is raised when all were asked."""
        async with AsyncExitStack() as closing:
            closing.push_async_callback(self.database.close)
            closing.push_async_callback(self.channels.close)
            if self.openid_provider is not None:
                closing.push_async_callback(self.openid_provider.close)

    async def renew_keys(self) -> None:
        """Make keys that are missing, announce successors of those that grow old, put announced ones to work."""
        async with self.database.transaction() as session:
            await self.keys.ensure(session, self.wanted_keys())

    async def take_over_keys(self) -> None:
        """Sign with the keys that are active now: what another process rotated is taken over."""
        async with self.database.snapshot() as session:
            await self.key_ring.reload(session)

    async def retire_status(self) -> None:
        """Take away the status lists that nothing points to any more."""
        async with self.database.transaction() as session:
            await self.status.retire(session, self.issuance)

    async def seed_scenes(self) -> None:
        """Take over the scenes of the type packs, where no operator has put others."""
        async with self.database.transaction() as session:
            await self.scenes.seed(session, pack_scenes(self.catalogue))

    async def publish_trust(self) -> None:
        """Take over rotated keys, and sign the trust list when something in it changed or it grows old."""
        async with self.database.transaction() as session:
            await self.key_ring.reload(session)
            types = trust_list_types(self.catalogue, self.settings.public_url)
            scenes = [scene.published() for scene in await self.scenes.all(session)]
            await self.trust_list.publish(session, self.key_ring.ring, types, self.settings.public_url, scenes)
            await self.live_trust.reload(session)

    async def publish_status(self) -> None:
        """Sign the status lists that changed or grow old."""
        async with self.database.transaction() as session:
            await self.status.publish(session, self.key_ring.signer(KeyPurpose.STATUS))

    async def remind(self) -> TickReport:
        """Write notices of what happened, plan reminders for what changed, queue what is due, deliver what waits."""
        for _ in range(MAX_NEWS):  # a bulk import must not hold back what is due: the next run goes on
            async with self.database.transaction() as session:
                if not await self.notices.tell_news(session):
                    break
        async with self.database.transaction() as session:
            await self.notices.tell_showings(session)
        return await tick(self.database, self.reminders, self.outbox)

    async def hand_over(self) -> None:
        """Deliver what waits, if anything does."""
        async with self.database.snapshot() as session:
            if not await self.outbox.waits(session):
                return
        await self.outbox.deliver(self.database)

    def wanted_keys(self) -> Sequence[KeyRequest]:
        """The keys that the platform must have: its own, and one for each authority that issues some type."""
        issued: dict[Authority, list[str]] = {}
        for licence_type in self.catalogue.types():
            for authority in licence_type.issuing_authorities:
                issued.setdefault(Authority(authority.code, authority.name.zh), []).append(licence_type.code)
        platform = [KeyRequest(purpose) for purpose in PLATFORM_KEYS]
        return platform + [
            KeyRequest(KeyPurpose.CREDENTIAL, authority, tuple(codes)) for authority, codes in issued.items()
        ]


def _key_store(settings: Settings, secrets: Secrets) -> KeyStore:
    """Key files, and the PKCS#11 token of the settings for the purposes they name."""
    files = KeyFiles(settings.data_dir / "keys", secrets.key_passphrase)
    if settings.pkcs11_module is None or settings.pkcs11_pin is None:
        return files
    from credentials.keys.pkcs11_keys import Pkcs11Keys  # only where there is a token: it loads a C library

    token = Pkcs11Keys(settings.pkcs11_module, settings.pkcs11_token, settings.pkcs11_pin.get_secret_value())
    return KeyStores(files, token, settings.pkcs11_purposes)


def trust_list_types(catalogue: Catalogue, public_url: str) -> Sequence[TrustListType]:
    """The catalogue's types as the trust list publishes them (`credentials/keys/TRUST_LIST.md`)."""
    return [
        TrustListType(
            code=kind.code,
            version=kind.version,
            vct=kind.vct(public_url),
            name=LocalText(kind.name.zh, kind.name.en),
            items=[
                TrustListItem(item.name, item.face_key, LocalText(item.label.zh, item.label.en)) for item in kind.items
            ],
        )
        for kind in catalogue.every_version()
    ]
