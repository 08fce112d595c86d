"""The catalogue: packs of a folder, found by code, and refused when they contradict each other."""

import re
from importlib import resources
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credentials.catalogue import Catalogue, CatalogueError, PackError, UnknownType
from credentials.catalogue.formats.pack import read_pack
from credentials.catalogue.models import HolderCategory, MaskRule
from credentials.errors import CredentialsError
from tests.credentials.catalogue.packs import FACE, PACK, changed, write_pack

SHIPPED = Catalogue.default()
# Another type by the same authority.
CAT = PACK.replace("dog-licence", "cat-licence").replace("DX99", "DX98")
OLD = changed(PACK, "version: 2", "version: 1")


def test_the_shipped_types_are_found_by_code_and_by_certificate_type_code() -> None:
    packs = resources.files("credentials.catalogue") / "packs"
    faces = sorted(entry.name for entry in packs.iterdir() if entry.name.endswith(".svg"))
    assert [f"{kind.code}.svg" for kind in SHIPPED.types()] == faces
    for kind in SHIPPED.types():
        assert SHIPPED.get(kind.code) is kind
        assert SHIPPED.get(kind.code, kind.version) is kind
        assert SHIPPED.by_certificate_type_code(kind.certificate_type_code) is kind


def test_every_shipped_reminder_and_window_cites_its_rule() -> None:
    for kind in SHIPPED.types():
        if kind.renewal is not None:
            assert kind.reminders, kind.code
            assert re.search("《.+》|规定", kind.renewal.source.zh), kind.code


def test_only_types_that_always_last_have_no_renewal() -> None:
    for kind in SHIPPED.types():
        if kind.renewal is None:
            assert kind.validity.long_term
            assert not kind.validity.years
            assert not kind.validity.free


def test_every_shipped_licence_of_a_person_masks_more_than_the_name() -> None:
    for kind in SHIPPED.types():
        if kind.holder_category is HolderCategory.PERSON:
            assert {item.mask for item in kind.items} & {MaskRule.NUMBER, MaskRule.ADDRESS, MaskRule.ALL}


@pytest.mark.parametrize("word", ["驾驶证", "DRIVING", "13127DX01", "交通警察 driving", "  driving-licence  "])
def test_search_finds_words_of_codes_names_and_authorities(word: str) -> None:
    assert [kind.code for kind in SHIPPED.search(word)] == ["driving-licence"]


def test_search_wants_every_word() -> None:
    assert SHIPPED.search("driving food") == ()
    assert SHIPPED.search("") == SHIPPED.types()


@given(st.text())
def test_search_takes_any_text(text: str) -> None:
    assert set(SHIPPED.search(text)) <= set(SHIPPED.types())


def test_an_unknown_type_is_refused_with_a_code() -> None:
    for find in (
        lambda: SHIPPED.get("moon-licence"),
        lambda: SHIPPED.get("driving-licence", 2),
        lambda: SHIPPED.by_certificate_type_code("11100000000013127D999"),
    ):
        with pytest.raises(UnknownType) as refused:
            find()
        assert refused.value.code == "type_unknown"
        assert isinstance(refused.value, CatalogueError)
        assert isinstance(refused.value, CredentialsError)


def test_older_versions_stay_beside_the_newest(tmp_path: Path) -> None:
    write_pack(tmp_path)
    write_pack(tmp_path, "dog-licence.1", OLD)
    catalogue = Catalogue.load(tmp_path)
    assert [kind.version for kind in catalogue.types()] == [2]
    assert catalogue.get("dog-licence").version == 2
    assert catalogue.get("dog-licence", 1).version == 1


def test_hidden_files_are_ignored(tmp_path: Path) -> None:
    write_pack(tmp_path)
    (tmp_path / ".DS_Store").write_bytes(b"\x00")
    assert len(Catalogue.load(tmp_path).types()) == 1


def refused(folder: Path) -> PackError:
    with pytest.raises(PackError) as caught:
        Catalogue.load(folder)
    return caught.value


def test_a_folder_that_is_not_there_or_empty_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path / "nowhere").code == "pack_unreadable"
    assert refused(tmp_path).code == "pack_unreadable"


@pytest.mark.parametrize("missing", ["dog-licence.svg", "dog-licence.yaml"])
def test_half_a_pack_is_refused(tmp_path: Path, missing: str) -> None:
    write_pack(tmp_path)
    (tmp_path / missing).unlink()
    assert missing in refused(tmp_path).detail


@pytest.mark.parametrize("name", ["dog-licence.yml", "notes.txt", "Dog.yaml", "dog-licence.01.yaml"])
def test_a_file_that_is_no_part_of_a_pack_is_refused(tmp_path: Path, name: str) -> None:
    write_pack(tmp_path)
    (tmp_path / name).write_text(PACK, encoding="utf-8")
    assert refused(tmp_path).file == name


def test_a_pack_under_another_name_than_its_code_is_refused(tmp_path: Path) -> None:
    write_pack(tmp_path, "cat-licence")
    assert refused(tmp_path).file == "cat-licence.yaml"


def test_an_old_version_without_a_newest_is_refused(tmp_path: Path) -> None:
    write_pack(tmp_path, "dog-licence.1", OLD)
    assert "newest" in refused(tmp_path).detail


def test_an_old_version_that_is_not_older_is_refused(tmp_path: Path) -> None:
    write_pack(tmp_path, "dog-licence", OLD)
    write_pack(tmp_path, "dog-licence.2")
    assert (refused(tmp_path).code, refused(tmp_path).file) == ("pack_duplicate", "dog-licence.2.yaml")


@pytest.mark.parametrize(
    ("field", "pack"),
    [
        ("certificate_type_code", CAT.replace("DX98", "DX99")),
        ("scenes", changed(CAT, "街头检查", "路边检查")),
        ("matters", changed(CAT, "年检", "检疫")),
        ("issuing_authorities", changed(CAT, "市公安局", "上海市公安局")),
    ],
)
def test_packs_that_give_one_code_two_meanings_are_refused(tmp_path: Path, field: str, pack: str) -> None:
    write_pack(tmp_path)
    write_pack(tmp_path, "cat-licence", pack)
    error = refused(tmp_path)
    assert (error.code, error.field) == ("pack_duplicate", field)


def test_packs_that_agree_stand_side_by_side(tmp_path: Path) -> None:
    write_pack(tmp_path)
    write_pack(tmp_path, "cat-licence", CAT, FACE)
    assert [kind.code for kind in Catalogue.load(tmp_path).types()] == ["cat-licence", "dog-licence"]


def test_every_shipped_type_has_an_example_for_each_required_item_and_for_its_number() -> None:
    for kind in SHIPPED.types():
        assert all(item.example is not None for item in kind.items if item.required), kind.code
        assert kind.example_number != "SPECIMEN-000001", kind.code


def test_an_example_that_its_item_refuses_breaks_the_pack() -> None:
    broken = changed(PACK, "type: enum", "type: enum\n    example: 无").encode()
    with pytest.raises(PackError) as refused:
        read_pack(broken, FACE.encode(), file="driving-licence.yaml", face_file="driving-licence.svg")
    assert refused.value.field.endswith(".example")
