"""Criteria: the loss that compares a network's outputs with the labels, and the metric that belongs to it.

A criterion is a setting of training, a frozen dataclass whose numbers are leaves of a tree. Its ``loss`` is
what training minimizes; its ``score`` is what validation, the choice of the best parameters and every
measurement of robustness report: accuracy for classes, another number (higher is better) otherwise.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from jax.core import Tracer
from jaxtyping import Bool, Float, Int, Shaped

from jaxrobust.errors import InputError
from jaxrobust.numerics import largest, mean_where
from jaxrobust.registry import Registry
from jaxrobust.trees import Number, check_finite, check_numbers, settings_tree, static

Outputs = Float[Array, "batch *outputs"]
Labels = Shaped[Array, "batch *labels"]
# One number per sample, whose mean over a data set is the metric; booleans are counted in whole numbers.
Scores = Bool[Array, " batch"] | Float[Array, " batch"]
Score = Callable[[Outputs, Labels], Scores]


class Criterion(Protocol):
    """What training minimizes, and the metric that validation and measurements report.

    Implementations are frozen dataclasses made a tree by ``settings_tree``. Both functions are pure, are
    traced, keep the dtype of the outputs, and are finite for finite outputs. A sample's score depends on that
    sample alone, so that the metric does not depend on how a data set is cut into chunks. With labels per
    time step, ``counted_steps`` says which steps have one; padding has the label -1, or targets of NaN.

    Example:
        >>> @settings_tree
        ... @dataclass(frozen=True)
        ... class AbsoluteError:
        ...     is_classification = False
        ...     def loss(self, outputs, labels):
        ...         return jnp.mean(jnp.abs(outputs - labels))
        ...     def score(self, outputs, labels):
        ...         return -jnp.mean(jnp.abs(outputs - labels), axis=1)

    Attributes:
        is_classification: Whether a label is the index of a class and the largest output the answer. Only
            then do labels get checked against the number of outputs, and are there certificates.
    """

    is_classification: ClassVar[bool]

    def loss(self, outputs: Outputs, labels: Labels) -> Float[Array, ""]:
        """The mean loss of a batch."""
        ...

    def score(self, outputs: Outputs, labels: Labels) -> Scores:
        """One number per sample, higher is better; the metric is their mean."""
        ...


def counted_steps(labels: Labels) -> Bool[Array, "batch time"] | None:
    """Which time steps have a label: all but those of -1, or of NaN targets; None for labels per sample.

    Example:
        >>> counted_steps(jnp.array([[0, 1, -1]])).tolist()
        [[True, True, False]]
    """
    if jnp.issubdtype(labels.dtype, jnp.integer) and labels.ndim == 2:
        return labels >= 0
    if jnp.issubdtype(labels.dtype, jnp.floating) and labels.ndim == 3:
        return ~jnp.isnan(labels[..., 0])
    return None


def is_answer(outputs: Float[Array, "batch *steps classes"]) -> Bool[Array, "batch *steps"]:
    """Whether the largest output is a finite number; -inf masks a class, NaN and +inf are no answer.

    Example:
        >>> is_answer(jnp.array([[0.0, -jnp.inf], [jnp.nan, 1.0], [jnp.inf, 0.0]])).tolist()
        [True, False, False]
    """
    return jnp.isfinite(largest(outputs, -1))


def is_hit(outputs: Float[Array, "batch *steps classes"], labels: Int[Array, "batch *steps"]) -> Scores:
    """Whether each sample's largest output is that of its label; with labels per time step, the fraction.

    A sample whose outputs are not finite is wrong, whatever its label is.

    Raises:
        InputError: The labels are not whole numbers, or not one per sample (and time step).

    Example:
        >>> is_hit(jnp.array([[0.0, 1.0], [jnp.nan, 0.0]]), jnp.array([1, 0])).tolist()
        [True, False]
    """
    check_label_form(labels, outputs.shape)
    hits = (jnp.argmax(outputs, axis=-1) == labels) & is_answer(outputs)
    return hits if hits.ndim == 1 else mean_where(hits.astype(outputs.dtype), counted_steps(labels), axis=1)


@settings_tree
@dataclass(frozen=True)
class CrossEntropy:
    """Cross-entropy of the softmax with one class per sample (or per time step); its metric is accuracy.

    With smoothing ``s`` and ``C`` classes, ``(1 - s) CE(y) + s / C sum_j CE(j)``; with weights ``w`` of the
    classes, the mean over samples weighted by ``w[y]``.

    Attributes:
        smoothing: Label smoothing between 0 and 1; None computes none.
        class_weights: One weight per class, for unbalanced data; None for equal ones.

    Raises:
        InputError: A smoothing outside 0 to 1, or a weight that is negative or not finite.

    Example:
        >>> import jax, jax.numpy as jnp, jaxrobust as jr
        >>> loss = jr.CrossEntropy(smoothing=0.1).loss(jnp.array([[2.0, 0.0]]), jnp.array([0]))
        >>> print(f"{loss:.3f}")
        0.227
    """

    is_classification: ClassVar[bool] = True

    smoothing: Number | None = None
    class_weights: tuple[Number, ...] | Float[Array, " classes"] | None = None

    def __post_init__(self):
        check_numbers(self, "smoothing", maximum=1)
        check_numbers(self, "class_weights")

    def loss(self, outputs: Outputs, labels: Labels) -> Float[Array, ""]:
        """The mean cross-entropy, in nats."""
        check_label_form(labels, outputs.shape)
        counts = counted_steps(labels)
        labels = labels if counts is None else jnp.maximum(labels, 0)
        losses = optax.softmax_cross_entropy_with_integer_labels(outputs, labels)
        if self.smoothing is not None:
            uniform = -jnp.mean(jax.nn.log_softmax(outputs), axis=-1)
            losses = (1 - self.smoothing) * losses + self.smoothing * uniform
        if self.class_weights is None:
            return mean_where(losses, counts)
        weights = jnp.asarray(self.class_weights, losses.dtype)[labels]
        weights = weights if counts is None else jnp.where(counts, weights, 0)
        return jnp.sum(weights * losses) / jnp.sum(weights)

    def score(self, outputs: Outputs, labels: Labels) -> Scores:
        """Whether the largest output is that of the label."""
        return is_hit(outputs, labels)


@settings_tree
@dataclass(frozen=True)
class Hinge:
    """Multi-class hinge loss with a margin: ``mean (1 / C) sum_{j != y} max(0, margin - z_y + z_j)^order``.

    A network with Lipschitz constant ``L`` whose margin exceeds ``sqrt(2) L eps`` cannot be fooled by an L2
    change of ``eps``; train with at least that margin (Tsuzuku et al. 2018).

    Attributes:
        margin: How far the label's output must lie above every other one.
        order: Power of each term.
    """

    is_classification: ClassVar[bool] = True

    margin: Number
    order: int = static(default=1)

    def __post_init__(self):
        check_numbers(self, "margin")
        if self.order < 1:
            raise InputError(f"The order of a hinge loss is at least 1, not {self.order!r}.")

    def loss(self, outputs: Outputs, labels: Labels) -> Float[Array, ""]:
        """The mean hinge loss."""
        check_label_form(labels, outputs.shape)
        counts = counted_steps(labels)
        labels = labels if counts is None else jnp.maximum(labels, 0)
        of_label = jnp.take_along_axis(outputs, labels[..., None], axis=-1)
        terms = jax.nn.relu(self.margin - of_label + outputs) ** self.order
        is_other = jnp.arange(outputs.shape[-1]) != labels[..., None]
        terms = jnp.where(is_other, terms, 0)
        counts = counts if counts is None else jnp.broadcast_to(counts[..., None], terms.shape)
        return mean_where(terms, counts).astype(outputs.dtype)

    def score(self, outputs: Outputs, labels: Labels) -> Scores:
        """Whether the largest output is that of the label."""
        return is_hit(outputs, labels)


@settings_tree
@dataclass(frozen=True)
class SoftTargets:
    """Cross-entropy with the softmax of given logits, as in distillation; no factor of temperature squared.

    The labels are the logits of another network, ``(batch, classes)``; the metric is the agreement of the two
    largest outputs.

    Attributes:
        temperature: What both logits are divided by.
    """

    is_classification: ClassVar[bool] = False

    temperature: Number = 1.0

    def __post_init__(self):
        check_numbers(self, "temperature", minimum=1e-6)

    def loss(self, outputs: Outputs, labels: Labels) -> Float[Array, ""]:
        """The mean cross-entropy between the two softmaxes, in nats."""
        counts = counted_steps(labels)
        labels = labels if counts is None else jnp.where(counts[..., None], labels, 0)
        targets = jax.nn.softmax(labels / self.temperature)
        log_p = jax.nn.log_softmax(outputs / self.temperature)
        # A class that is masked in both networks (-inf) would be 0 times -inf.
        log_p = jnp.where(targets > 0, log_p, 0)
        return -mean_where(jnp.sum(targets * log_p, axis=-1), counts).astype(outputs.dtype)

    def score(self, outputs: Outputs, labels: Labels) -> Scores:
        """Whether both networks give the same answer."""
        answers, counts = jnp.argmax(labels, axis=-1), counted_steps(labels)
        return is_hit(outputs, answers if counts is None else jnp.where(counts, answers, -1))


@settings_tree
@dataclass(frozen=True)
class SquaredError:
    """Mean squared error of outputs and labels of one shape; its metric is the negative error.

    Example:
        >>> import jax, jax.numpy as jnp, jaxrobust as jr
        >>> print(jr.SquaredError().loss(jnp.array([[2.0], [0.0]]), jnp.array([[1.0], [0.0]])))
        0.5
    """

    is_classification: ClassVar[bool] = False

    def loss(self, outputs: Outputs, labels: Labels) -> Float[Array, ""]:
        """The mean over samples, or time steps, and outputs."""
        errors, counts = self._errors(outputs, labels)
        return -jnp.mean(self.score(outputs, labels)) if counts is None else mean_where(errors, counts)

    def score(self, outputs: Outputs, labels: Labels) -> Scores:
        """Minus each sample's mean squared error."""
        errors, counts = self._errors(outputs, labels)
        return (
            -jnp.mean(errors, axis=tuple(range(1, errors.ndim)))
            if counts is None
            else -mean_where(errors, counts, axis=1)
        )

    def _errors(self, outputs: Outputs, labels: Labels) -> tuple[Array, Array | None]:
        """Squared errors and None; with targets per time step, means over their outputs and which count."""
        if outputs.shape != labels.shape:
            raise InputError(
                f"A squared error needs labels of the outputs' shape {outputs.shape}, not {labels.shape}."
            )
        if (counts := counted_steps(labels)) is None:
            return (outputs - labels) ** 2, None
        # NaN targets go before the difference: the derivative of a branch that is not taken would be NaN.
        return jnp.mean((outputs - jnp.where(counts[..., None], labels, 0)) ** 2, axis=-1), counts


@settings_tree
@dataclass(frozen=True)
class Critic:
    """Wasserstein distance: raise a 1-Lipschitz network's output on real samples, lower it on generated ones.

    Labels are 1 for real and 0 for generated samples, as many of each; the network has one output. The loss
    is ``mean f(generated) - mean f(real)``, and the metric its negative, the estimated distance.
    """

    is_classification: ClassVar[bool] = False

    def loss(self, outputs: Outputs, labels: Labels) -> Float[Array, ""]:
        """The negative of the estimated distance, by the batch's own numbers of either kind."""
        values, is_real = outputs.reshape(outputs.shape[0]), labels.reshape(labels.shape[0]) > 0
        n_real = jnp.maximum(jnp.sum(is_real), 1).astype(values.dtype)
        n_generated = jnp.maximum(jnp.sum(~is_real), 1).astype(values.dtype)
        return jnp.sum(jnp.where(is_real, 0, values)) / n_generated - (
            jnp.sum(jnp.where(is_real, values, 0)) / n_real
        )

    def score(self, outputs: Outputs, labels: Labels) -> Scores:
        """Twice the output, with a minus sign for generated samples."""
        values = outputs.reshape(outputs.shape[0])
        return 2 * jnp.where(labels.reshape(labels.shape[0]) > 0, values, -values)


@settings_tree
@dataclass(frozen=True)
class UserCriterion:
    """A criterion made of two functions ``(outputs, labels) ->``; the same functions share a program.

    Attributes:
        loss: The mean loss of a batch.
        score: One number per sample, higher is better.
    """

    is_classification: ClassVar[bool] = False

    loss: Callable[[Outputs, Labels], Float[Array, ""]] = static()
    score: Score = static()


def scores_classes(score: Score) -> bool:
    """Whether a score compares indices of classes: ``is_hit``, or the score of a criterion for classes."""
    return score is is_hit or getattr(getattr(score, "__self__", None), "is_classification", False)


def check_label_form(labels: Any, shape: tuple[int, ...]) -> None:
    """Raise ``InputError`` unless labels are whole numbers, one for each row of outputs of a shape.

    Args:
        labels: Indices of classes; may be traced, as only shape and dtype are looked at.
        shape: Of the outputs, ``(samples, classes)`` or ``(samples, time, classes)``.
    """
    if labels.shape != shape[:-1] or not jnp.issubdtype(labels.dtype, jnp.integer):
        raise InputError(
            f"Labels must be whole numbers of shape {tuple(shape[:-1])}, one index of a class per sample, "
            f"but they are {labels.dtype} of shape {tuple(labels.shape)}; take labels[:, 0] of a column and "
            f"the argmax of one-hot labels."
        )


def check_labels(criterion: Criterion, labels: np.ndarray, n_outputs: int, what: str) -> None:
    """Raise ``InputError`` for labels that are not indices of the network's outputs; for classes only.

    Args:
        criterion: With any that is not a classification, nothing is checked.
        labels: All labels of a part of the data, on the host.
        n_outputs: Outputs of the network.
        what: Which labels these are, for the error.
    """
    if not criterion.is_classification:
        return
    if not np.issubdtype(labels.dtype, np.integer):
        raise InputError(
            f"{type(criterion).__name__} compares classes, but {what} are {labels.dtype}; give indices of "
            f"classes, or choose a criterion such as SquaredError."
        )
    lowest = 0 if labels.ndim == 1 else -1  # of padding
    if labels.size and not (labels.min() >= lowest and labels.max() < n_outputs):
        raise InputError(
            f"{what} reach from {labels.min()} to {labels.max()}, but the network has {n_outputs} outputs, "
            f"for the classes 0 to {n_outputs - 1}."
        )


def check_finite_labels(labels: Any, what: str) -> None:
    """Raise ``InputError`` for targets of NaN or infinity; whole time steps of NaN are padding."""
    if jnp.issubdtype(labels.dtype, jnp.floating) and labels.ndim == 3 and not isinstance(labels, Tracer):
        values = np.asarray(labels)
        labels = values[~np.isnan(values).all(axis=-1)]
    check_finite(labels, what)


def check_classification(criterion: Criterion, what: str) -> None:
    """Raise ``InputError`` where ``what``, such as "A certificate", has no meaning without classes."""
    if not criterion.is_classification:
        raise InputError(
            f"{what} says that the largest output stays the same, which is the answer for classes only; "
            f"{type(criterion).__name__} is no criterion for classes."
        )


CRITERIA = Registry(
    "criterion",
    ("loss", "score"),
    {"cross_entropy": CrossEntropy(), "hinge": Hinge(1.0), "squared_error": SquaredError()},
)


def register(name: str, settings: type) -> type:
    """Register a criterion of your own: a frozen dataclass that keeps the contract of ``Criterion``.

    Raises:
        InputError: It does not keep the contract, cannot be imported by worker processes, or the name exists.
    """
    if isinstance(settings, type) and not hasattr(settings, "is_classification"):
        raise InputError(f"The criterion {name!r} needs is_classification = True or False.")
    return CRITERIA.register(name, settings)
