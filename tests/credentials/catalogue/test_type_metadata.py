"""SD-JWT VC Type Metadata of the catalogue's types."""

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from credentials.catalogue import COMMON_CLAIMS, Catalogue, type_metadata
from credentials.catalogue.formats.face_template import PLACEHOLDER
from tests.credentials.catalogue.packs import dog_licence

SCHEMA = json.loads(Path("tests/vectors/oidf-schemas/type_metadata.json").read_text(encoding="utf-8"))
URL = "https://wallet.example"
KINDS = [dog_licence(), *Catalogue.default().types()]
KIND = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: str(kind.code))


def metadata(kind: Any) -> dict[str, Any]:
    """The document after a journey through JSON."""
    document: dict[str, Any] = json.loads(json.dumps(type_metadata(kind, URL)))
    return document


@KIND
def test_the_document_follows_the_conformance_suite_s_schema(kind: Any) -> None:
    errors = list(Draft202012Validator(SCHEMA).iter_errors(metadata(kind)))
    assert errors == []


@KIND
def test_the_vct_is_the_url_of_type_and_version(kind: Any) -> None:
    assert metadata(kind)["vct"] == kind.vct(URL) == f"{URL}/types/{kind.code}/{kind.version}"


@KIND
def test_every_claim_has_a_label_in_chinese_and_english(kind: Any) -> None:
    document = metadata(kind)
    for described in [document, *document["claims"]]:
        assert [display["locale"] for display in described["display"]] == ["zh-CN", "en"]
    paths = [[common.name] for common in COMMON_CLAIMS]
    for item in kind.items:
        paths += [[item.name], [item.name, None]] if item.elements_disclosable else [[item.name]]
    assert [claim["path"] for claim in document["claims"]] == paths


@KIND
def test_every_placeholder_of_the_face_is_the_svg_id_of_one_claim(kind: Any) -> None:
    svg_ids = [claim["svg_id"] for claim in metadata(kind)["claims"] if "svg_id" in claim]
    assert len(svg_ids) == len(set(svg_ids))
    assert set(PLACEHOLDER.findall(kind.face.svg.decode())) <= set(svg_ids)


@KIND
def test_the_template_s_integrity_is_over_the_bytes_served(kind: Any) -> None:
    for display in metadata(kind)["display"]:
        (template,) = display["rendering"]["svg_templates"]
        assert template["uri"] == f"{kind.vct(URL)}/face.svg"
        digest = template["uri#integrity"]
        assert re.fullmatch(r"sha256-[A-Za-z0-9+/]{43}=", digest)
        assert base64.b64decode(digest[7:]) == hashlib.sha256(kind.face.svg).digest()


def test_disclosure_and_duty_follow_the_pack() -> None:
    claims = {claim["path"][0]: claim for claim in metadata(dog_licence())["claims"]}
    assert (claims["dog_name"]["sd"], claims["dog_name"]["mandatory"]) == ("always", True)
    assert (claims["weight"]["sd"], claims["weight"]["mandatory"]) == ("always", False)
    assert (claims["chip"]["sd"], "svg_id" in claims["chip"]) == ("never", False)
    assert all(claims[common.name]["sd"] == "always" for common in COMMON_CLAIMS)
    assert claims["holder_name"]["display"][0]["label"] == "犬主"
