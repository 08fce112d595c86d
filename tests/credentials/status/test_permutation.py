"""The permutation: a bijection whatever the size, and nothing to guess from."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credentials.status.permutation import KeyedPermutation

KEY = b"k" * 32


@settings(max_examples=60, deadline=None)
@given(st.binary(min_size=16, max_size=32), st.integers(1, 300))
def test_it_is_a_bijection_for_any_key_and_size(key: bytes, size: int) -> None:
    permutation = KeyedPermutation(key, size)
    assert sorted(map(permutation, range(size))) == list(range(size))


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 2**40), st.data())
def test_images_stay_inside_any_domain(size: int, data: st.DataObject) -> None:
    value = data.draw(st.integers(0, size - 1))
    assert 0 <= KeyedPermutation(KEY, size)(value) < size


def test_different_keys_and_sizes_give_different_orders() -> None:
    first, *others = [
        [KeyedPermutation(key, size)(n) for n in range(50)]
        for key, size in ((KEY, 2**20), (KEY, 2**20), (b"l" * 32, 2**20), (KEY, 2**20 - 1))
    ]
    assert [order == first for order in others] == [True, False, False]


@pytest.mark.parametrize("size", [2**20, 1_000_000])
def test_neighbours_land_far_apart_and_in_no_progression(size: int) -> None:
    permutation = KeyedPermutation(KEY, size)
    images = [permutation(n) for n in range(2000)]
    steps = [after - before for before, after in pairwise(images)]
    assert len(set(steps)) > 1900
    assert sum(step > 0 for step in steps) in range(900, 1100)


def test_every_part_of_the_domain_is_hit_about_equally() -> None:
    permutation = KeyedPermutation(KEY, 2**20)
    buckets = [0] * 16
    for n in range(8000):
        buckets[permutation(n) >> 16] += 1
    assert all(400 < bucket < 600 for bucket in buckets)
