"""The vector files, and that nothing is without one."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.verifier_sdk import documents
from tests.verifier_sdk.cases import VALID, Case, World, outcome
from tests.verifier_sdk.documents import Document, Held
from tests.verifier_sdk.write_vectors import FILES, VECTORS
from verifier_sdk.errors import CODES, Family

PACKAGE = Path(__file__).parents[2] / "verifier_sdk"
NO_VECTOR = {  # why no input alone brings the code about, and where it is tested
    "code_replayed": "the device's memory: test_live_code.py",
    "replay_record_unavailable": "the device's disk: test_live_code.py",
    "check_not_recorded": "the device's journal: test_journal.py",
    "already_used": "the platform's memory: test_online.py",
    "lapsed": "the platform's knowledge: test_online.py",
    "refused_by_platform": "an answer that nobody signs: test_online.py",
    "state_unknown": "an answer that nobody signs: test_online.py",
    "verifier_refused": "an answer that nobody signs: test_online.py",
    "too_many_requests": "an answer that nobody signs: test_online.py",
    "network_unavailable": "the network: test_online.py",
    "anchor_invalid": "the caller's argument: test_sync.py",
    "anchor_missing": "the caller's argument: test_sync.py",
    "anchor_changed": "the device's memory: test_sync.py",
    "cache_unavailable": "the device's disk: test_sync.py",
    "url_not_allowed": "the caller's argument: test_sync.py",
    "host_not_allowed": "the address of a document: test_sync.py",
    "address_not_allowed": "the network: test_sync.py",
    "unreachable": "the network: test_sync.py",
    "http_status": "the network: test_sync.py",
    "redirect_refused": "the network: test_sync.py",
    "content_type_wrong": "the network: test_sync.py",
    "too_large": "larger than a file of vectors should be: test_sync.py",
    "aggregation_malformed": "nobody signs it, and it only says what to fetch: test_sync.py",
    "status_list_rolled_back": "the device's memory: test_sync.py",
    "journal_unavailable": "the device's disk: test_journal.py",
    "journal_key_missing": "the device's disk: test_journal.py",
    "journal_tampered": "no exchanged format: test_journal.py",
    "journal_full": "the device's disk: test_journal.py",
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


@pytest.mark.parametrize("case", load("documents")["cases"], ids=lambda case: f"{case['kind']}: {case['name']}")
def test_a_document_has_its_outcome(case: dict[str, str]) -> None:
    assert documents.outcome(Document(**case), Held(**load("documents")["held"])) == case["expect"]


def test_every_code_has_a_refusing_vector_or_a_reason() -> None:
    refused = {case["expect"] for name in (*FILES, "documents") for case in load(name)["cases"]} - {VALID}
    assert refused.isdisjoint(NO_VECTOR)
    assert refused | NO_VECTOR.keys() == CODES.keys()


def test_a_code_without_a_vector_is_tested_where_it_says() -> None:
    for code, reason in NO_VECTOR.items():
        assert code in (Path(__file__).parent / reason.rpartition(" ")[2]).read_text(), code


def test_every_code_says_what_it_means_in_two_languages_and_how_to_mend_it() -> None:
    for row in CODES.values():
        assert row.en
        assert row.zh
        assert bool(row.cure_en) == bool(row.cure_zh) == (row.family is Family.CANNOT_TELL)


def test_the_codes_of_the_readme_are_the_codes() -> None:
    readme = (PACKAGE / "README.md").read_text()
    listed = [line.split("`")[1] for line in readme.splitlines() if line.startswith("| `") and "` |" in line]
    assert listed == list(CODES)
