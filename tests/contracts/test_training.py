"""What every kind of training keeps: resuming, company, compilation; and what each option does."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrobust.attacks.input_attack import InputAttack
from jaxrobust.attacks.parameter_attack import ParameterAttack
from jaxrobust.criteria import CrossEntropy, Hinge, SquaredError
from jaxrobust.data.dataset import Examples
from jaxrobust.errors import InputError
from jaxrobust.measures.mismatch import perturbed_accuracies
from jaxrobust.networks.mlp import MLP
from jaxrobust.networks.network import Variables
from jaxrobust.perturbations.mismatch import GaussianMismatch
from jaxrobust.training.augmentation import Crop, Flip, InTurn
from jaxrobust.training.checkpoints import load_tree
from jaxrobust.training.files import optimizer_file
from jaxrobust.training.loop import train
from jaxrobust.training.methods import ForwardNoise, NormPenalty, Standard
from jaxrobust.training.optimizers import SGD, Adam, Masks, Projected, SingularValues
from jaxrobust.training.probes import Probes, UnderInputAttack, UnderParameterAttack, UnderPerturbation
from jaxrobust.training.schedule import Cosine, Exponential, Phases
from jaxrobust.training.training import Seeds, Training, TrainingStopped, program_structure

NETWORK = MLP(n_in=4, n_hidden=(6,), n_out=3)
START = NETWORK.init(jax.random.key(77))
MASKS = {
    "w1": np.arange(24).reshape(4, 6) % 3 > 0,
    "b1": np.ones(6),
    "w2": np.ones((6, 3)),
    "b2": np.ones(3),
}
PROBES = Probes(
    {
        "mismatch": UnderPerturbation(GaussianMismatch(0.3), n_draws=2),
        "attack": UnderParameterAttack(ParameterAttack(0.1, n_steps=1)),
        "inputs": UnderInputAttack(InputAttack(0.2, n_steps=1)),
    },
    step_interval=4,
    n_samples=20,
)
CASES = {
    "plain": {},
    "every option": {
        "method": NormPenalty(ForwardNoise(0.1), 0.001),
        "optimizer": Projected(Projected(Adam(), SingularValues(2.0), every=3), Masks(MASKS)),
        "schedule": Cosine(1.5, 0.02),
        "criterion": Hinge(0.5),
        "start": START,
        "trainable": (("b1", False), (".*", True)),
        "keep_steps": (0, 5),
        "probes": PROBES,
        "seeds": Seeds(draws=4),
    },
    "regression": {
        "schedule": Exponential(1.5, 0.02, 0.5),
        "criterion": SquaredError(),
        "optimizer": SGD(momentum=0.9),
        "keep": "last",
    },
}


def blobs(n: int, seed: int) -> Examples:
    rng = np.random.default_rng(seed)
    labels = (np.arange(n) % 3).astype(np.int32)
    centres = np.array([[1, 0, 0, -1], [0, 1, -1, 0], [-1, -1, 1, 1]])
    return Examples((centres[labels] + 0.7 * rng.standard_normal((n, 4))).astype(np.float32), labels)


def data_of(training):
    sets = blobs(60, 0), blobs(33, 1)
    if isinstance(training.criterion, SquaredError):
        return [Examples(part.inputs, np.eye(3, dtype=np.float32)[part.labels]) for part in sets]
    return sets


def a_training(folder: Path, **changes) -> Training:
    """14 steps; an epoch has 8.6."""
    training = Training(
        network=NETWORK,
        method=Standard(),
        schedule=Phases((1.0, 0.5), (0.02, 0.01)),
        optimizer="adam",
        batch_size=7,
        seed=0,
        eval_step_interval=6,
        folder=folder,
    )
    return replace(training, **changes)


def run(*trainings, **how):
    return train(trainings, *data_of(trainings[0]), **how)


@cache
def trained(name, folder):
    return run(a_training(folder, **CASES[name]))[0]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return lambda name: trained(name, folder / name)


def assert_same(one, other, tolerance=0.0):
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance)


every_case = pytest.mark.parametrize("name", CASES)


@every_case
def test_a_stopped_training_resumes_and_ends_with_the_same_bits(name, whole, tmp_path):
    training = a_training(tmp_path, **CASES[name])
    calls = []
    with pytest.raises(TrainingStopped):
        run(training, stop_requested=lambda: calls.append(0) or len(calls) == 3)
    (resumed,) = run(training)
    assert_same((resumed.parameters, resumed.kept), (whole(name).parameters, whole(name).kept))
    assert resumed.history == whole(name).history
    assert resumed.best_step == whole(name).best_step


@every_case
def test_a_model_beside_others_has_the_bits_it_has_alone(name, whole, tmp_path):
    one, other = (a_training(tmp_path / str(seed), **CASES[name], seed=seed) for seed in (0, 1))
    beside = run(one, other, mapping="map")
    assert_same(beside[0].parameters, whole(name).parameters)
    assert beside[0].history == whole(name).history
    assert any(
        np.any(a != b) for a, b in zip(*(jax.tree.leaves(model.parameters) for model in beside), strict=True)
    )


class Compilations:
    """Counts everything that XLA compiles from now on."""

    def __init__(self):
        self.count = 0
        jax.monitoring.register_event_duration_secs_listener(self._listen)

    def _listen(self, event, duration, **_):
        self.count += event == "/jax/core/compile/backend_compile_duration"


@every_case
def test_other_numbers_and_seeds_compile_nothing(name, whole, tmp_path):
    whole(name)
    compilations = Compilations()
    training = a_training(tmp_path, **CASES[name])
    method = jax.tree.map(lambda x: 0.9 * x, training.method)
    run(replace(training, method=method, seed=5))
    assert compilations.count == 0


# --- start and trainable ---


def test_frozen_parameters_keep_the_bits_of_the_start_and_the_others_move(whole):
    found = whole("every option").parameters
    np.testing.assert_array_equal(found["b1"], START.parameters["b1"])
    assert all(np.any(found[name] != START.parameters[name]) for name in ("w1", "w2", "b2"))
    assert not np.any(np.asarray(found["w1"])[~MASKS["w1"]])


def test_a_start_of_another_network_is_refused(tmp_path):
    other = MLP(n_in=4, n_hidden=(5,), n_out=3).init(jax.random.key(0))
    with pytest.raises(InputError, match="does not fit the network"):
        run(a_training(tmp_path, start=other))


def test_a_training_of_nothing_is_refused(tmp_path):
    with pytest.raises(InputError, match="train no parameter"):
        run(a_training(tmp_path, trainable=((".*", False),)))


def test_a_training_in_two_parts_starts_where_the_first_one_ended(tmp_path):
    first = a_training(tmp_path / "1", optimizer="sgd", schedule=Phases((0.5,), (0.1,)), keep="last")
    (end,) = run(first)
    second = replace(first, folder=tmp_path / "2", start=Variables(end.parameters, {}), keep_steps=(0,))
    (then,) = run(second)
    assert_same(then.kept[0].parameters, end.parameters)
    assert np.any(np.asarray(then.parameters["w1"] != end.parameters["w1"]))


# --- keep ---


def test_the_last_parameters_and_those_of_given_steps_are_kept(tmp_path):
    (found,) = run(a_training(tmp_path, keep="last", keep_steps=(0, 4, 14)))
    assert found.best_step == found.n_steps == 14
    assert_same(found.kept[14].parameters, found.parameters)
    key, _ = jax.random.split(jax.random.key(0))
    assert_same(found.kept[0].parameters, NETWORK.init(key).parameters)
    (short,) = run(a_training(tmp_path / "4", keep="last", schedule=Phases((28 / 60,), (0.02,))))
    assert short.n_steps == 4
    assert_same(found.kept[4].parameters, short.parameters, tolerance=1e-7)
    assert found.validation_score == found.history["validation_accuracy"][-1]


def test_steps_after_the_last_cannot_be_kept(tmp_path):
    with pytest.raises(InputError, match="14 steps only"):
        run(a_training(tmp_path, keep_steps=(15,)))


# --- probes ---


def test_probes_are_columns_of_the_history_and_change_nothing(whole, tmp_path):
    options = {k: v for k, v in CASES["every option"].items() if k != "probes"}
    (without,) = run(a_training(tmp_path, **options))
    found = whole("every option")
    assert_same(without.parameters, found.parameters)
    assert found.history["step"] == [0, 4, 6, 8, 12, 13]
    for name in PROBES.measurements:
        measured = found.history[name]
        assert [value is None for value in measured] == [False, False, True, False, False, False]
        assert all(0 <= value <= 1 for value in measured if value is not None)
    seen = [value for value in found.history["validation_accuracy"] if value is not None]
    assert seen == without.history["validation_accuracy"]


def test_a_probe_measures_what_the_measure_does(tmp_path):
    probes = Probes({"mismatch": UnderPerturbation(GaussianMismatch(0.3), n_draws=3)}, step_interval=100)
    (found,) = run(a_training(tmp_path, keep="last", probes=probes))
    validation = blobs(33, 1)
    key = jax.random.split(jax.random.key(0))[1]
    for number in (2**32 - 1, 14, 0):
        key = jax.random.fold_in(key, jnp.uint32(number))

    def apply(parameters, inputs):
        return NETWORK.forward(parameters, {}, inputs).logits

    expected = perturbed_accuracies(
        apply,
        found.parameters,
        validation.inputs,
        validation.labels,
        key,
        perturb=GaussianMismatch(0.3).perturb,
        n_draws=3,
    )
    assert found.history["mismatch"][1:] == [None, None, pytest.approx(float(np.mean(expected)))]


# --- the optimizer's state ---


def test_a_training_goes_on_with_the_optimizer_state_of_another(tmp_path):
    # Batches of all samples, whose order changes nothing: 4 steps and 4 more are 8.
    how = {"batch_size": 60, "keep": "last", "optimizer": Projected(Adam(), SingularValues(2.0), every=3)}
    schedule = Phases((8.0,), (0.02,))
    (eight,) = run(
        a_training(
            tmp_path / "8",
            schedule=schedule,
            keep_steps=(0, 4),
            keep_optimizer=True,
            eval_step_interval=4,
            **how,
        )
    )
    training = a_training(tmp_path / "4", schedule=Phases((4.0,), (0.02,)), start=eight.kept[4], **how)
    like = training.optimizer.init(eight.parameters)
    state = load_tree(tmp_path / "8" / optimizer_file(4), like)[0]
    (kept,) = run(replace(training, start_optimizer=state))
    (fresh,) = run(replace(training, folder=tmp_path / "fresh"))
    assert_same(kept.parameters, eight.parameters, 1e-4)  # sums in another order
    with pytest.raises(AssertionError):
        assert_same(fresh.parameters, eight.parameters, 1e-3)
    with pytest.raises(InputError, match="given optimizer state does not fit the optimizer"):
        run(replace(training, optimizer="sgd", start_optimizer=state))
    assert_same(load_tree(tmp_path / "8" / optimizer_file(0), like)[0], like)
    assert (tmp_path / "8" / optimizer_file()).exists()


# --- seeds ---


@pytest.mark.parametrize("seeds", [Seeds(start=9), Seeds(order=9), Seeds(draws=9)])
def test_each_seed_alone_changes_the_training(seeds, tmp_path):
    method = ForwardNoise(0.1)
    (one,) = run(a_training(tmp_path / "1", method=method, keep_steps=(0,)))
    (other,) = run(a_training(tmp_path / "2", method=method, keep_steps=(0,), seeds=seeds))
    assert np.any(np.asarray(one.parameters["w1"] != other.parameters["w1"]))
    is_same_start = np.array_equal(one.kept[0].parameters["w1"], other.kept[0].parameters["w1"])
    assert is_same_start == (seeds.start is None)


# --- programs ---


@pytest.mark.parametrize(
    ("change", "is_shared"),
    [
        ({"seed": 3}, True),
        ({"method": ForwardNoise(0.7)}, True),
        ({"schedule": Phases((1.0, 0.5), (0.7, 0.2))}, True),
        ({"method": Standard()}, False),
        ({"schedule": Phases((1.0, 0.6), (0.02, 0.01))}, False),
        ({"optimizer": "sgd"}, False),
        ({"criterion": CrossEntropy(smoothing=0.1)}, False),
        ({"trainable": (("w1", False), (".*", True))}, False),
        ({"keep_steps": (3,)}, False),
        ({"probes": PROBES}, False),
    ],
)
def test_programs_are_shared_by_the_structure_of_the_training(change, is_shared, tmp_path):
    one = a_training(tmp_path, method=ForwardNoise(0.1))
    other = replace(one, **change)
    assert (program_structure(one) == program_structure(other)) == is_shared
    assert (repr(program_structure(one)) == repr(program_structure(other))) == is_shared
    hash(program_structure(one))


def test_labels_that_are_no_classes_of_the_network_are_refused(tmp_path):
    few = MLP(n_in=4, n_hidden=(6,), n_out=2)
    with pytest.raises(InputError, match="labels of the training set reach from 0 to 2"):
        run(a_training(tmp_path, network=few))


# --- schedules and augmentation ---


def test_cosine_and_exponential_schedules_follow_their_formulas():
    size = {"n_samples": 30, "batch_size": 10}
    steps = np.arange(9)
    cosine = Cosine(3, 0.1, final_rate=0.02)
    assert cosine.n_steps(**size) == 9
    expected = 0.02 + 0.08 * (1 + np.cos(np.pi * steps / 9)) / 2
    np.testing.assert_allclose(cosine.rates(0, 9, **size), expected, rtol=1e-6)
    per_epoch = Cosine(3, 0.1, per="epoch").rates(0, 9, **size)
    np.testing.assert_allclose(per_epoch, 0.05 * (1 + np.cos(np.pi * (steps // 3) / 3)), rtol=1e-6)
    falling = Exponential(3, 0.1, 0.5).rates(2, 7, **size)
    np.testing.assert_allclose(falling, 0.1 * 0.5 ** (steps[2:] // 3), rtol=1e-6)
    smooth = Exponential(3, 0.1, 0.5, per="step").rates(0, 12, **size)
    np.testing.assert_allclose(smooth, 0.1 * 0.5 ** (np.minimum(np.arange(12), 8) / 3), rtol=1e-6)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Cosine(0, 0.1),
        lambda: Cosine(1, 0.1, per="week"),
        lambda: Exponential(1, 0.1, 1.5),
        lambda: Exponential(1, -0.1, 0.5),
        lambda: Probes(step_interval=0),
    ],
)
def test_settings_that_make_no_sense_are_refused(make):
    with pytest.raises(InputError):
        make()


def test_crops_and_flips_move_whole_pixels():
    images = jnp.float32(np.random.default_rng(0).uniform(size=(20, 5, 6, 2)))
    flipped = Flip(0.5)(jax.random.key(0), images)
    is_flipped = [np.array_equal(a, b[:, ::-1]) for a, b in zip(flipped, images, strict=True)]
    is_kept = [np.array_equal(a, b) for a, b in zip(flipped, images, strict=True)]
    assert all(a != b for a, b in zip(is_flipped, is_kept, strict=True))
    assert 0 < sum(is_flipped) < 20
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
    places = set()
    for i, cropped in enumerate(Crop(1)(jax.random.key(0), images)):
        windows = {(y, x): padded[i, y : y + 5, x : x + 6] for y in range(3) for x in range(3)}
        places |= {place for place, window in windows.items() if np.array_equal(window, cropped)}
    assert len(places) > 5
    assert InTurn((Crop(1), Flip(1.0)))(jax.random.key(0), images).shape == images.shape
