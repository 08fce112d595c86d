"""The vector files, and that nothing is without one."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.verifier_sdk.cases import VALID, Case, World, outcome
from tests.verifier_sdk.test_sync import REFUSED_ANSWERS, REFUSED_STATUS_LISTS, REFUSED_TRUST_LISTS
from tests.verifier_sdk.write_vectors import FILES, VECTORS
from verifier_sdk.errors import CODES, Family

PACKAGE = Path(__file__).parents[2] / "verifier_sdk"
ON_THE_DEVICE = {"code_replayed", "replay_record_unavailable"}  # state, no input: test_live_code.py
AT_SYNCHRONISATION = {  # test_sync.py, by name
    "anchor_invalid",
    "anchor_missing",
    "anchor_changed",
    "cache_unavailable",
    "url_not_allowed",
    "host_not_allowed",
    "address_not_allowed",
    "unreachable",
    "too_large",
    "aggregation_malformed",
}


def load(name: str) -> Any:
    return json.loads((VECTORS / f"{name}.json").read_bytes())


def vectors() -> Iterator[Any]:
    for name in FILES:
        file = load(name)
        for case in file["cases"]:
            yield pytest.param(World(**file["world"]), Case(**case), id=f"{name}: {case['name']}")


@pytest.mark.parametrize(("world", "case"), list(vectors()))
def test_a_vector_has_its_outcome(world: World, case: Case, tmp_path: Path) -> None:
    assert outcome(case, world, tmp_path) == case.expect


def test_every_code_has_a_refusing_vector() -> None:
    refused = {case["expect"] for name in FILES for case in load(name)["cases"]} - {VALID}
    assert refused | ON_THE_DEVICE == {code for code, row in CODES.items() if row.family is not Family.TRUST}
    tables = (REFUSED_TRUST_LISTS, REFUSED_ANSWERS, REFUSED_STATUS_LISTS)
    fetched = {code for table in tables for code, _ in table.values()}
    assert fetched | AT_SYNCHRONISATION == {code for code, row in CODES.items() if row.family is Family.TRUST}


def test_every_code_says_what_it_means_in_two_languages_and_how_to_mend_it() -> None:
    for row in CODES.values():
        assert row.en
        assert row.zh
        assert bool(row.cure_en) == bool(row.cure_zh) == (row.family is Family.CANNOT_TELL)


def test_the_codes_of_the_readme_are_the_codes() -> None:
    readme = (PACKAGE / "README.md").read_text()
    listed = [line.split("`")[1] for line in readme.splitlines() if line.startswith("| `") and "` |" in line]
    assert listed == list(CODES)
