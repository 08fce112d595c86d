"""Type packs: one YAML file and one SVG per licence type and version. The form is written down in PACKS.md."""

from collections.abc import Collection

from stdnum.cn import uscc

from credentials.catalogue.formats.face_template import read_face
from credentials.catalogue.formats.pack_items import read_items
from credentials.catalogue.formats.yaml_fields import Field, parse
from credentials.catalogue.models import (
    COMMON_CLAIMS,
    Authority,
    AuthorityLevel,
    CertState,
    CommonClaim,
    DataItem,
    Face,
    HolderCategory,
    HolderCodeType,
    ItemType,
    KeyAttestationDemand,
    LeadTime,
    LeadUnit,
    LicenceType,
    LocalisedText,
    Matter,
    ReminderStage,
    RenewalWindow,
    Scene,
    StageBase,
    ValidityPolicy,
)

SLUG = r"[a-z0-9-]{1,64}"
MAX_VERSION = 999  # three digits, as in GB/T 36904
MAX_LEAD_DAYS = 1095  # three years: longer than any renewal window in law
_LEVEL = r"[\x21\x23-\x5b\x5d-\x7e]{1,64}"  # iso_18045_high and the like (OpenID4VCI 1.0 appendix D.2)
_COLOUR = r"#[0-9a-f]{6}"
# What no face may leave out: who, which, by whom, until when.
_FACE_CLAIMS = ("holder_name", "certificate_number", "issuing_authority_name", "valid_until")
_REQUIRED = [
    "code",
    "version",
    "name",
    "certificate_type_code",
    "defining_authority",
    "issuing_authorities",
    "holder",
    "photo",
    "items",
    "validity",
    "states",
    "renewal",
    "reminders",
    "scenes",
    "matters",
    "face",
]


def read_pack(pack: bytes, face_svg: bytes, *, file: str, face_file: str) -> LicenceType:
    """A licence type from its two files.

    Args:
        pack: the YAML file's bytes.
        face_svg: the SVG file's bytes.
        file, face_file: their names, for errors.

    Raises:
        PackError: naming file, line and field.

    Not checked: that the law says what the pack cites; that patterns are cheap (they come from reviewed packs, and
    lengths are bounded before they run).
    """
    fields = parse(pack, file).members(_REQUIRED, ["labels", "example_number", "release", "key_attestation"])
    photo = fields["photo"].boolean()
    items = read_items(fields["items"])
    claims = _common_claims(fields.get("labels"))
    names = [claim.name for claim in claims] + [item.name for item in items]
    authority = _authority(fields["defining_authority"], area=False)
    holder = fields["holder"].members(["category", "code_types", "joint"], ["represented_by"])
    category = holder["category"].choice(HolderCategory)
    renewal = None if fields["renewal"].is_null else _renewal(fields["renewal"])
    reminders = _reminders(fields["reminders"], renewal)
    if reminders and renewal is None:
        raise fields["renewal"].refused("pack_field_not_allowed", "reminders need the rule that they follow")
    return LicenceType(
        code=fields["code"].text(pattern=SLUG),
        version=fields["version"].integer(1, MAX_VERSION),
        name=_localised(fields["name"]),
        certificate_type_code=_certificate_type_code(fields["certificate_type_code"], authority),
        defining_authority=authority,
        issuing_authorities=_issuing_authorities(fields["issuing_authorities"]),
        holder_category=category,
        holder_code_types=_code_types(holder["code_types"], category),
        joint_holders=holder["joint"].boolean(),
        represented_by=_represented_by(holder.get("represented_by"), category, items),
        photo=photo,
        common_claims=claims,
        items=items,
        example_number=_example_number(fields.get("example_number")),
        validity=_validity(fields["validity"]),
        states=_states(fields["states"]),
        renewal=renewal,
        reminders=reminders,
        scenes=_scenes(fields["scenes"], names, photo=photo),
        matters=_matters(fields["matters"]),
        face=_face(fields["face"], face_svg, face_file, names, items),
        needs_release=_needs_release(fields.get("release")),
        key_attestation=_key_attestation(fields.get("key_attestation")),
    )


def _example_number(field: Field | None) -> str:
    return "SPECIMEN-000001" if field is None else field.text(max_length=128)


def _needs_release(field: Field | None) -> bool:
    return field is not None and field.text(pattern="clerk|none") == "clerk"


def _key_attestation(field: Field | None) -> KeyAttestationDemand | None:
    if field is None:
        return None
    members = field.members([], ["key_storage", "user_authentication"])

    def levels(name: str) -> tuple[str, ...]:
        if name not in members:
            return ()
        values = [element.text(pattern=_LEVEL) for element in members[name].elements(1, 10)]
        return members[name].distinct(values, str, "this level")

    return KeyAttestationDemand(levels("key_storage"), levels("user_authentication"))


def _localised(field: Field, max_length: int = 100) -> LocalisedText:
    members = field.members(["zh", "en"])
    return LocalisedText(members["zh"].text(max_length=max_length), members["en"].text(max_length=max_length))


def _source(field: Field) -> LocalisedText:
    return _localised(field, max_length=500)  # a citation with its article, in two languages


def _common_claims(field: Field | None) -> tuple[CommonClaim, ...]:
    """The common claims under the names that this licence prints (姓名 instead of 持证主体)."""
    if field is None:
        return COMMON_CLAIMS
    labels = {name: _localised(label) for name, label in field.members([], [c.name for c in COMMON_CLAIMS]).items()}
    return tuple(CommonClaim(claim.name, labels.get(claim.name, claim.label)) for claim in COMMON_CLAIMS)


def _authority(field: Field, *, area: bool) -> Authority:
    members = field.members(["name", "code", "level", *(["area"] if area else [])])
    code = members["code"].text(pattern=r"[0-9A-Z]{18}")
    if not uscc.is_valid(code):
        raise members["code"].refused("pack_field_not_allowed", "is not a 统一社会信用代码: wrong check character")
    return Authority(
        name=_localised(members["name"]),
        code=code,
        level=members["level"].choice(AuthorityLevel),
        area_code=members["area"].text(pattern=r"[1-9][0-9]{5}") if area else None,
    )


def _issuing_authorities(field: Field) -> tuple[Authority, ...]:
    authorities = [_authority(element, area=True) for element in field.elements(1, 200)]
    return field.distinct(authorities, lambda authority: authority.code, "this authority's code")


def _certificate_type_code(field: Field, authority: Authority) -> str:
    code = field.text(pattern=r"[0-9A-Z]{18}[0-9A-Z][0-9]{2}")
    if not code.startswith(authority.code):
        raise field.refused("pack_field_not_allowed", "must begin with the defining authority's code")
    return code


def _code_types(field: Field, category: HolderCategory) -> tuple[HolderCodeType, ...]:
    kinds: list[HolderCodeType] = []
    for element in field.elements(1, len(HolderCodeType)):
        kind = element.choice(HolderCodeType)
        if category is not HolderCategory.EITHER and kind.of_organisation != (category is HolderCategory.ORGANISATION):
            raise element.refused("pack_field_not_allowed", f"is not a code of a holder of category {category}")
        kinds.append(kind)
    return field.distinct(kinds, lambda kind: kind, "this code type")


def _represented_by(field: Field | None, category: HolderCategory, items: tuple[DataItem, ...]) -> str | None:
    if field is None:
        return None
    name = field.text()
    if category is HolderCategory.PERSON:
        raise field.refused("pack_field_not_allowed", "nobody represents a person by a licence")
    if not any(item.name == name and item.type is ItemType.STRING for item in items):
        raise field.refused("pack_field_not_allowed", "is not a string item of this type")
    return name


def _validity(field: Field) -> ValidityPolicy:
    members = field.members(["years", "long_term", "free", "source"])
    years = [element.integer(1, 99) for element in members["years"].elements(0, 10)]
    policy = ValidityPolicy(
        years=members["years"].distinct(years, lambda year: year, "this term"),
        long_term=members["long_term"].boolean(),
        free=members["free"].boolean(),
        source=_source(members["source"]),
    )
    if (years and policy.free) or not (years or policy.free or policy.long_term):
        raise field.refused("pack_field_not_allowed", "give either years, or free: true, or long_term: true alone")
    return policy


def _states(field: Field) -> tuple[CertState, ...]:
    states = field.distinct([element.choice(CertState) for element in field.elements(1, 8)], str, "this state")
    if CertState.VALID not in states:
        raise field.refused("pack_field_not_allowed", 'must hold "01": a licence begins as valid')
    return states


def _renewal(field: Field) -> RenewalWindow:
    members = field.members(["opens", "closes", "source"])
    return RenewalWindow(
        opens=None if members["opens"].is_null else _lead_time(members["opens"]),
        closes=_lead_time(members["closes"]),
        source=_source(members["source"]),
    )


def _lead_time(field: Field) -> LeadTime:
    members = field.members(["before", "unit"])
    return LeadTime(members["before"].integer(0, MAX_LEAD_DAYS), members["unit"].choice(LeadUnit))


def _reminders(field: Field, renewal: RenewalWindow | None) -> tuple[ReminderStage, ...]:
    stages: list[ReminderStage] = []
    for element in field.elements(0, 10):
        members = element.members(["stage", "name"], ["days_before", "before"])
        stage, name = members["stage"].text(pattern=SLUG), _localised(members["name"])
        days, before = members.get("days_before"), members.get("before")
        if (days is None) == (before is None):
            raise element.refused("pack_field_not_allowed", "give either days_before or before")
        if before is not None:
            parts = before.members(["amount", "unit", "from"])
            lead = LeadTime(parts["amount"].integer(0, MAX_LEAD_DAYS), parts["unit"].choice(LeadUnit))
            stages.append(ReminderStage(stage, lead, name, parts["from"].choice(StageBase)))
            if stages[-1].counted_from is StageBase.OPENS and (renewal is None or renewal.opens is None):
                raise parts["from"].refused("pack_field_not_allowed", "the renewal window has no opening")
        elif days is not None:
            lead = LeadTime(days.integer(0, MAX_LEAD_DAYS), LeadUnit.DAYS)
            stages.append(ReminderStage(stage, lead, name))
        if len(stages) > 1 and stages[-1].about_days(renewal) >= stages[-2].about_days(renewal):
            raise (days or before or element).refused(
                "pack_field_not_allowed", "stages stand in the order they fall due"
            )
    return field.distinct(stages, lambda stage: stage.stage, "this stage")


def _scenes(field: Field, names: Collection[str], *, photo: bool) -> tuple[Scene, ...]:
    scenes: list[Scene] = []
    for element in field.elements(0, 50):
        members = element.members(["code", "name", "items", "photo", "offline", "legal_basis"])
        scene = Scene(
            code=members["code"].text(pattern=SLUG),
            name=_localised(members["name"]),
            items=_scene_items(members["items"], names),
            photo=members["photo"].boolean(),
            offline=members["offline"].boolean(),
            legal_basis=_source(members["legal_basis"]),
        )
        if scene.photo and not photo:
            raise members["photo"].refused("pack_field_not_allowed", "licences of this type have no photo")
        scenes.append(scene)
    return field.distinct(scenes, lambda scene: scene.code, "this scene's code")


def _scene_items(field: Field, names: Collection[str]) -> tuple[str, ...]:
    chosen: list[str] = []
    for element in field.elements(1, len(names)):
        chosen.append(element.text())
        if chosen[-1] not in names:
            raise element.refused("pack_field_not_allowed", "is neither a common claim nor an item of this type")
    return field.distinct(chosen, lambda name: name, "this item")


def _matters(field: Field) -> tuple[Matter, ...]:
    matters: list[Matter] = []
    for element in field.elements(0, 1000):
        members = element.members(["code", "name"])
        matters.append(Matter(members["code"].text(pattern=r"[0-9A-Z-]{1,64}"), _localised(members["name"])))
    return field.distinct(matters, lambda matter: matter.code, "this matter's code")


def _face(field: Field, svg: bytes, file: str, names: Collection[str], items: tuple[DataItem, ...]) -> Face:
    members = field.members(["orientation", "background_color", "text_color"])
    needed = [*_FACE_CLAIMS, *(item.name for item in items if item.on_face)]
    hidden = {item.name for item in items if not item.on_face}
    return Face(
        svg=svg,
        slots=read_face(svg, file=file, known=[name for name in names if name not in hidden], needed=needed),
        orientation=members["orientation"].text(pattern="landscape|portrait"),
        background_color=members["background_color"].text(pattern=_COLOUR),
        text_color=members["text_color"].text(pattern=_COLOUR),
    )
