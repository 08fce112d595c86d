"""SD-JWT VC Type Metadata (draft-ietf-oauth-sd-jwt-vc-19): a licence type for any wallet."""

import base64
import hashlib
from collections.abc import Iterator

from credentials.catalogue.models import DataItem, LicenceType, LocalisedText


def type_metadata(licence_type: LicenceType, public_url: str) -> dict[str, object]:
    """The document served at the type's `vct`.

    Args:
        licence_type: the type.
        public_url: https origin of this service, without a trailing slash.

    Returns:
        JSON-ready; display in zh-CN and en, one entry a claim, the face as an SVG template with integrity.
    """
    # The issuer always sends the common claims; a long-term licence has `valid_until` null, which tells a verifier
    # more than a claim that is missing.
    common = [
        _claim(claim.name, claim.label, sd="always", mandatory=True, svg_id=claim.name)
        for claim in licence_type.common_claims
    ]
    return {
        "vct": licence_type.vct(public_url),
        "name": licence_type.name.en,
        "description": f"{licence_type.name.zh}, {licence_type.certificate_type_code}",
        "display": [
            {"locale": "zh-CN", "name": licence_type.name.zh, "rendering": _rendering(licence_type, public_url)},
            {"locale": "en", "name": licence_type.name.en, "rendering": _rendering(licence_type, public_url)},
        ],
        "claims": common + [claim for item in licence_type.items for claim in _item_claims(item)],
    }


def face_integrity(licence_type: LicenceType) -> str:
    """The template's integrity (W3C SRI): `sha256-` and standard base64 over the exact bytes served."""
    return "sha256-" + base64.b64encode(hashlib.sha256(licence_type.face.svg).digest()).decode()


def _rendering(licence_type: LicenceType, public_url: str) -> dict[str, object]:
    face = licence_type.face
    return {
        "simple": {"background_color": face.background_color, "text_color": face.text_color},
        "svg_templates": [
            {
                "uri": f"{licence_type.vct(public_url)}/face.svg",
                "uri#integrity": face_integrity(licence_type),
                "properties": {"orientation": face.orientation, "color_scheme": "light", "contrast": "normal"},
            }
        ],
    }


def _item_claims(item: DataItem) -> Iterator[dict[str, object]]:
    """The item and, where they are disclosed one by one, its elements."""
    sd, svg_id = "always" if item.selectively_disclosable else "never", item.name if item.on_face else None
    yield _claim(item.name, item.label, sd=sd, mandatory=item.required, svg_id=svg_id)
    if item.elements_disclosable:
        yield _claim(item.name, item.label, None, sd="always", mandatory=False, svg_id=None)


def _claim(
    name: str, label: LocalisedText, *within: None, sd: str, mandatory: bool, svg_id: str | None
) -> dict[str, object]:
    claim: dict[str, object] = {
        "path": [name, *within],
        "display": [{"locale": "zh-CN", "label": label.zh}, {"locale": "en", "label": label.en}],
        "mandatory": mandatory,
        "sd": sd,
    }
    return claim if svg_id is None else {**claim, "svg_id": svg_id}
