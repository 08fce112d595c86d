"""All SQL about keys and trust lists."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from cryptography.x509 import load_pem_x509_certificates
from sqlalchemy import RowMapping, delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel

from credentials.keys.formats.x509 import to_pem
from credentials.keys.models import Authority, KeyPurpose, KeyState, SigningKey
from credentials.keys.tables import PLATFORM, CertificateRequestRow, SigningKeyRow, TrustAnchorRow, TrustListRow

_keys = SQLModel.metadata.tables[str(SigningKeyRow.__tablename__)]
_requests = SQLModel.metadata.tables[str(CertificateRequestRow.__tablename__)]
_anchors = SQLModel.metadata.tables[str(TrustAnchorRow.__tablename__)]
_lists = SQLModel.metadata.tables[str(TrustListRow.__tablename__)]


class KeyRepository:
    """The keys, in the caller's transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def _execute(self, statement: Any) -> Sequence[RowMapping]:
        result = await (await self._session.connection()).execute(statement)
        return result.mappings().all() if result.returns_rows else ()

    async def find(self, purpose: KeyPurpose, authority_code: str | None, state: KeyState) -> SigningKey | None:
        """The key in a state of which there is at most one: next or active."""
        rows = await self._execute(
            select(_keys).where(
                _keys.c.purpose == purpose.value,
                _keys.c.authority_code == (authority_code or PLATFORM),
                _keys.c.state == state.value,
            )
        )
        return _signing_key(rows[0]) if rows else None

    async def all(self) -> list[SigningKey]:
        """Every key there ever was, the oldest first."""
        rows = await self._execute(select(_keys).order_by(_keys.c.created_at, _keys.c.kid))
        return [_signing_key(row) for row in rows]

    async def unretired(self) -> list[SigningKey]:
        """Every key that is next, active or previous, the oldest first."""
        rows = await self._execute(
            select(_keys).where(_keys.c.state != KeyState.RETIRED.value).order_by(_keys.c.created_at, _keys.c.kid)
        )
        return [_signing_key(row) for row in rows]

    async def add(self, key: SigningKey) -> bool:
        """Insert a key, unless its purpose and authority have one in that state already.

        Waits for another transaction that inserts the same one and tells who won.
        """
        values = {
            "kid": key.kid,
            "purpose": key.purpose.value,
            "authority_code": key.authority_code or PLATFORM,
            "authority_name": key.authority.name if key.authority else PLATFORM,
            "licence_types": list(key.licence_types),
            "chain_pem": to_pem(key.certificates),
            "key_reference": key.key_reference,
            "state": key.state.value,
            "not_before": key.not_before,
            "not_after": key.not_after,
            "created_at": key.created_at,
            "anchor_sha256": key.anchor_sha256,
        }
        statement = insert(_keys).values(**values).on_conflict_do_nothing().returning(_keys.c.kid)
        return bool(await self._execute(statement))

    async def move(self, kid: bytes, before: KeyState, after: KeyState) -> bool:
        """Compare and set: move a key on, if it still is in the state `before`."""
        rows = await self._execute(
            update(_keys)
            .where(_keys.c.kid == kid, _keys.c.state == before.value)
            .values(state=after.value)
            .returning(_keys.c.kid)
        )
        return bool(rows)

    async def set_licence_types(self, kid: bytes, licence_types: tuple[str, ...]) -> None:
        """Say anew what a key may sign for."""
        await self._execute(update(_keys).where(_keys.c.kid == kid).values(licence_types=list(licence_types)))

    async def retire_expired(self, now: datetime) -> None:
        """Retire every key whose certificate is over."""
        await self._execute(
            update(_keys)
            .where(_keys.c.not_after < now, _keys.c.state != KeyState.RETIRED.value)
            .values(state=KeyState.RETIRED.value)
        )


class AnchorRepository:
    """Keys that wait for an outside authority's certificate, and the anchors of such authorities."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def of(self, sha256s: Collection[str]) -> tuple[str, ...]:
        """The anchors with these fingerprints as PEM, the oldest first; those not known are passed over."""
        connection = await self._session.connection()
        wanted = select(_anchors.c.pem).where(_anchors.c.sha256.in_(sha256s)).order_by(_anchors.c.added_at)
        return tuple((await connection.execute(wanted)).scalars())

    async def add_anchor(self, row: TrustAnchorRow) -> None:
        """Insert an anchor; one that is there already stays."""
        connection = await self._session.connection()
        await connection.execute(insert(_anchors).values(**row.model_dump()).on_conflict_do_nothing())

    async def add_request(self, row: CertificateRequestRow) -> None:
        """Remember a key that waits for its certificate."""
        await (await self._session.connection()).execute(insert(_requests).values(**row.model_dump()))

    async def requests(self) -> list[CertificateRequestRow]:
        """The keys that wait, the oldest first."""
        connection = await self._session.connection()
        rows = (await connection.execute(select(_requests).order_by(_requests.c.created_at))).mappings()
        return [CertificateRequestRow(**row) for row in rows]

    async def take_request(self, public_key_sha256: str) -> CertificateRequestRow | None:
        """The key that waits with this public key; it waits no longer, and only the first who asks gets it."""
        connection = await self._session.connection()
        statement = delete(_requests).where(_requests.c.public_key_sha256 == public_key_sha256).returning(*_requests.c)
        row = (await connection.execute(statement)).mappings().first()
        return CertificateRequestRow(**row) if row else None


class TrustListRepository:
    """The published trust lists, in the caller's transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def latest(self) -> TrustListRow | None:
        """The list with the highest sequence."""
        result = await (await self._session.connection()).execute(
            select(_lists).order_by(_lists.c.sequence.desc()).limit(1)
        )
        row = result.mappings().first()
        return TrustListRow(**row) if row else None

    async def add(self, row: TrustListRow, *, keep: int) -> bool:
        """Insert a list unless its sequence is taken, and drop all but the `keep` newest."""
        connection = await self._session.connection()
        result = await connection.execute(
            insert(_lists).values(**row.model_dump()).on_conflict_do_nothing().returning(_lists.c.sequence)
        )
        if result.first() is None:
            return False
        await connection.execute(delete(_lists).where(_lists.c.sequence <= row.sequence - keep))
        return True


def _signing_key(row: RowMapping) -> SigningKey:
    code = row["authority_code"]
    return SigningKey(
        kid=row["kid"],
        purpose=KeyPurpose(row["purpose"]),
        authority=None if code == PLATFORM else Authority(code, row["authority_name"]),
        licence_types=tuple(row["licence_types"]),
        certificates=tuple(load_pem_x509_certificates(row["chain_pem"].encode())),
        key_reference=row["key_reference"],
        state=KeyState(row["state"]),
        not_before=row["not_before"],
        not_after=row["not_after"],
        created_at=row["created_at"],
        anchor_sha256=row["anchor_sha256"],
    )
