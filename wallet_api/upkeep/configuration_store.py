"""What `liangzheng check-config` says of the database, and of what is in it that the settings must fit."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta

from asyncpg import PostgresError
from sqlalchemy import func, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from credentials.catalogue import UnknownType
from credentials.errors import CredentialsError
from credentials.keys.errors import SigningKeyMissing
from credentials.registry import SHANGHAI
from credentials.registry.tables import HolderRow, LicenceEventRow, LicenceRow
from credentials.status.tables import StatusListRow, StatusTokenRow
from notifications.outbox.tables import OutboxMessageRow
from wallet_api import migrations
from wallet_api.deployment_secrets import Secrets
from wallet_api.protection import ProtectionError
from wallet_api.upkeep.configuration import Finding, Severity
from wallet_api.upkeep.sealed_columns import table_of
from wallet_api.wiring import Platform

LEAST_POSTGRESQL = 13_00_00  # pg_current_xact_id orders the feed
CLOCK_SKEW = timedelta(seconds=5)  # proofs are good for a minute, with 30 s for clocks that differ
WAITING = timedelta(minutes=15)  # a message that nobody took for so long: the worker takes them each minute

HOLDER, LICENCE, EVENT = table_of(HolderRow), table_of(LicenceRow), table_of(LicenceEventRow)
STATUS_LIST, STATUS_TOKEN, OUTBOX = table_of(StatusListRow), table_of(StatusTokenRow), table_of(OutboxMessageRow)


async def check_store(platform: Platform) -> Sequence[Finding]:
    """Look at the database and what is in it. Nothing is written."""
    found: list[Finding] = []
    try:
        async with platform.database.snapshot() as session:
            found += [finding async for finding in _check_server(platform, session)]
        if not await migrations.is_current(platform.database):
            return [*found, _not_current(platform)]
        async with platform.database.snapshot() as session:
            for check in _CHECKS:
                found += [finding async for finding in check(platform, session)]
    except (SQLAlchemyError, PostgresError, OSError) as error:
        name = type(error.__cause__ or error).__name__
        mend = "is the server running, and do user, password and database in DATABASE_URL exist?"
        found.append(Finding(Severity.ERROR, "DATABASE_URL", f"the database does not serve us ({name})", mend))
    return found


def _not_current(platform: Platform) -> Finding:
    problem = "the schema is not current"
    if platform.settings.deployment == "embedded":
        return Finding(Severity.NOTE, "database", problem, "the next start brings it up to date")
    return Finding(Severity.ERROR, "database", problem, "run: liangzheng migrate")


async def _check_server(platform: Platform, session: AsyncSession) -> AsyncIterator[Finding]:
    if platform.database.is_sqlite:
        await session.execute(text("SELECT 1"))
        if platform.settings.deployment == "production":
            problem = "SQLite has one writer at a time, on one machine"
            yield Finding(Severity.WARNING, "DATABASE_URL", problem, "use PostgreSQL for a city")
        return
    row = (
        await session.execute(
            text(
                "SELECT CAST(current_setting('server_version_num') AS integer), current_setting('server_encoding'), "
                "CAST(clock_timestamp() AS timestamptz)"
            )
        )
    ).one()
    if row[0] < LEAST_POSTGRESQL:
        yield Finding(Severity.ERROR, "database", "PostgreSQL is older than 13", "use PostgreSQL 13 or newer")
    if row[1] != "UTF8":
        yield Finding(Severity.ERROR, "database", f"its encoding is {row[1]}", "create it with ENCODING 'UTF8'")
    if abs(row[2] - platform.clock.now()) > CLOCK_SKEW:
        problem = "this machine's clock and the database's differ by more than five seconds"
        yield Finding(Severity.ERROR, "clock", problem, "let both follow a time server (NTP)")


async def _check_keys(platform: Platform, session: AsyncSession) -> AsyncIterator[Finding]:
    try:
        await platform.keys.load(session)
    except SigningKeyMissing:
        yield Finding(Severity.NOTE, "signing keys", "there are none yet", "the first start makes them")
    except CredentialsError as error:
        mend = "restore DATA_DIR/keys and KEY_PASSPHRASE as they were when the keys were made"
        yield Finding(Severity.ERROR, "signing keys", f"one cannot sign ({error.code})", mend)


async def _check_secrets_fit(platform: Platform, session: AsyncSession) -> AsyncIterator[Finding]:
    """One holder of the store, opened and found again: are these the keys that the store was filled under?"""
    row = (await session.execute(select(HOLDER).order_by(HOLDER.c.id.desc()).limit(1))).first()
    if row is None:
        return
    protector = Secrets.of(platform.settings).protector
    try:
        code = protector.open(row.code_sealed, f"holder.code:{row.code_index.hex()}").decode()
    except ProtectionError:
        mend = "name the key again that the store was sealed under; drop one only after: liangzheng reseal --check"
        yield Finding(Severity.ERROR, "ENCRYPTION_KEYS", "do not open what is in the store", mend)
        return
    if protector.blind_index("holder", f"{row.code_type}:{code}") != row.code_index:
        mend = "put back the key that the store was filled under; it cannot be changed"
        yield Finding(Severity.ERROR, "BLIND_INDEX_KEY", "nobody in the store is found with it", mend)


async def _check_types(platform: Platform, session: AsyncSession) -> AsyncIterator[Finding]:
    found = await session.execute(select(LICENCE.c.type_code, LICENCE.c.type_version).distinct())
    for code, version in found:
        try:
            platform.catalogue.get(code, version)
        except UnknownType:
            problem = f"the store has licences of {code}, version {version}, and no pack describes it"
            mend = f"put {code}.{version}.yaml and {code}.{version}.svg beside the newest version (PACKS.md)"
            yield Finding(Severity.ERROR, "type packs", problem, mend)


async def _check_urls(platform: Platform, session: AsyncSession) -> AsyncIterator[Finding]:
    uris = (await session.execute(select(STATUS_LIST.c.uri))).scalars()
    if any(not uri.startswith(f"{platform.settings.public_url}/") for uri in uris):
        problem = "what was issued so far names another PUBLIC_URL for its status"
        mend = "go on answering under the old address, or set it back"
        yield Finding(Severity.WARNING, "PUBLIC_URL", problem, mend)


async def _check_worker(platform: Platform, session: AsyncSession) -> AsyncIterator[Finding]:
    now = platform.clock.now()
    mend = "run `liangzheng worker`, or serve with EMBEDDED_WORKER=true"
    lists = select(func.min(STATUS_TOKEN.c.exp))
    soonest = (await session.execute(lists)).scalar_one()
    if soonest is not None and soonest <= now.timestamp():
        yield Finding(Severity.ERROR, "worker", "a status list has run out: nothing can be checked any more", mend)
        return
    due = (
        OUTBOX.c.state == "pending",
        OUTBOX.c.channel == "inbox",
        OUTBOX.c.not_before < now - WAITING,
    )  # it never rests
    waiting = select(func.count()).where(*due)
    count = (await session.execute(waiting)).scalar_one()
    if count and platform.settings.remind_every_s:
        yield Finding(Severity.WARNING, "worker", f"{count} messages wait for longer than 15 minutes", mend)
    elif not platform.settings.embedded_worker:
        problem = "EMBEDDED_WORKER=false: serving processes run no timers"
        yield Finding(Severity.NOTE, "worker", problem, "see to it that `liangzheng worker` runs")


async def _check_clock(platform: Platform, session: AsyncSession) -> AsyncIterator[Finding]:
    newest = select(EVENT.c.occurred_at).order_by(EVENT.c.written_in.desc(), EVENT.c.position.desc()).limit(1)
    last: datetime | None = (await session.execute(newest)).scalar_one_or_none()
    if last is not None and last > platform.clock.now() + CLOCK_SKEW:
        problem = "this machine's clock is behind what the store has seen already"
        yield Finding(Severity.ERROR, "clock", problem, "let it follow a time server (NTP)")


async def _check_reminders(platform: Platform, session: AsyncSession) -> AsyncIterator[Finding]:
    for type_code, off in (await platform.reminder_switches.switched_off(session)).items():
        problem = f"those of {type_code} are switched off since {off.since.astimezone(SHANGHAI):%Y-%m-%d}: {off.reason}"
        mend = f"once it no longer holds: liangzheng reminders unmute {type_code}"
        yield Finding(Severity.WARNING, "reminders", problem, mend)


_CHECKS = (
    _check_keys,
    _check_secrets_fit,
    _check_types,
    _check_urls,
    _check_worker,
    _check_clock,
    _check_reminders,
)
