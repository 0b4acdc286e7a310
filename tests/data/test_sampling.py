import numpy as np

from jaxrobust.data.sampling import draw_evenly, stratified_parts


def test_small_groups_give_all_and_large_ones_share_the_rest():
    groups = np.array([1] * 3 + [2] * 50 + [3] * 50)
    chosen = draw_evenly(groups, 23, np.random.default_rng(0))
    assert np.bincount(groups[chosen])[1:].tolist() == [3, 10, 10]
    assert len(np.unique(chosen)) == 23


def test_no_more_than_there_is():
    assert draw_evenly(np.array([1, 1, 2]), 10, np.random.default_rng(0)).tolist() == [0, 1, 2]


def test_the_draw_follows_the_seed():
    groups = np.repeat([1, 2], 100)
    draws = [draw_evenly(groups, 20, np.random.default_rng(seed)).tolist() for seed in (0, 0, 1)]
    assert draws[0] == draws[1] != draws[2]


def test_parts_are_disjoint_complete_and_stratified():
    labels = np.repeat([0, 1, 2], [100, 200, 700])
    parts = stratified_parts(labels, (0.8, 0.1, 0.1), np.random.default_rng(0))
    assert sorted(np.concatenate(parts).tolist()) == list(range(1000))
    assert [np.bincount(labels[part]).tolist() for part in parts] == [
        [80, 160, 560],
        [10, 20, 70],
        [10, 20, 70],
    ]
