"""Every criterion through the same promises, and against its formula."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrobust.criteria import (
    Critic,
    CrossEntropy,
    Hinge,
    SoftTargets,
    SquaredError,
    UserCriterion,
    check_classification,
    check_labels,
)
from jaxrobust.errors import InputError
from jaxrobust.measures.mismatch import accuracy

OUTPUTS = jnp.float32(np.random.default_rng(0).standard_normal((7, 3)))
CLASSES = jnp.arange(7) % 3
TARGETS = jnp.float32(np.random.default_rng(1).standard_normal((7, 3)))
USERS = UserCriterion(
    lambda outputs, labels: jnp.mean(jnp.abs(outputs - labels)),
    lambda outputs, labels: -jnp.mean(jnp.abs(outputs - labels), axis=1),
)
CASES = {
    "cross-entropy": (CrossEntropy(), OUTPUTS, CLASSES),
    "smoothing": (CrossEntropy(smoothing=0.1), OUTPUTS, CLASSES),
    "class weights": (CrossEntropy(class_weights=(1.0, 2.0, 3.0)), OUTPUTS, CLASSES),
    "per step": (CrossEntropy(), jnp.stack([OUTPUTS, -OUTPUTS], 1), jnp.stack([CLASSES, CLASSES], 1)),
    "hinge": (Hinge(0.5, order=2), OUTPUTS, CLASSES),
    "soft targets": (SoftTargets(4.0), OUTPUTS, TARGETS),
    "squared error": (SquaredError(), OUTPUTS, TARGETS),
    "critic": (Critic(), OUTPUTS[:, :1], CLASSES % 2),
    "user's": (USERS, OUTPUTS, TARGETS),
}
every_case = pytest.mark.parametrize(("criterion", "outputs", "labels"), CASES.values(), ids=CASES)


@every_case
def test_losses_are_finite_scalars_and_so_are_their_gradients(criterion, outputs, labels):
    for scale in (0.0, 1.0, 1e4):
        loss, gradient = jax.jit(jax.value_and_grad(criterion.loss))(scale * outputs, labels)
        assert (loss.shape, loss.dtype) == ((), outputs.dtype)
        assert np.isfinite(loss)
        assert np.isfinite(gradient).all()
    np.testing.assert_allclose(loss, criterion.loss(1e4 * outputs, labels), rtol=1e-5)


@every_case
def test_a_step_downhill_lowers_the_loss(criterion, outputs, labels):
    moved = outputs - 0.01 * jax.grad(criterion.loss)(outputs, labels)
    assert criterion.loss(moved, labels) < criterion.loss(outputs, labels)


@every_case
def test_the_metric_does_not_depend_on_the_chunks(criterion, outputs, labels):
    def metric(batch_size):
        return accuracy(lambda p, x: x, {}, outputs, labels, batch_size=batch_size, score=criterion.score)

    scores = criterion.score(outputs, labels)
    assert scores.shape == (7,)
    for batch_size in (None, 3, 1):
        np.testing.assert_allclose(metric(batch_size), np.mean(scores), rtol=1e-6)


LOG_P = np.asarray(jax.nn.log_softmax(OUTPUTS))
OF_LABEL = LOG_P[np.arange(7), CLASSES]


def hinge():
    z, y = np.asarray(OUTPUTS), np.asarray(CLASSES)
    rows = [sum(max(0, 0.5 - z[i, y[i]] + z[i, j]) ** 2 for j in range(3) if j != y[i]) / 3 for i in range(7)]
    return np.mean(rows)


WEIGHTS = np.array([1, 2, 3])[np.asarray(CLASSES)]
FORMULAS = {
    "cross-entropy": lambda: -OF_LABEL.mean(),
    "smoothing": lambda: -(0.9 * OF_LABEL + 0.1 * LOG_P.mean(1)).mean(),
    "class weights": lambda: -(WEIGHTS * OF_LABEL).sum() / WEIGHTS.sum(),
    "hinge": hinge,
    "soft targets": lambda: -np.sum(jax.nn.softmax(TARGETS / 4) * jax.nn.log_softmax(OUTPUTS / 4), 1).mean(),
    "squared error": lambda: np.mean((OUTPUTS - TARGETS) ** 2),
    "critic": lambda: OUTPUTS[:, 0][CLASSES % 2 == 0].mean() - OUTPUTS[:, 0][CLASSES % 2 == 1].mean(),
    "user's": lambda: np.mean(np.abs(OUTPUTS - TARGETS)),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_losses_equal_their_formulas(name):
    criterion, outputs, labels = CASES[name]
    np.testing.assert_allclose(criterion.loss(outputs, labels), FORMULAS[name](), rtol=1e-5)


def test_the_score_of_a_critic_is_the_distance_where_both_kinds_are_as_many():
    outputs, labels = jnp.arange(6.0)[:, None], jnp.arange(6) % 2
    np.testing.assert_allclose(Critic().score(outputs, labels).mean(), -Critic().loss(outputs, labels))


def test_labels_and_certificates_are_for_classes_only():
    check_labels(CrossEntropy(), np.arange(3), 3, "labels")
    check_labels(SquaredError(), np.float32([7.5]), 1, "labels")
    with pytest.raises(InputError, match="reach from 0 to 2, but the network has 2 outputs"):
        check_labels(CrossEntropy(), np.arange(3), 2, "labels")
    with pytest.raises(InputError, match="compares classes, but labels are float32"):
        check_labels(Hinge(1.0), np.float32([0.5]), 2, "labels")
    check_classification(Hinge(1.0), "A certificate")
    with pytest.raises(InputError, match="A certificate says that the largest output stays the same"):
        check_classification(SquaredError(), "A certificate")


@pytest.mark.parametrize(
    "make", [lambda: CrossEntropy(smoothing=1.5), lambda: Hinge(-1.0), lambda: SoftTargets(0.0)]
)
def test_settings_that_make_no_sense_are_refused(make):
    with pytest.raises(InputError):
        make()
