"""The programs of a grid are compiled side by side before its first model trains, and not again."""

import threading

import jax

import datajuicer as dj
from jaxrobust.networks.mlp import MLP
from jaxrobust.studies.compiling import compile_ahead
from jaxrobust.studies.parameter_noise.catalogue import digits_mlp
from jaxrobust.studies.training_points import training_point
from jaxrobust.training.schedule import Phases

PROGRAMS = {"jit(train_block)", "jit(validate)"}


def grid():
    """Two networks of one kind, and one of the first study."""
    how = {"schedule": Phases((0.1,), (1e-2,)), "batch_size": 50}
    wide = training_point(MLP(64, (5,), 10), "digits", **how)
    flat = digits_mlp.make() | {"beta_robustness": 0.0, "n_hidden": (6,), "n_epochs": (0.1, 0.1)}
    return [*dj.split([wide], "seed", [0, 1]), flat]


def test_every_program_of_a_grid_is_compiled_in_threads_once(tmp_path):
    names = []

    def listen(event, duration, fun_name="", **_):
        if event == "/jax/core/compile/backend_compile_duration" and fun_name in PROGRAMS:
            names.append((fun_name, threading.current_thread().name.startswith("compile")))

    jax.monitoring.register_event_duration_secs_listener(listen)
    assert compile_ahead(grid(), 2) == 2
    assert sorted(names) == sorted((name, True) for name in PROGRAMS for _ in range(2))
    points = dj.run(grid(), "train", store_key="*", batch=2, cache_dir=tmp_path, progress=False)("{*}")
    assert all("parameters" in point for point in points)
    assert len(names) == 4


def test_what_cannot_be_trained_is_left_to_the_training_to_say():
    bad = digits_mlp.make() | {"dataset": "generated_ecg"}
    absent = training_point(MLP(784, (5,), 10), "mnist", schedule=Phases((0.1,), (1e-2,)), data_folder="/no")
    assert compile_ahead([bad, absent, grid()[0]], 2) == 2


def test_one_kind_is_left_to_its_training(monkeypatch):
    monkeypatch.setattr("jaxrobust.studies.compiling.compile_side_by_side", lambda programs: 1 / 0)
    assert compile_ahead(grid()[:2], 2) == 1
    assert compile_ahead([], 2) == 0


def test_points_that_train_in_another_way_are_left_alone():
    @dj.cachable(["model:network"], table_name="mine")
    def mine(model):
        return model["network"]

    assert (
        compile_ahead([{"network": "a", "train": mine}, {"architecture": "cnn", "train": mine}, {}], 2) == 0
    )


def test_the_command_computes_several_models_per_job(typed):
    said = typed("train.py", "-exp=chain", "-models_per_job=2").out
    assert "chain: 6 models trained and evaluated" in said
