"""Planning ahead: points that hold points of an earlier run, known by their keys."""

import pickle

import pytest

import datajuicer as dj


@dj.cachable(dependencies=["model:seed"], on_code_change="ignore")
def grown(model):
    if model["seed"] == 2:
        raise ValueError("planted")
    return {"height": 10 * model["seed"]}


@dj.cachable(on_code_change="ignore")
def joined(front, end, seam=1):
    return {"sum": front["height"] + end["height"] + seam}


@dj.cachable(dependencies=["model:parent.grown", "model:rate"], on_code_change="ignore")
def pruned(model):
    return {"height": model["parent"]["height"] * model["rate"]}


def seeds(*numbers):
    return dj.split([{}], "seed", list(numbers))


def pairs(*numbers):
    trees = dj.planned(seeds(*numbers), grown)("{*}")
    return [{"front": trees[i], "end": trees[i - 1]} for i in range(len(trees))]


def test_keys_are_the_same_before_and_after_the_parents_are_computed(tmp_path):
    waiting = dj.status(pairs(0, 1), joined, tmp_path)("{front}", "{end}")
    assert str(waiting) == "0 done, 0 failed, 0 running, 0 missing, 2 waiting"
    dj.run(seeds(0, 1), grown, cache_dir=tmp_path)("{*}")
    assert len(dj.status(pairs(0, 1), joined, tmp_path)("{front}", "{end}").missing) == 2
    dj.run(pairs(0, 1), joined, cache_dir=tmp_path)("{front}", "{end}")
    loaded = dj.run(pairs(0, 1), joined, cache_dir=tmp_path, run_mode="load")("{front}", "{end}")
    assert [value["sum"] for value in loaded] == [11, 11]


@pytest.mark.parametrize("n_threads", [1, 2])
def test_two_parents_are_loaded_where_a_point_is_computed(n_threads, tmp_path):
    dj.run(seeds(0, 1), grown, cache_dir=tmp_path)("{*}")
    values = dj.run(pairs(0, 1), joined, n_threads, cache_dir=tmp_path, progress=False)("{front}", "{end}")
    assert [value["sum"] for value in values] == [11, 11]


def test_other_parents_are_other_results():
    one, other = (dj.planned([pair], joined, "key")("{front}", "{end}")[0]["key"] for pair in pairs(0, 1))
    assert one != other  # front and end are exchanged


def test_a_chain_is_planned_to_its_end(tmp_path):
    trees = dj.planned(seeds(3), grown, "grown")("{*}")
    rounds = [trees]
    for _ in range(3):
        points = [{"parent": parent, "rate": 0.5} for parent in rounds[-1]]
        rounds.append(dj.planned(points, pruned, "grown")("{*}"))
    keys = [points[0].key for points in rounds]
    assert len(set(keys)) == 4
    dj.run(trees, grown, cache_dir=tmp_path)("{*}")
    values = [dj.run(points, pruned, cache_dir=tmp_path)("{*}")[0] for points in rounds[1:]]
    assert [value["height"] for value in values] == [15.0, 7.5, 3.75]


def test_a_point_whose_parent_failed_is_refused_in_one_sentence_and_not_recorded(tmp_path):
    with pytest.raises(dj.RunError):
        dj.run(seeds(1, 2), grown, cache_dir=tmp_path)("{*}")
    with pytest.raises(dj.RunError) as raised:
        dj.run(pairs(1, 2), joined, cache_dir=tmp_path)("{front}", "{end}")
    assert [failure.recorded for failure in raised.value.failures] == [False, False]
    assert "it needs the result of grown (seed=2), which is not there" in str(raised.value)
    assert len(dj.status(pairs(1, 2), joined, tmp_path)("{front}", "{end}").waiting) == 2


def test_a_parent_survives_a_pickle_and_its_record_names_its_key(tmp_path):
    (parent,) = dj.planned(seeds(1), grown)("{*}")
    again = pickle.loads(pickle.dumps(parent))
    assert (again, again.key, again.function) == (parent, parent.key, grown)
    dj.run(seeds(1), grown, cache_dir=tmp_path)("{*}")
    dj.run([{"front": parent, "end": parent}], joined, cache_dir=tmp_path)("{front}", "{end}")
    (record,) = dj.Store(tmp_path).records("joined")
    assert record["dependencies"]["front"] == ["parent", "grown", parent.key]


def test_only_cachable_functions_can_be_parents():
    with pytest.raises(dj.UsageError, match="is not cachable"):
        dj.planned(seeds(1), len)("{*}")
