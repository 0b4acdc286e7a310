"""What the host does while the device trains: shuffling, reading, writing; and that it changes nothing."""

import time
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxrobust.data.dataset import Examples
from jaxrobust.networks.mlp import MLP
from jaxrobust.training import batches, files, loop, reports
from jaxrobust.training.batches import BatchOrder, batch_indices
from jaxrobust.training.checkpoints import load_tree, save_tree
from jaxrobust.training.compilation import Programs
from jaxrobust.training.files import CHECKPOINT, Writer
from jaxrobust.training.loop import train
from jaxrobust.training.methods import Standard
from jaxrobust.training.schedule import Phases
from jaxrobust.training.training import Training


def a_training(folder: Path, seed: int = 0) -> Training:
    """43 steps; an epoch has 8.6."""
    return Training(
        network=MLP(n_in=4, n_hidden=(8,), n_out=3),
        method=Standard(),
        schedule=Phases((5.0,), (0.01,)),
        optimizer="adam",
        batch_size=7,
        seed=seed,
        eval_step_interval=10,
        folder=folder,
    )


def examples(n: int) -> Examples:
    rng = np.random.default_rng(n)
    return Examples(rng.standard_normal((n, 4)).astype(np.float32), (np.arange(n) % 3).astype(np.int32))


def run(*trainings, **how):
    return train(trainings, examples(60), examples(33), **how)


# --- the order of the data ---


def test_kept_epochs_change_no_batch():
    order = BatchOrder(3, batch_size=7, n_samples=60)
    for first, n_steps in ((0, 20), (20, 20), (40, 20), (5, 3), (0, 1)):
        alone = batch_indices(3, first, n_steps, batch_size=7, n_samples=60)
        np.testing.assert_array_equal(order.indices(first, n_steps), alone)


def test_an_epoch_is_shuffled_once_for_consecutive_blocks_and_for_models_of_one_seed(tmp_path, monkeypatch):
    drawn = []

    def counted(seed, epoch, n_samples):
        drawn.append((seed, epoch))
        return shuffle(seed, epoch, n_samples)

    shuffle = batches._epoch
    monkeypatch.setattr(batches, "_epoch", counted)
    monkeypatch.setattr(loop, "MAX_BLOCK", 10)
    run(*(a_training(tmp_path / str(i), seed=seed) for i, seed in enumerate((0, 0, 1))))
    assert len(drawn) == len(set(drawn))
    assert {seed for seed, _ in drawn} == {0, 1}
    assert len(drawn) >= 2 * 5  # five epochs of two seeds


# --- the order of events ---


@pytest.mark.parametrize("is_computed", [False, True])
def test_the_next_block_is_handed_over_before_the_host_waits_for_this_one(is_computed, tmp_path, monkeypatch):
    """A block that is not computed yet is read after the next is handed over, any other at once."""
    events = []

    def noted(function, name):
        def call(*arguments):
            events.append(name)
            return function(*arguments)

        return call

    monkeypatch.setattr(Programs, "take", noted(Programs.take, "block"))
    monkeypatch.setattr(reports.Reports, "read", noted(reports.Reports.read, "read"))
    monkeypatch.setattr(reports.BlockReport, "is_computed", property(lambda self: is_computed))
    run(a_training(tmp_path))
    assert events.count("block") == events.count("read")
    if is_computed:
        assert events == ["block", "read"] * (len(events) // 2)
    else:
        assert events[:5] == ["block", "block", "read", "block", "read"]
        assert events[-2:] == ["read", "read"]  # at the end all are read


def test_a_report_is_computed_when_all_its_arrays_are():
    class Array:
        def __init__(self, ready: bool):
            self.is_ready = lambda: ready

    done, running = Array(True), Array(False)
    assert reports.BlockReport(1, 1, 0.0, done, None, {"probe": done}).is_computed
    assert not reports.BlockReport(1, 1, 0.0, running, None, {"probe": done}).is_computed
    assert not reports.BlockReport(1, 1, 0.0, done, None, {"probe": running}).is_computed


# --- files ---


def test_files_are_written_in_order_and_none_after_one_that_failed(tmp_path, monkeypatch):
    written = []

    def save(path, tree):
        if path.name == "bad":
            raise OSError("disk full")
        written.append(path.name)

    monkeypatch.setattr(files, "save_tree", save)
    with Writer() as writer:
        for name in ("one", "two", "bad", "three"):
            writer.save(Path(name), {})
        with pytest.raises(OSError, match="disk full"):
            writer.wait()
    assert written == ["one", "two"]


def test_an_error_of_the_computation_is_not_hidden_by_one_of_a_file(monkeypatch):
    monkeypatch.setattr(files, "save_tree", lambda path, tree: 1 / 0)

    def compute():
        with Writer() as writer:
            writer.save(Path("a"), {})
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        compute()


@pytest.mark.parametrize("seconds", [0.0, 60.0])
def test_a_checkpoint_that_cannot_be_written_ends_the_training(tmp_path, monkeypatch, seconds):
    def save(path, tree):
        raise OSError("disk full")

    monkeypatch.setattr(files, "save_tree", save)
    with pytest.raises(OSError, match="disk full"):
        run(a_training(tmp_path), checkpoint_seconds=seconds)


def test_what_is_written_late_is_the_step_it_was_given_at(tmp_path, monkeypatch):
    """The device reuses the memory of its state at once."""
    steps = []

    def late(path, tree):
        before = jax.tree.map(np.copy, tree)
        time.sleep(0.05)
        jax.tree.map(np.testing.assert_array_equal, tree, before)
        steps.append(int(tree.step))
        save_tree(path, tree)

    monkeypatch.setattr(files, "save_tree", late)
    training = a_training(tmp_path / "late")
    (trained,) = run(training, checkpoint_seconds=0.0)
    assert steps == sorted(set(steps))
    assert steps[-1] == 43
    last, _ = load_tree(training.folder / CHECKPOINT, like=loop._resume(a_training(tmp_path / "nothing")))
    jax.tree.map(np.testing.assert_array_equal, last.best.parameters, trained.parameters)
