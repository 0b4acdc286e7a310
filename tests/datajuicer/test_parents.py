"""Planning ahead: points that hold points of an earlier run, known by their keys."""

import pickle

import pytest

import datajuicer as dj
from datajuicer.running.parent import exchange_parents


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


def scaled(settings):
    return {"height": settings["size"] * settings.get("factor", 1)}


def of_factor(default):
    """Return a function of one name whose dependency has this default."""
    return dj.cachable(["settings:size", f"settings:factor?={default}"], table_name="scaled")(scaled)


def children_of(default, cache_dir=None):
    grid = [{"size": 10, "factor": default}]
    (parent,) = dj.planned(grid, of_factor(default), "key", cache_dir)("{*}")
    return grid, [{"parent": parent, "rate": 0.5}]


@dj.cachable(dependencies=["model:parent.key", "model:rate"], on_code_change="ignore")
def halved(model):
    return model["parent"]["height"] * model["rate"]


@dj.cachable(dependencies=["parent"], on_code_change="ignore")
def quartered(parent):
    return parent["height"] / 4


@dj.cachable(dependencies=["child"], on_code_change="ignore")
def summed(child):
    return child["parent"]["height"] + child["halved"]


@pytest.mark.parametrize(
    ("function", "argument", "values"),
    [(halved, "{*}", (5.0, 10.0)), (quartered, "{parent}", (2.5, 5.0))],
    ids=["key in the settings", "parent"],
)
@pytest.mark.parametrize("n_threads", [1, 2])
def test_a_parent_of_another_default_is_another_parent(function, argument, values, n_threads, tmp_path):
    how = {"cache_dir": tmp_path, "progress": False}
    for default, value in zip((1, 2), values, strict=True):
        grid, children = children_of(default)  # planned before anything is there
        dj.run(grid, of_factor(default), **how)("{*}")
        assert len(dj.status(children, function, tmp_path)(argument).missing) == 1
        assert dj.run(children, function, n_threads, **how)(argument) == [value]
    for default, value in zip((1, 2), values, strict=True):
        _, children = children_of(default)
        assert str(dj.status(children, function, tmp_path)(argument)).startswith("1 done")
        assert dj.run(children, function, run_mode="load", **how)(argument) == [value]


def test_a_parent_is_planned_under_its_own_key_where_the_store_is_known(tmp_path):
    for default in (1, 2):
        dj.run([{"size": 10, "factor": default}], of_factor(default), cache_dir=tmp_path)("{*}")
    keys = {record["key"] for record in dj.Store(tmp_path).records("scaled")}
    found = [children_of(default, tmp_path)[1][0]["parent"] for default in (1, 2)]
    assert {parent.key for parent in found} == {parent["key"] for parent in found} == keys
    assert found[0].key == children_of(1)[1][0]["parent"].key  # the first stays a hit


def test_a_grandparent_of_another_default_is_found_too(tmp_path):
    values = []
    for default in (1, 2):
        grid, children = children_of(default)
        dj.run(grid, of_factor(default), cache_dir=tmp_path)("{*}")
        later = [{"child": child} for child in dj.planned(children, halved)("{*}")]
        dj.run(children, halved, cache_dir=tmp_path)("{*}")
        values += dj.run(later, summed, cache_dir=tmp_path)("{child}")
    assert values == [15.0, 30.0]


def test_parents_of_both_defaults_in_one_grid(tmp_path):
    for default in (1, 2):
        dj.run([{"size": 10, "factor": default}], of_factor(default), cache_dir=tmp_path)("{*}")
    children = [children_of(default)[1][0] for default in (2, 1, 2)]
    assert dj.run(children, quartered, cache_dir=tmp_path)("{parent}") == [5.0, 2.5, 5.0]


def test_a_parent_is_never_loaded_from_a_result_of_another_default(tmp_path):
    dj.run([{"size": 10, "factor": 1}], of_factor(1), cache_dir=tmp_path)("{*}")
    store = dj.Store(tmp_path)
    assert children_of(1)[1][0]["parent"].load(store)["height"] == 10
    with pytest.raises(dj.UsageError, match=r"made with another settings:factor"):
        children_of(2)[1][0]["parent"].load(store)


def test_values_that_hold_themselves_and_a_parent():
    (first,) = dj.planned(seeds(1), grown)("{*}")
    extra = {"first": first, "list": [3]}
    extra["me"] = extra
    extra["list"].append(extra["list"])
    made = exchange_parents(extra, lambda parent: parent["seed"])
    assert made["first"] == 1
    assert made["me"] is made
    assert made["list"] is extra["list"]  # without a parent
