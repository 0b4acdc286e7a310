"""Probes: named measurements while training, as the accuracy under attack every 500 steps."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal, Protocol, get_args

import jax
import jax.numpy as jnp
from jax import Array
from jax.sharding import Mesh
from jaxtyping import Float, Int, Shaped

from jaxrobust.attacks.input_attack import AttackOnInputs
from jaxrobust.attacks.parameter_attack import ParameterAttack, static
from jaxrobust.criteria import Criterion, CrossEntropy, Score
from jaxrobust.errors import InputError
from jaxrobust.losses import Apply
from jaxrobust.measures.full_set import in_chunks
from jaxrobust.measures.mismatch import accuracy, perturbed_accuracies
from jaxrobust.measures.worst_case import worst_case
from jaxrobust.networks.network import Network, Statistics
from jaxrobust.perturbations.perturbation import Perturbation
from jaxrobust.training.methods.adversarial_training import AttackLabels
from jaxrobust.training.placement import Mapping as ModelMapping
from jaxrobust.training.placement import mapped
from jaxrobust.trees import Parameters, settings_tree

# Samples computed at once.
BATCH = 500
# Splits the keys of probes from those of training steps, which are numbered from 0.
_PROBE = 2**32 - 1
Of = Literal["score", "loss"]


class Probe(Protocol):
    """One measurement: a frozen dataclass made a tree by ``settings_tree``.

    It is compiled once for its structure; its numbers are arguments. It never changes what is trained.
    """

    def measure(
        self,
        apply: Apply,
        parameters: Parameters,
        inputs: Float[Array, "samples ..."],
        labels: Shaped[Array, "samples ..."],
        criterion: Criterion,
        key: Array,
    ) -> Float[Array, ""]:
        """Measure one number; ``apply(parameters, inputs)`` gives the network's logits in evaluation."""
        ...


@settings_tree
@dataclass(frozen=True)
class Clean:
    """Score or loss on the samples as they are; the same samples that other probes measure.

    Attributes:
        of: The criterion's ``"score"``, or its mean ``"loss"``, smoothing included, for early stopping.
    """

    of: Of = static(default="score")

    def __post_init__(self):
        _check_of(self.of)

    def measure(
        self,
        apply: Apply,
        parameters: Parameters,
        inputs: Float[Array, "samples ..."],
        labels: Shaped[Array, "samples ..."],
        criterion: Criterion,
        key: Array,
    ) -> Float[Array, ""]:
        """The mean over the samples."""
        score = _value_of(criterion, self.of)
        return accuracy(apply, parameters, inputs, labels, batch_size=BATCH, score=score)


@settings_tree
@dataclass(frozen=True)
class UnderPerturbation:
    """Mean score of devices with perturbed parameters.

    Attributes:
        perturbation: Such as ``GaussianMismatch(0.3)``.
        n_draws: Number of devices.
    """

    perturbation: Perturbation
    n_draws: int = static(default=10)

    def measure(
        self,
        apply: Apply,
        parameters: Parameters,
        inputs: Float[Array, "samples ..."],
        labels: Shaped[Array, "samples ..."],
        criterion: Criterion,
        key: Array,
    ) -> Float[Array, ""]:
        """The mean over devices."""
        return jnp.mean(
            perturbed_accuracies(
                apply,
                parameters,
                inputs,
                labels,
                key,
                perturb=self.perturbation.perturb,
                n_draws=self.n_draws,
                batch_size=BATCH,
                score=criterion.score,
            )
        )


@settings_tree
@dataclass(frozen=True)
class UnderParameterAttack:
    """Score under an attack on the parameters, the lowest of some restarts.

    Attributes:
        attack: The attack; each of its steps takes the gradient over all samples.
        loss: What it increases: ``"kl"``, another divergence, or ``"madry"`` for the cross-entropy.
        n_restarts: Number of random starts.
    """

    attack: ParameterAttack
    loss: str = static(default="kl")
    n_restarts: int = static(default=1)

    def measure(
        self,
        apply: Apply,
        parameters: Parameters,
        inputs: Float[Array, "samples ..."],
        labels: Shaped[Array, "samples ..."],
        criterion: Criterion,
        key: Array,
    ) -> Float[Array, ""]:
        """The score of the worst restart."""
        return worst_case(
            apply,
            parameters,
            inputs,
            labels,
            key,
            self.attack,
            loss=self.loss,
            n_restarts=self.n_restarts,
            batch_size=BATCH,
            score=criterion.score,
        ).accuracy


@settings_tree
@dataclass(frozen=True)
class UnderInputAttack:
    """Score or loss on attacked inputs.

    Attributes:
        attack: What changes the inputs, batch by batch, to raise the criterion, without label smoothing.
        labels: What it moves away from: the ``"true"`` labels or the classes ``"predicted"`` for the inputs.
        of: The criterion's ``"score"`` or its mean ``"loss"``, smoothing included, at the attacked inputs.
    """

    attack: AttackOnInputs
    labels: AttackLabels = static(default="true")
    of: Of = static(default="score")

    def __post_init__(self):
        _check_of(self.of)

    def measure(
        self,
        apply: Apply,
        parameters: Parameters,
        inputs: Float[Array, "samples ..."],
        labels: Shaped[Array, "samples ..."],
        criterion: Criterion,
        key: Array,
    ) -> Float[Array, ""]:
        """The mean over the attacked inputs."""
        (input_chunks, label_chunks), is_real = in_chunks((inputs, labels), BATCH)
        attacked_criterion = criterion
        if isinstance(criterion, CrossEntropy):
            # Smoothed labels turn the gradient around where the network is more confident than they are.
            attacked_criterion = replace(criterion, smoothing=None)

        def of_chunk(chunk: tuple[Array, Array, Array, Array]) -> Array:
            some_inputs, some_labels, some_real, index = chunk
            targets = some_labels
            if self.labels == "predicted":
                targets = jnp.argmax(apply(parameters, some_inputs), axis=-1).astype(some_labels.dtype)
            attacked = self.attack(
                lambda x: attacked_criterion.loss(apply(parameters, x), targets),
                some_inputs,
                jax.random.fold_in(key, index),
            )
            values = _value_of(criterion, self.of)(apply(parameters, attacked), some_labels)
            return jnp.sum(jnp.where(some_real, values, 0))

        chunks = (input_chunks, label_chunks, is_real, jnp.arange(len(is_real)))
        return jnp.sum(jax.lax.map(of_chunk, chunks)) / labels.shape[0]


def _check_of(of: str) -> None:
    if of not in get_args(Of):
        raise InputError(f'A probe is of the "score" or the "loss" of the criterion, not of {of!r}.')


def _value_of(criterion: Criterion, of: Of) -> Score:
    """One number per sample; the loss of a sample is that of a batch of it alone."""
    if of == "score":
        return criterion.score
    return jax.vmap(lambda outputs, label: criterion.loss(outputs[None], label[None]))


@dataclass(frozen=True)
class Probes:
    """What is measured while training, and how often; the numbers are columns of the history.

    Attributes:
        measurements: Probes by name.
        step_interval: Steps between measurements; the start (step 0) and the last step are measured as well.
        n_samples: Validation samples that are measured, at even distances; 0 for all.

    Example:
        >>> Probes({"mismatch": UnderPerturbation(GaussianMismatch(0.3))}, step_interval=500)
    """

    measurements: Mapping[str, Probe] = field(default_factory=dict)
    step_interval: int = 500
    n_samples: int = 0

    def __post_init__(self):
        if self.step_interval < 1 or self.n_samples < 0:
            raise InputError(
                f"Probes need a step_interval of at least 1 and n_samples of at least 0, not "
                f"{self.step_interval} and {self.n_samples}."
            )

    def next_step(self, step: int, total: int) -> int:
        """The first step after ``step`` at which something is measured."""
        if not self.measurements:
            return total
        return min((step // self.step_interval + 1) * self.step_interval, total)

    def is_due(self, step: int, total: int) -> bool:
        """Whether something is measured at this step."""
        return bool(self.measurements) and (step % self.step_interval == 0 or step == total)


@partial(jax.jit, static_argnames=("network", "mapping", "mesh"))
def run_probes(
    network: Network,
    mapping: ModelMapping,
    measurements: Mapping[str, Probe],
    criterion: Criterion,
    parameters: Parameters,
    statistics: Statistics,
    key: Array,
    step: Int[Array, ""],
    inputs: Float[Array, "samples ..."],
    labels: Shaped[Array, "samples ..."],
    mesh: Mesh | None = None,
) -> dict[str, Float[Array, "*models"]]:
    """Measure every probe at one step of training, in one program.

    Args:
        network: The network.
        mapping: How several models share the program; then all but the data have an axis of models.
        measurements: Probes by name.
        criterion: Brings the score.
        parameters: What is measured.
        statistics: Their running statistics.
        key: The key of all that a training draws; probes draw nothing that its steps do.
        step: The step.
        inputs: Samples.
        labels: Their labels.
        mesh: The devices that share the models, if it is not one.
    """

    def one(
        data: tuple[Array, Array], measurements, criterion, parameters, statistics, key: Array, step: Array
    ) -> dict[str, Array]:
        inputs, labels = data

        def apply(parameters: Parameters, inputs: Array) -> Array:
            return network.forward(parameters, statistics, inputs).logits

        key = jax.random.fold_in(jax.random.fold_in(key, jnp.uint32(_PROBE)), step)
        return {
            name: probe.measure(apply, parameters, inputs, labels, criterion, jax.random.fold_in(key, i))
            for i, (name, probe) in enumerate(sorted(measurements.items()))
        }

    arguments = dict(measurements), criterion, parameters, statistics, key, step
    return mapped(one, mapping, mesh)((inputs, labels), *arguments)
