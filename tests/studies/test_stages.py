"""Experiments of several stages: a chain, and points with two parents, through both command lines."""

import json
from contextlib import contextmanager

import pytest

import datajuicer as dj
from datajuicer.clusters.dask_executor import DaskExecutor
from jaxrobust.cli import on_cluster
from jaxrobust.errors import InputError
from jaxrobust.studies.stages import Stage, plan_stages, stages_of

COUNTS = "0 done, 0 running, 0 failed, 2 missing"


def test_a_chain_is_trained_and_drawn(typed, tmp_path):
    assert typed("train.py", "-exp=chain", "-status").out.startswith(f"{COUNTS}, 4 waiting")
    assert "chain: 6 models trained and evaluated" in typed("train.py", "-exp=chain").out
    assert typed("train.py", "-exp=chain", "-status").out.startswith("6 done")
    typed("make_figures.py", "-exp=chain")
    left = json.loads((tmp_path / "figures" / "chain.json").read_text())
    assert left == [["train", 4]] * 2 + [["round_1", 2]] * 2 + [["round_2", 1]] * 2


def test_points_with_two_parents_are_trained_and_drawn_without_evaluate(typed, tmp_path):
    assert typed("train.py", "-exp=pairs", "-status").out.startswith(f"{COUNTS}, 2 waiting")
    assert "pairs: 4 models trained\n" in typed("train.py", "-exp=pairs").out
    typed("make_figures.py", "-exp=pairs")
    rows = json.loads((tmp_path / "figures" / "pairs.json").read_text())
    assert rows == [[0, 1, 2, 8], [1, 0, 2, 8]]


def test_experiments_share_a_stage_and_a_second_run_computes_nothing(typed, tmp_path):
    typed("train.py", "-exp=chain,pairs")
    records = {path: path.read_text() for path in tmp_path.glob("my_sessions/*/*/*.json")}
    assert len(records) == 2 + 4 + 2
    typed("train.py", "-exp=chain,pairs")
    assert {path: path.read_text() for path in tmp_path.glob("my_sessions/*/*/*.json")} == records


def test_words_are_for_the_first_stage_or_for_the_one_they_name(typed):
    typed("train.py", "-exp=pairs")
    assert typed("train.py", "-exp=pairs", "-stitch.layer=3", "-status").out.startswith(
        "2 done, 0 running, 0 failed, 2 missing"
    )
    changed = typed("train.py", "-exp=pairs", "-method.attack.size=0.03", "-status").out
    assert changed.startswith(f"{COUNTS}, 2 waiting")
    assert "-method.attack.size=0.03" in changed


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("-method.atack.size=1", "Did you mean 'attack'?"),
        ("-methd.attack.size=1", "Did you mean 'method'?"),
        ("-stitch.layr=1", "Did you mean 'layer'?"),
        ("-method.attack.size=big", "must be a number"),
        ("-method.attack.n_steps=1.5", "must be a whole number"),
        ("-method.warm=maybe", "must be true or false"),
        ("-method.attack=1", "set one of its settings"),
        ("-seed.x=1", "has no settings of its own"),
    ],
)
def test_a_wrong_word_is_one_sentence(word, says, typed):
    said = typed("train.py", "-exp=pairs", word, "-status", status=2)
    assert says in said.err
    assert len(said.err.splitlines()) == 1


def test_points_whose_parents_failed_wait_and_the_others_are_computed(typed):
    said = typed("train.py", "-exp=pairs", status=1, seeds="[0, 1, 13]")
    assert "planted" in said.err
    assert "waiting: 4 points of stage 'stitch' need earlier results" in said.err
    status = typed("train.py", "-exp=pairs", "-status").out
    assert status.startswith("4 done, 0 running, 1 failed, 0 missing, 4 waiting")
    assert "missing: pairs: 1 of 3 points" in typed("make_figures.py", "-exp=pairs", status=1).err


def test_retry_computes_what_failed_and_what_waited_for_it(typed, tmp_path):
    typed("train.py", "-exp=chain", seeds="[0, 13]", status=1)
    before = started(tmp_path)
    assert len(before) == 3
    (tmp_path / "fixed").touch()
    typed("train.py", "-exp=chain", status=1)  # a recorded failure is reported, not recomputed
    assert started(tmp_path) == before
    assert "chain: 6 models trained and evaluated" in typed("train.py", "-exp=chain", "-retry").out
    assert len(started(tmp_path)) == 6
    assert before.items() <= started(tmp_path).items()


def test_force_computes_every_stage_again_and_keeps_the_old_results(typed, tmp_path):
    typed("train.py", "-exp=chain")
    before = started(tmp_path)
    assert "chain: 6 models trained and evaluated" in typed("train.py", "-exp=chain", "-force").out
    after = started(tmp_path)
    assert before.keys() == after.keys()
    assert all(before[name] < after[name] for name in before)
    assert len(list(tmp_path.glob("my_sessions/*/*/*/replaced-*.json"))) == 6
    typed("train.py", "-exp=chain")
    assert started(tmp_path) == after


def test_stages_go_through_dask_one_after_the_other(typed, tmp_path, monkeypatch):
    distributed = pytest.importorskip("distributed")

    @contextmanager
    def in_threads(*_, **__):
        with distributed.Client(processes=False, n_workers=1, dashboard_address=None) as client:
            yield DaskExecutor(client)

    monkeypatch.setattr(on_cluster, "dask_cluster", in_threads)
    assert "chain: 6 models trained and evaluated" in typed("train.py", "-exp=chain", "-mode=dask").out
    assert len(started(tmp_path)) == 6


def started(folder):
    """When each stored result was begun, by function and key."""
    store = dj.Store(folder / "my_sessions")
    return {
        (name, record["key"]): record["started"]
        for name in store.functions()
        for record in store.records(name)
    }


def test_a_grid_that_reads_results_is_one_sentence():
    stages = [
        Stage("train", lambda _: [], "train"),
        Stage("next", lambda p: [{"a": p["train"][0]["x"]}], "f"),
    ]

    @dj.cachable(dependencies=["model:seed"], table_name="f")
    def f(model):
        return {}

    with pytest.raises(InputError, match=r"grid of stage 'next' reads 'x'.*before there are results"):
        plan_stages(stages, [{"seed": 0, "train": f}])


@pytest.mark.parametrize(
    ("stages", "says"),
    [
        (("train", "stich"), "no method stich_grid"),
        (("train", "train"), "two stages named 'train'"),
        ((), "has no stages"),
    ],
)
def test_stages_that_cannot_be_are_one_sentence(stages, says):
    mine = type("mine", (), {"stages": stages, "train_grid": lambda self: []})
    with pytest.raises(InputError, match=says):
        stages_of(mine())
