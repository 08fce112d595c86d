"""The live code: what holds, what does not, and why."""

from pathlib import Path

import pytest

from tests.verifier_sdk.cases import Case, World, outcome
from tests.verifier_sdk.issuer import Issuer
from tests.verifier_sdk.live_codes import live_code_cases

NAMES = [case.name for case in live_code_cases(Issuer())]


@pytest.fixture(scope="module")
def cases(issuer: Issuer) -> dict[str, Case]:
    return {case.name: case for case in live_code_cases(issuer)}


@pytest.mark.parametrize("name", NAMES)
def test_a_live_code_has_the_outcome_of_its_case(
    name: str, cases: dict[str, Case], world: World, tmp_path: Path
) -> None:
    assert outcome(cases[name], world, tmp_path) == cases[name].expect
