"""Certificates from Lipschitz constants: L2 radii inside which no answer changes (Tsuzuku et al. 2018).

If the logits as a vector are L-Lipschitz, the difference of two of them is ``sqrt(2) L``-Lipschitz, and the
answer cannot change within ``margin / (sqrt(2) L)``. Constants are measured in float64 on the kernels as they
are, noise of a chip included, and margins are reduced by a bound of the forward pass's rounding errors.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from jaxrobust.criteria import is_hit
from jaxrobust.errors import InputError
from jaxrobust.layers.lipschitz.bounds import Bound, bound_of
from jaxrobust.layers.lipschitz.chain import Chain
from jaxrobust.layers.lipschitz.modules import OrthogonalDense, baked_kernel
from jaxrobust.networks.linen import LinenNetwork
from jaxrobust.trees import Parameters

Logits = Float[np.ndarray, "samples classes"]
Labels = Int[np.ndarray, " samples"]
Radii = Float[np.ndarray, " samples"]

# Roundings per layer that the certificate allows for, in units of the activations' norm.
ROUNDINGS_PER_LAYER = 8


class CertificateBroken(RuntimeError):
    """A certified sample changed its answer within its radius: certificate or attack is wrong."""


def lipschitz_bound(network: LinenNetwork, baked: Parameters) -> Bound:
    """Measure a network's Lipschitz constant with respect to the L2 norm of its inputs.

    Args:
        network: A Linen module that states its bound, such as a ``Chain`` of ``layers.lipschitz``.
        baked: Its parameters from ``network.bake(parameters, statistics)``, perturbed or not.

    Raises:
        InputError: A layer states no bound, or the parameters are not baked.

    Example:
        >>> from jaxrobust.layers.lipschitz import Chain, Flatten, OrthogonalDense, Scale
        >>> network = LinenNetwork(Chain((Flatten(), OrthogonalDense(3), Scale(2.0))), (4, 4, 1))
        >>> parameters, statistics = network.init(jax.random.key(0))
        >>> round(lipschitz_bound(network, network.bake(parameters)).constant, 4)
        2.0
    """
    module = network.module if isinstance(network, LinenNetwork) else network
    return bound_of(module, jax.device_get(baked), tuple(network.input_shape))


def layer_constants(network: LinenNetwork, baked: Parameters) -> dict[str, float]:
    """Measure the constant of every layer of a ``Chain``, by name."""
    chain, shape, found = _chain_of(network), tuple(network.input_shape), {}
    baked = jax.device_get(baked)
    for index, layer in enumerate(chain.layers):
        name = layer.name or f"layers_{index}"
        bound = bound_of(layer, baked.get(name, {}), shape)
        found[name], shape = bound.constant, bound.shape
    return found


def rounding_slack(bound: Bound, inputs: Float[np.ndarray, "samples ..."]) -> Radii:
    """Bound how far each sample's logits may be from exact arithmetic in float32, as an L2 norm."""
    length = np.linalg.norm(np.asarray(inputs, np.float64).reshape(len(inputs), -1), axis=1)
    largest = max(bound.constant, 1.0) * length + bound.offset
    return ROUNDINGS_PER_LAYER * max(bound.n_operations, 1) * float(np.finfo(np.float32).eps) * largest


def margins(logits: Logits, labels: Labels) -> Float[np.ndarray, " samples"]:
    """Return the label's logit minus the largest other one, in float64; -inf where a logit is NaN or +inf."""
    logits = np.asarray(logits, np.float64)
    _check_labels(logits, labels)
    rows = np.arange(len(logits))
    others = logits.copy()
    others[rows, labels] = -np.inf
    with np.errstate(invalid="ignore"):
        margin = logits[rows, labels] - others.max(axis=1)
    return np.where(_has_answer(logits), margin, -np.inf)


def certified_radii(logits: Logits, labels: Labels, constant: float, slack: Radii | float = 0.0) -> Radii:
    """Return the L2 radius around each sample within which its answer is the label; 0 for wrong answers.

    Args:
        logits: Of the samples.
        labels: Their classes.
        constant: Lipschitz constant of the logits as a vector, from ``lipschitz_bound``.
        slack: How far the logits may be off, from ``rounding_slack``.

    Raises:
        InputError: The constant is not positive, or labels and logits do not fit.

    Example:
        >>> print(certified_radii(np.array([[2.0, 0.0], [0.0, 1.0]]), np.array([0, 0]), 1.0).round(4))
        [1.4142 0.    ]
    """
    if not constant > 0:
        raise InputError(f"A Lipschitz constant is a positive number, not {constant!r}.")
    root_two = 2**0.5
    if not np.isfinite(constant):
        return np.zeros(len(logits))
    return np.maximum(margins(logits, labels) - root_two * np.asarray(slack), 0) / (root_two * constant)


def last_layer_radii(
    logits: Logits,
    labels: Labels,
    matrix: Float[np.ndarray, "features classes"],
    constant: float,
    slack: Radii | float = 0.0,
) -> Radii:
    """Return radii by the rows of the last layer: ``min_j margin_j / (|w_y - w_j| L)``.

    Never below the radii of the whole network's constant if no column is longer than the matrix's norm.

    Args:
        logits: Of the samples, ``features @ matrix + bias``.
        labels: Their classes.
        matrix: Of the last dense layer.
        constant: Lipschitz constant of the features.
        slack: How far the logits may be off.
    """
    logits, matrix = np.asarray(logits, np.float64), np.asarray(matrix, np.float64)
    _check_labels(logits, labels)
    if not constant > 0:
        raise InputError(f"A Lipschitz constant is a positive number, not {constant!r}.")
    rows = np.arange(len(logits))
    with np.errstate(invalid="ignore"):
        gaps = logits[rows, labels][:, None] - logits - 2**0.5 * np.reshape(slack, (-1, 1))
    lengths = np.linalg.norm(matrix.T[:, None] - matrix.T[None], axis=-1)[labels]
    gaps = np.where(_has_answer(logits)[:, None], gaps, -np.inf)
    with np.errstate(divide="ignore", invalid="ignore"):
        # Equal columns: the gap cannot change at all.
        radii = np.where(lengths > 0, gaps / (lengths * constant), np.where(gaps > 0, np.inf, -np.inf))
    radii[rows, labels] = np.inf
    return np.maximum(np.nan_to_num(radii.min(axis=1), nan=0.0, posinf=np.inf), 0)


def certified_accuracy(
    radii: Radii, levels: Sequence[float] | Float[np.ndarray, " levels"]
) -> Float[np.ndarray, " levels"]:
    """Return the fraction of samples whose radius exceeds each level: the certified accuracy over the radius.

    Example:
        >>> print(certified_accuracy(np.array([0.0, 0.5, 2.0]), [0.0, 0.5, 1.0]).round(3))
        [0.667 0.333 0.333]
    """
    return np.array([np.mean(radii > level) for level in levels])


def check_pixels(inputs: Float[np.ndarray, "samples ..."]) -> None:
    """Raise ``InputError`` for inputs outside [0, 1], for which a radius in units of pixels means nothing."""
    low, high = float(np.min(inputs)), float(np.max(inputs))
    if not (low >= 0 and high <= 1):
        raise InputError(
            f"A radius in units of pixels needs inputs in [0, 1], but these reach from {low:g} to {high:g}; "
            f"scale the images without normalizing them, or put the normalization into the network."
        )


def check_unbroken(
    radii: Radii,
    clean: Float[np.ndarray, "samples ..."],
    attacked: Float[np.ndarray, "samples ..."],
    is_fooled: Bool[np.ndarray, " samples"],
) -> None:
    """Raise ``CertificateBroken`` if an attack changed a certified answer within the sample's radius.

    Args:
        radii: From ``certified_radii``.
        clean: The samples.
        attacked: What the attack made of them.
        is_fooled: Whether the answer there is not the label.
    """
    shift = (np.asarray(attacked, np.float64) - np.asarray(clean, np.float64)).reshape(len(clean), -1)
    distance = np.linalg.norm(shift, axis=1)
    broken = np.flatnonzero(np.asarray(is_fooled) & (distance < radii))
    if len(broken):
        first = broken[0]
        raise CertificateBroken(
            f"{len(broken)} certified samples changed their answer, the first of them sample {first} at "
            f"distance {distance[first]:.6g} within its radius {radii[first]:.6g}."
        )


class Certificate(NamedTuple):
    """What is certified of a data set.

    Attributes:
        radii: Of each sample.
        constant: The measured Lipschitz constant.
        preserves_gradient: Whether all layers preserve the norm of gradients.
        accuracy: On the clean samples.
    """

    radii: Radii
    constant: float
    preserves_gradient: bool
    accuracy: float


def certify(
    network: LinenNetwork,
    baked: Parameters,
    inputs: Float[np.ndarray, "samples ..."],
    labels: Labels,
    *,
    logits: Logits,
    by_last_layer: bool = False,
) -> Certificate:
    """Measure the constant and compute the radii of all samples.

    Args:
        network: As for ``lipschitz_bound``.
        baked: Its parameters, baked; those with which ``logits`` were computed.
        inputs: The samples; radii are in their unit.
        labels: Their classes.
        logits: What the network answers.
        by_last_layer: Whether to use the last dense layer's columns (``last_layer_radii``).

    Raises:
        InputError: An uncertified layer; labels that do not fit; or the last layer is not dense.
    """
    labels = np.asarray(labels)
    bound = lipschitz_bound(network, baked)
    slack = rounding_slack(bound, inputs)
    radii = certified_radii(logits, labels, bound.constant, slack)
    if by_last_layer:
        matrix, features = _last_layer(network, baked)
        radii = np.maximum(radii, last_layer_radii(logits, labels, matrix, features, slack))
    accuracy = float(np.mean(np.asarray(is_hit(jnp.asarray(logits), jnp.asarray(labels)))))
    return Certificate(radii, bound.constant, bound.preserves_gradient, accuracy)


def _last_layer(network: LinenNetwork, baked: Parameters) -> tuple[np.ndarray, float]:
    chain = _chain_of(network)
    last = chain.layers[-1]
    if not isinstance(last, OrthogonalDense):
        raise InputError(f"The last layer is a {type(last).__name__}, not an OrthogonalDense.")
    constants = layer_constants(network, baked)
    name = list(constants)[-1]
    before = float(np.prod([value for key, value in constants.items() if key != name]))
    return baked_kernel(jax.device_get(baked)[name]), before


def _chain_of(network: Any) -> Chain:
    if not isinstance(network.module, Chain):
        raise InputError(f"{type(network.module).__name__} is no Chain of layers.")
    return network.module


def _has_answer(logits: Logits) -> Bool[np.ndarray, " samples"]:
    """Compute ``criteria.is_answer`` in float64, which JAX has only where it is switched on."""
    return np.isfinite(np.max(logits, axis=1))


def _check_labels(logits: np.ndarray, labels: np.ndarray) -> None:
    if len(labels) != len(logits):
        raise InputError(f"There are {len(logits)} rows of logits, but {len(labels)} labels.")
    if len(labels) and not (np.min(labels) >= 0 and np.max(labels) < logits.shape[1]):
        raise InputError(
            f"Labels reach from {np.min(labels)} to {np.max(labels)}, but there are {logits.shape[1]} logits."
        )
