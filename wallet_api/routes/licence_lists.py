"""What a department has in the store: its licences page by page, and the history of each."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from credentials.registry import CertState, HistoryEntry, LicenceFilter, LicenceSummary
from wallet_api.dependencies import AppPlatform, Department
from wallet_api.openapi import answers
from wallet_api.problems import NO_STORE
from wallet_api.routes.batches import Page
from wallet_api.routes.departments import Lookup, own_licence

router = APIRouter(prefix="/api/v1/licences", tags=["departments"])


def _of_our_time(instant: datetime) -> datetime:
    if not 1950 <= instant.year <= 2200:  # others cannot be moved to another time zone, or mean nothing
        raise ValueError("between the years 1950 and 2200")
    return instant


class LicencePageRequest(Page):
    """Which of the department's licences. No identity numbers: those stay out of URLs."""

    type: str | None = Field(default=None, pattern=r"^[a-z0-9-]{1,64}$", description="a type's code")
    state: CertState | None = None
    changed_since: Annotated[AwareDatetime, AfterValidator(_of_our_time)] | None = Field(
        default=None,
        description="issued or moved since; take it a minute earlier than what was seen last: "
        "a row shows when its delivery is committed",
    )
    holder_ended: bool = Field(
        default=False,
        description="true: only licences that are still alive (01, 02, 06, 99) although a register says that a holder "
        "of theirs has died or was dissolved; whether they are to be cancelled is the department's decision",
    )


class LicenceEntry(BaseModel):
    """A licence without its number, holders and items; `/licences/lookup` has those."""

    certificate_identifier: str
    type: str
    type_version: int
    version: int
    cert_state: CertState
    certificate_issuing_authority_code: str
    certificate_issued_date: str
    certificate_validate_start: str
    certificate_validate_end: str | None
    source_system: str
    source_record_id: str
    source_version: int
    updated_at: AwareDatetime


class LicencePage(BaseModel):
    """Licences, the one that changed longest ago first."""

    licences: list[LicenceEntry]
    next_cursor: str | None


class HistoryRequest(Lookup):
    """Whose history, and which page of it."""

    model_config = ConfigDict(strict=True, extra="forbid")

    cursor: str | None = Field(default=None, max_length=1024)
    limit: int = Field(default=100, ge=1, le=1000)


class HistoryLine(BaseModel):
    """One step in a licence's life."""

    sequence: int
    operate_type: str
    cert_state: CertState
    reason: str | None
    source_system: str
    source_version: int
    batch_id: str
    occurred_at: AwareDatetime


class HistoryPage(BaseModel):
    """Steps, the first one first."""

    events: list[HistoryLine]
    next_cursor: str | None


@router.get("", responses=answers({200: LicencePage}))
async def licences(
    page: Annotated[LicencePageRequest, Query()], platform: AppPlatform, department: Department
) -> JSONResponse:
    """The licences of the department's own authorities, the one that changed longest ago first."""
    list_of = f"licences:{department.client_id}:{page.type}:{page.state}:{page.changed_since}:{page.holder_ended}"
    after = None
    if page.cursor:
        updated_at, licence_id = platform.cursors.open(list_of, page.cursor)
        after = (datetime.fromisoformat(str(updated_at)), str(licence_id))
    wanted = LicenceFilter(department.authority_codes, page.type, page.state, page.changed_since, page.holder_ended)
    async with platform.database.snapshot() as session:
        found = await platform.registry.list_licences(session, wanted, after, page.limit + 1)
    shown = found[: page.limit]
    more = [shown[-1].updated_at.isoformat(), shown[-1].id] if len(found) > page.limit else None
    cursor = more and platform.cursors.seal(list_of, more)
    return JSONResponse({"licences": [_entry(licence) for licence in shown], "next_cursor": cursor}, headers=NO_STORE)


@router.post("/history", responses=answers({200: HistoryPage}, 404))
async def history(wanted: HistoryRequest, platform: AppPlatform, department: Department) -> JSONResponse:
    """Every step on a licence of the department's own, the first one first."""
    async with platform.database.snapshot() as session:
        licence = await own_licence(session, platform, department, wanted.certificate_identifier)
        list_of = f"history:{department.client_id}:{licence.id}"
        after = int(platform.cursors.open(list_of, wanted.cursor)[0]) if wanted.cursor else 0
        found = await platform.registry.history(session, licence.id, after, wanted.limit + 1)
    shown = found[: wanted.limit]
    cursor = platform.cursors.seal(list_of, [shown[-1].sequence]) if len(found) > wanted.limit else None
    return JSONResponse({"events": [_line(event) for event in shown], "next_cursor": cursor}, headers=NO_STORE)


def _entry(licence: LicenceSummary) -> dict[str, object]:
    return {
        "certificate_identifier": licence.identifier,
        "type": licence.type_code,
        "type_version": licence.type_version,
        "version": licence.version,
        "cert_state": licence.state.value,
        "certificate_issuing_authority_code": licence.authority_code,
        "certificate_issued_date": licence.issued_on.isoformat(),
        "certificate_validate_start": licence.valid_from.isoformat(),
        "certificate_validate_end": licence.valid_until and licence.valid_until.isoformat(),
        "source_system": licence.source_system,
        "source_record_id": licence.source_record_id,
        "source_version": licence.source_version,
        "updated_at": licence.updated_at.isoformat(),
    }


def _line(event: HistoryEntry) -> dict[str, object]:
    return {
        "sequence": event.sequence,
        "operate_type": event.operate_type.value,
        "cert_state": event.state.value,
        "reason": event.reason,
        "source_system": event.source_system,
        "source_version": event.source_version,
        "batch_id": event.batch_id,
        "occurred_at": event.occurred_at.isoformat(),
    }
