"""Comparing two stores: which results are the same, and where the others differ first."""

import json

import numpy as np
import pytest

import datajuicer as dj

VALUES = {"loss": [0.5, 0.25], "name": "a", "kept": {"best": 3}}


@pytest.fixture
def stores(tmp_path):
    return dj.Store(tmp_path / "one"), dj.Store(tmp_path / "other")


class Now:
    """What the function gives today; no setting, so the keys stay."""

    values = ()


@dj.cachable(dependencies=["n"], on_code_change="ignore")
def learn(n):
    return Now.values[n]


def computed(store, values):
    """A store with values as one run of the function gave them."""
    Now.values = values
    dj.run([{"n": n} for n in range(len(values))], learn, cache_dir=store, progress=False)("{n}")
    return store


def test_equal_results_are_the_same_and_what_only_one_has_is_missing(stores):
    one, other = computed(stores[0], [VALUES, VALUES]), computed(stores[1], [VALUES])
    found = dj.compare_results(one, other)
    assert (len(found.same), len(found.missing), found.different) == (1, 1, {})
    assert dj.compare_results(other, one).missing == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"loss": [0.5, 0.25000000000000006]}, "value.loss[1]: 0.25 and 0.25000000000000006"),
        ({"loss": [0.5]}, "value.loss: 2 and 1 elements"),
        ({"name": "b"}, "value.name: 'a' and 'b'"),
        ({"kept": {"best": 3.0}}, "value.kept.best: 3 and 3.0"),
        ({"kept": {"last": 3}}, "value.kept.best: only in the first"),
    ],
)
def test_the_first_place_that_differs_is_named(stores, changed, said):
    one, other = computed(stores[0], [VALUES]), computed(stores[1], [VALUES | changed])
    (where,) = dj.compare_results(one, other).different.values()
    assert where == said


def test_nan_is_equal_to_nan_and_arrays_are_compared(stores):
    nan = {"loss": float("nan"), "w": np.arange(3.0)}
    one, other = computed(stores[0], [nan, nan]), computed(stores[1], [nan, nan | {"w": np.zeros(3)}])
    found = dj.compare_results(one, other)
    assert len(found.same) == len(found.different) == 1
    assert json.dumps(found.different)


def test_a_store_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(dj.UsageError, match="there is no store"):
        dj.compare_results(dj.Store(tmp_path / "none"), dj.Store(tmp_path))
