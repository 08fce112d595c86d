"""A live code is read from a picture as a phone takes it. `make bench` tries 200 of them, this a few."""

from random import Random

import pytest

from presentation.shows import Profile
from tests.presentation.photographs import is_read
from tests.presentation.test_passes import live_code_text

PICTURES = 8


@pytest.mark.parametrize("profile", list(Profile))
def test_a_live_code_is_read_from_pictures_as_a_phone_takes_them(profile: Profile) -> None:
    text = live_code_text(profile)
    assert sum(is_read(text, Random(seed)) for seed in range(PICTURES)) >= PICTURES - 1
