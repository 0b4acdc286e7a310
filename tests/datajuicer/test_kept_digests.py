"""Digests of large arrays are kept from run to run, with a copy that shows every change."""

import gc

import numpy as np
import pytest

from datajuicer.keys import digest, kept


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch):
    monkeypatch.setattr(kept, "_kept", type(kept._kept)())


@pytest.fixture
def hashed(monkeypatch):
    """How many large arrays were hashed."""
    counted = []
    really = kept._hash
    monkeypatch.setattr(kept, "_hash", lambda data: counted.append(data.nbytes) or really(data))
    return counted


def large(odd: int = 0) -> np.ndarray:
    return np.arange(kept.LARGE + odd, dtype=np.uint8)


def fresh(array: np.ndarray) -> str:
    """The digest of an array that was never seen before."""
    return digest(array.copy())


def test_an_array_is_hashed_twice_and_compared_from_then_on(hashed):
    data = large()
    assert len({digest(data) for _ in range(5)}) == 1
    assert len(hashed) == 2
    assert digest(data) == fresh(data)


@pytest.mark.parametrize("place", [0, 7, kept.LARGE // 2, -1])
@pytest.mark.parametrize("odd", [0, 3])
def test_every_change_in_place_is_seen(place, odd):
    data = large(odd)
    before = [digest(data) for _ in range(3)]
    data[place] ^= 1
    assert digest(data) == fresh(data) != before[0]
    data[place] ^= 1
    assert digest(data) == before[0]


@pytest.mark.parametrize("change", ["shuffled", "minus zero", "other NaN"])
def test_changes_that_sums_and_comparisons_of_numbers_do_not_show(change):
    data = np.zeros(kept.LARGE // 8)
    data[: len(data) // 2] = np.nan if change == "other NaN" else 1.0
    if change == "minus zero":
        data[:] = 0.0
    (before,) = {digest(data) for _ in range(3)}
    if change == "shuffled":
        np.random.default_rng(0).shuffle(data)
    elif change == "minus zero":
        data[5] = -0.0
    else:
        data.view(np.uint64)[0] ^= 1
    assert digest(data) == fresh(data) != before


def test_another_shape_or_dtype_of_the_same_bytes_is_another_key():
    data = large()
    keys = {digest(data), digest(data), digest(data)}
    data.shape = (2, -1)
    keys.add(digest(data))
    assert len(keys) == 2
    assert digest(data) == fresh(data)


def test_a_strided_array_is_known_by_its_content(hashed):
    data = np.asfortranarray(np.arange(kept.LARGE // 4).reshape(1024, -1))
    assert len({digest(data) for _ in range(4)}) == 1
    assert len(hashed) == 2
    data[3, 4] += 1
    assert digest(data) == fresh(data)


def test_copies_go_with_their_arrays():
    data = large()
    for _ in range(3):
        digest(data)
    assert len(kept._kept) == 1
    del data
    gc.collect()
    assert not kept._kept


def test_copies_take_no_more_than_their_share(monkeypatch, hashed):
    monkeypatch.setattr(kept, "MAX_COPIES", 2 * kept.LARGE)
    several = [large() for _ in range(4)]
    for _ in range(3):
        for data in several:
            digest(data)
    copies = [one.copy.nbytes for one in kept._kept.values() if one.copy is not None]
    assert sum(copies) <= 2 * kept.LARGE
    before = len(hashed)
    digest(large(odd=kept.MAX_COPIES))
    assert hashed[before:] == [kept.LARGE + kept.MAX_COPIES]
    assert len(kept._kept) <= 4
