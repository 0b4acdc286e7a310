"""How much noise each position of a network tolerates: accuracies and midpoints, position by position.

All levels of a sweep are computed side by side with one draw of the noise: the layers before the noise and
the draw, which costs more than a small network, are computed once. Differences between levels are then
differences of the level alone (common random numbers); draws differ in their noise.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, Int, Shaped

from jaxrobust.criteria import Score, is_hit
from jaxrobust.errors import InputError
from jaxrobust.measures.full_set import in_chunks
from jaxrobust.measures.midpoint import Midpoint, fit_midpoint
from jaxrobust.networks.network import Network, Variables
from jaxrobust.networks.taps import Taps
from jaxrobust.perturbations.noise import AdditiveNoise
from jaxrobust.perturbations.perturbation import Perturbation

# Perturbations by position, as in ``Taps.perturb``.
Placement = Mapping[str, Perturbation]
# Samples computed at once, for all levels.
BATCH = 500
# The published grid has four levels per decade.
LEVELS = tuple(float(level) for level in np.logspace(-2, 4, 25))


@dataclass(frozen=True)
class WalkingProfile:
    """Accuracy under noise at one position after the other.

    Attributes:
        levels: Noise levels.
        clean: Accuracy without noise.
        accuracies: ``(draws, levels)`` by position.
        midpoints: By position.
    """

    levels: tuple[float, ...]
    clean: float
    accuracies: dict[str, Float[np.ndarray, "draws levels"]]
    midpoints: dict[str, Midpoint]

    def __str__(self) -> str:
        """One line per position."""
        width = max(map(len, self.midpoints))
        return "\n".join(f"{name:{width}}  {midpoint}" for name, midpoint in self.midpoints.items())


def noise_accuracies(
    network: Network,
    variables: Variables,
    inputs: Float[Array, "samples ..."],
    labels: Shaped[Array, "samples ..."],
    key: Array,
    placements: Sequence[Placement],
    *,
    n_draws: int = 1,
    batch_size: int = BATCH,
    score: Score = is_hit,
) -> Float[Array, "draws placements"]:
    """Accuracy of a network under several placements of noise, all in one program.

    Placements must agree in their positions and kinds of noise and may differ in all numbers: levels, means,
    ratios, numbers of executions. One program serves all numbers; another set of positions compiles another,
    in which the other positions draw nothing. All placements of a draw share their random numbers. Draws
    depend on ``key``, their number and ``batch_size``.

    Args:
        network: The network.
        variables: Its parameters and statistics.
        inputs: All samples.
        labels: Their labels.
        key: PRNG key.
        placements: Such as ``[{"fc1": AdditiveNoise(level)} for level in levels]``.
        n_draws: Number of draws of the noise.
        batch_size: Samples computed at once.
        score: The metric of a criterion.

    Raises:
        InputError: There is nothing to compute, a position does not exist, or placements differ in more than
            numbers.
    """
    if not placements or n_draws < 1:
        raise InputError(f"There must be at least one placement of noise and one draw, not {n_draws} draws.")
    taps = [Taps(perturb=dict(placement)) for placement in placements]
    check_positions(network, taps[0].names)
    structures = {jax.tree.structure(tap) for tap in taps}
    if len(structures) > 1:
        raise InputError(
            f"Placements of one sweep must have equal positions and kinds of noise; one has "
            f"{dict(placements[0])}, others differ in more than numbers."
        )
    stacked = jax.tree.map(lambda *leaves: jnp.asarray(np.array(leaves, np.float32)), *taps)
    how = network, len(placements), n_draws, batch_size, score
    hits = _hits(*how, variables, jnp.asarray(inputs), jnp.asarray(labels), key, stacked)
    return hits / len(labels)  # here, as compiled code multiplies by the inverse, and 1 is no longer 1


@partial(jax.jit, static_argnums=(0, 1, 2, 3, 4))
def _hits(
    network: Network,
    n_placements: int,
    n_draws: int,
    batch_size: int,
    score: Score,
    variables: Variables,
    inputs: Float[Array, "samples ..."],
    labels: Shaped[Array, "samples ..."],
    key: Array,
    taps: Taps,
) -> Float[Array, "draws placements"]:
    chunks, is_real = in_chunks((inputs, labels), batch_size)

    def of_chunk(draw_and_chunk: Int[Array, " 2"]) -> Array:
        draw, at = draw_and_chunk
        some_inputs, some_labels = jax.tree.map(lambda leaf: leaf[at], chunks)
        draw_key = jax.random.fold_in(jax.random.fold_in(key, draw), at)

        # The key has no axis of placements, so vmap leaves draws and earlier layers out of it.
        def of_placement(tap: Taps) -> Array:
            outputs = network.forward(*variables, some_inputs, key=draw_key, tap=tap)
            return jnp.sum(jnp.where(is_real[at], score(outputs.logits, some_labels), 0))

        return jax.vmap(of_placement, axis_size=n_placements)(taps)

    # One loop over both: nested ones take longer to compile.
    which = jnp.indices((n_draws, len(is_real))).reshape(2, -1).T
    hits = jax.lax.map(of_chunk, which).reshape(n_draws, len(is_real), n_placements)
    return jnp.sum(hits, axis=1)


def check_positions(network: Network, names: Sequence[str]) -> None:
    """Raise ``InputError`` for a network without positions, and for a position that it does not have."""
    if not network.positions:
        raise InputError(
            f"{type(network).__name__} has no positions, so no noise can be put inside it; call "
            f"tap(name, x) in its forward pass."
        )
    Taps(record=tuple(names)).check(network.positions)


def walking_profile(
    network: Network,
    variables: Variables | Any,
    inputs: Float[Array, "samples ..."],
    labels: Shaped[Array, "samples ..."],
    *,
    key: Array | None = None,
    positions: Sequence[str] = (),
    levels: Sequence[float] = LEVELS,
    kind: type = AdditiveNoise,
    n_draws: int = 3,
    chance: float | None = None,
    batch_size: int = BATCH,
) -> WalkingProfile:
    """Measure how much noise each position of any network tolerates.

    Args:
        network: Anything that follows ``Network``.
        variables: Parameters and statistics; bare parameters for a network without statistics.
        inputs: Samples, usually the test set.
        labels: Their classes.
        key: PRNG key of the noise; ``jax.random.key(0)`` by default.
        positions: Where noise is put, one after the other; all by default.
        levels: Noise levels in rising order.
        kind: Makes a perturbation of a level: ``AdditiveNoise``, ``MultiplicativeNoise`` or your own.
        n_draws: Draws of the noise, which error bars come from; at least 2 for any.
        chance: Accuracy of guessing; one over the number of classes by default.
        batch_size: Samples computed at once.

    Raises:
        InputError: A position does not exist, or the network has none.

    Example:
        >>> from jaxrobust.networks.mlp import MLP
        >>> network = MLP(2, (8,), 2)
        >>> variables, x = network.init(jax.random.key(0)), jax.random.normal(jax.random.key(1), (200, 2))
        >>> labels = network.forward(*variables, x).logits.argmax(1)
        >>> profile = walking_profile(network, variables, x, labels)
        >>> profile.clean, list(profile.midpoints)
        (1.0, ['input', 'fc1', 'relu1', 'logits'])
    """
    if not isinstance(variables, Variables):
        variables = Variables(variables, {})
    key = jax.random.key(0) if key is None else key
    check_positions(network, positions)
    clean = float(
        noise_accuracies(network, variables, inputs, labels, key, [{}], batch_size=batch_size)[0, 0]
    )
    one = jax.eval_shape(network.forward, *variables, jnp.asarray(inputs[:1]))
    guess = 1 / one.logits.shape[-1] if chance is None else chance
    accuracies = {
        position: np.asarray(
            noise_accuracies(
                network,
                variables,
                inputs,
                labels,
                key,
                [{position: kind(level)} for level in levels],
                n_draws=n_draws,
                batch_size=batch_size,
            )
        )
        for position in positions or network.positions
    }
    midpoints = {
        position: fit_midpoint(np.asarray(levels), curves, clean=clean, chance=guess)
        for position, curves in accuracies.items()
    }
    return WalkingProfile(tuple(levels), clean, accuracies, midpoints)
