"""A licence type as the API tells of it. Texts stand there by language tag: `{"zh-CN": …, "en": …}`."""

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, Field

from credentials.catalogue import LicenceType
from credentials.catalogue.models import Authority, DataItem, LeadTime, LocalisedText, RenewalWindow, Scene

Text = dict[str, str]


class AuthorityAnswer(BaseModel):
    """An authority (机构) by its 统一社会信用代码."""

    code: str
    name: Text
    level: str


class TypeSummary(BaseModel):
    """A licence type in a list."""

    code: str
    version: int
    certificate_type_code: str = Field(description="证照类型代码, GB/T 36904")
    name: Text
    issuing_authorities: list[AuthorityAnswer]
    vct: str = Field(description="where its SD-JWT VC Type Metadata is")
    face: str = Field(description="its face as an SVG template")


class ItemAnswer(BaseModel):
    """A data item (信息项)."""

    name: str
    label: Text
    type: str
    required: bool
    pattern: str | None
    max_length: int | None = Field(description="characters of a string, or of each string of an array")
    max_items: int | None
    values: list[dict[str, str | Text]]
    on_face: bool
    selectively_disclosable: bool
    personal: bool


class ClaimAnswer(BaseModel):
    """What licences of all types say."""

    name: str
    label: Text


class ValidityAnswer(BaseModel):
    """有效期限: the terms that may be granted, and the rule that says so."""

    years: list[int]
    long_term: bool
    free: bool
    source: Text


class LeadAnswer(BaseModel):
    """A time before the last valid day."""

    amount: int
    unit: str


class RenewalAnswer(BaseModel):
    """When a renewal may be applied for; `opens` null: at any time."""

    opens: LeadAnswer | None
    closes: LeadAnswer
    source: Text


class ReminderAnswer(BaseModel):
    """A reminder before the licence ends."""

    stage: str
    before: LeadAnswer
    counted_from: Literal["end", "opens", "closes"]
    name: Text


class SceneAnswer(BaseModel):
    """亮证场景: where the licence may be shown, and what it shows there."""

    code: str
    name: Text
    items: list[str]
    photo: bool
    offline: bool
    legal_basis: Text


class MatterAnswer(BaseModel):
    """事项: a service for which the licence need not be submitted on paper."""

    code: str
    name: Text


class TypeDetail(TypeSummary):
    """Everything that the type pack says."""

    versions: list[int]
    defining_authority: AuthorityAnswer
    holder_category: str
    holder_code_types: list[str]
    joint_holders: bool
    photo: bool
    common_claims: list[ClaimAnswer]
    items: list[ItemAnswer]
    states: list[str] = Field(description="certState codes that a licence of the type can have")
    validity: ValidityAnswer
    renewal: RenewalAnswer | None
    reminders: list[ReminderAnswer]
    scenes: list[SceneAnswer]
    matters: list[MatterAnswer]


class TypePage(BaseModel):
    """Types by code."""

    types: list[TypeSummary]
    next_cursor: str | None


def summary(kind: LicenceType, public_url: str) -> TypeSummary:
    """A type in a list."""
    vct = kind.vct(public_url)
    return TypeSummary(
        code=kind.code,
        version=kind.version,
        certificate_type_code=kind.certificate_type_code,
        name=_text(kind.name),
        issuing_authorities=[_authority(body) for body in kind.issuing_authorities],
        vct=vct,
        face=f"{vct}/face.svg",
    )


def detail(kind: LicenceType, versions: Sequence[int], public_url: str) -> TypeDetail:
    """A type in full."""
    return TypeDetail(
        **summary(kind, public_url).model_dump(),
        versions=list(versions),
        defining_authority=_authority(kind.defining_authority),
        holder_category=kind.holder_category.value,
        holder_code_types=[code.value for code in kind.holder_code_types],
        joint_holders=kind.joint_holders,
        photo=kind.photo,
        common_claims=[ClaimAnswer(name=claim.name, label=_text(claim.label)) for claim in kind.common_claims],
        items=[_item(item) for item in kind.items],
        states=[state.value for state in kind.states],
        validity=ValidityAnswer(
            years=list(kind.validity.years),
            long_term=kind.validity.long_term,
            free=kind.validity.free,
            source=_text(kind.validity.source),
        ),
        renewal=kind.renewal and _renewal(kind.renewal),
        reminders=[
            ReminderAnswer(
                stage=one.stage,
                before=_lead(one.before),
                counted_from=one.counted_from.value,
                name=_text(one.name),
            )
            for one in kind.reminders
        ],
        scenes=[_scene(scene) for scene in kind.scenes],
        matters=[MatterAnswer(code=matter.code, name=_text(matter.name)) for matter in kind.matters],
    )


def _text(text: LocalisedText) -> Text:
    return {"zh-CN": text.zh, "en": text.en}


def _authority(body: Authority) -> AuthorityAnswer:
    return AuthorityAnswer(code=body.code, name=_text(body.name), level=body.level.value)


def _item(item: DataItem) -> ItemAnswer:
    return ItemAnswer(
        name=item.name,
        label=_text(item.label),
        type=item.type.value,
        required=item.required,
        pattern=item.pattern,
        max_length=item.max_length or None,
        max_items=item.max_items or None,
        values=[{"value": one.value, "label": _text(one.label)} for one in item.values],
        on_face=item.on_face,
        selectively_disclosable=item.selectively_disclosable,
        personal=item.mask is not None,
    )


def _lead(lead: LeadTime) -> LeadAnswer:
    return LeadAnswer(amount=lead.amount, unit=lead.unit.value)


def _renewal(window: RenewalWindow) -> RenewalAnswer:
    opens = window.opens and _lead(window.opens)
    return RenewalAnswer(opens=opens, closes=_lead(window.closes), source=_text(window.source))


def _scene(scene: Scene) -> SceneAnswer:
    return SceneAnswer(
        code=scene.code,
        name=_text(scene.name),
        items=list(scene.items),
        photo=scene.photo,
        offline=scene.offline,
        legal_basis=_text(scene.legal_basis),
    )
