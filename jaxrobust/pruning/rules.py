"""Which weights are pruned next: the smallest of each layer, of all layers, or any.

A rule is a frozen dataclass with ``prune(parameters, masks, key) -> masks``. What is pruned stays pruned.
Rules run between trainings, on the host: how many weights are left is exact whatever the layer's size (a rate
in float32 would be one off for millions of weights), and a layer that would vanish is an error and no empty
mask.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxrobust.errors import InputError
from jaxrobust.path_rules import match, paths
from jaxrobust.pruning.masks import Masks, check_masks
from jaxrobust.trees import Parameters

Counting = Literal["exact", "published"]
By = Literal["magnitude", "random"]
Rates = tuple[tuple[str, float], ...]


class Pruning(Protocol):
    """A rule of pruning."""

    def prune(self, parameters: Parameters, masks: Masks, key: Array | None = None) -> Masks:
        """Return masks that keep a part of what ``masks`` keep.

        Args:
            parameters: The trained parameters.
            masks: What is kept of them so far.
            key: PRNG key of random choices.
        """
        ...


@dataclass(frozen=True)
class LayerwisePruning:
    """Prune a share of the kept weights of each layer, the smallest in magnitude.

    With ``n`` kept weights and rate ``p`` the exact count removes ``round(p n)`` of them (half to even). The
    published code of the sparse tickets (Cosentino et al. 2019) removes all weights up to the one *at* place
    ``round(p n)``, so one more per layer and round, and all that equal it.

    Attributes:
        rates: Pairs of a regular expression for the paths of parameters and the share that one round prunes,
            in [0, 1); the first that fits counts, and a parameter that none fits is left whole.
        counting: ``"exact"`` or ``"published"``.
        n_rounds: Rounds that are pruned at once: with more than 1 this is one-shot pruning to the number of
            weights that so many rounds would leave.
        by: ``"magnitude"``; or ``"random"``, which draws as many of each layer and ignores their values.

    Example:
        >>> theta = {"w": jnp.array([0.1, -3.0, 0.2, 1.0])}
        >>> masks = jax.tree.map(lambda p: jnp.ones(p.shape, bool), theta)
        >>> LayerwisePruning((("w", 0.5),)).prune(theta, masks)["w"].tolist()
        [False, True, False, True]
    """

    rates: Rates
    counting: Counting = "exact"
    n_rounds: int = 1
    by: By = "magnitude"

    def __post_init__(self):
        for _, rate in self.rates:
            _check_rate(rate)
        _check_word(self.counting, "counting", Counting)
        _check_word(self.by, "by", By)
        _check_rounds(self.n_rounds)

    def prune(self, parameters: Parameters, masks: Masks, key: Array | None = None) -> Masks:
        """Return the masks of the next round.

        Raises:
            InputError: A rule fits no parameter, a layer would be pruned to nothing, weights are not finite,
                or a random choice lacks its key.
        """
        check_masks(parameters, masks)
        if self.by == "random" and key is None:
            raise InputError("Random pruning needs a key: prune(parameters, masks, jax.random.key(0)).")
        new: list[Array] = []
        for place, (name, rate, values, mask) in enumerate(_layers(self.rates, parameters, masks)):
            if rate is None:
                new.append(jnp.asarray(mask))
                continue
            n_left = left_after(int(mask.sum()), rate, self.n_rounds, self.counting)
            _check_left(name, n_left, mask)
            order = values
            if self.by == "random":
                assert key is not None
                order = np.asarray(jax.random.uniform(jax.random.fold_in(key, place), mask.shape))
            new.append(jnp.asarray(_without_smallest(order, mask, n_left, self.counting)))
        return jax.tree.unflatten(jax.tree.structure(parameters), new)


@dataclass(frozen=True)
class GlobalPruning:
    """Prune a share of the kept weights of all layers together, the smallest in magnitude.

    Attributes:
        rate: The share that one round prunes, in [0, 1).
        parameters: Regular expressions for the paths of what is pruned; all others are left whole.
        n_rounds: Rounds that are pruned at once.
    """

    rate: float
    parameters: tuple[str, ...] = (".*",)
    n_rounds: int = 1

    def __post_init__(self):
        _check_rate(self.rate)
        _check_rounds(self.n_rounds)

    def prune(self, parameters: Parameters, masks: Masks, key: Array | None = None) -> Masks:
        """Return the masks of the next round; ``key`` is not used.

        Raises:
            InputError: A pattern fits no parameter, a layer would be pruned to nothing, or weights are not
                finite.
        """
        check_masks(parameters, masks)
        rates = tuple((pattern, self.rate) for pattern in self.parameters)
        layers = list(_layers(rates, parameters, masks))
        pruned = [(values.ravel(), mask.ravel()) for _, rate, values, mask in layers if rate is not None]
        values, mask = (np.concatenate(parts) for parts in zip(*pruned, strict=True))
        n_left = left_after(int(mask.sum()), self.rate, self.n_rounds, "exact")
        kept = _without_smallest(values, mask, n_left, "exact")
        new: list[Array] = []
        for name, rate, _, before in layers:
            if rate is None:
                new.append(jnp.asarray(before))
                continue
            mine, kept = kept[: before.size].reshape(before.shape), kept[before.size :]
            _check_left(name, int(mine.sum()), before)
            new.append(jnp.asarray(mine))
        return jax.tree.unflatten(jax.tree.structure(parameters), new)


def left_after(n: int, rate: float, n_rounds: int = 1, counting: Counting = "exact") -> int:
    """How many of ``n`` weights some rounds leave, if no two are equal in magnitude.

    Example:
        >>> left_after(235_200, 0.2), left_after(235_200, 0.2, counting="published")
        (188160, 188159)
    """
    for _ in range(n_rounds):
        n -= int(np.round(rate * n)) + (counting == "published")
    return n


def _layers(
    rates: Rates, parameters: Parameters, masks: Masks
) -> Iterator[tuple[str, float | None, np.ndarray, np.ndarray]]:
    """Each tensor's path, rate (None: left whole), magnitudes and mask, in the order of the leaves."""
    rules: list[tuple[str, Any]] = list(rates)
    try:
        found = match(rules, parameters)
    except InputError:
        # Not every parameter has a rate; what is wrong with the rates themselves is raised here again.
        found = match([*rules, (".*", None)], parameters)
    for one, name, leaf, mask in zip(
        found, paths(parameters), jax.tree.leaves(parameters), jax.tree.leaves(masks), strict=True
    ):
        values = np.abs(np.asarray(leaf))
        if one.value is not None and not np.all(np.isfinite(values)):
            raise InputError(f"The weights of {name!r} are not all finite, so that none are the smallest.")
        yield name, one.value, values, np.asarray(mask, bool)


def _without_smallest(values: np.ndarray, mask: np.ndarray, n_left: int, counting: Counting) -> np.ndarray:
    """The mask without its smallest values; among equal ones the exact count removes the first."""
    kept = values[mask]
    n_removed = kept.size - n_left
    if counting == "published":
        return mask & (values > np.sort(kept)[n_removed - 1]) if n_removed else mask
    left = np.ones(kept.size, bool)
    left[np.argsort(kept, kind="stable")[:n_removed]] = False
    new = mask.copy()
    new[mask] = left
    return new


def _check_rate(rate: float) -> None:
    if not (isinstance(rate, int | float) and 0 <= rate < 1):
        raise InputError(f"A pruning rate is a number of at least 0 and below 1, not {rate!r}.")


def _check_rounds(n_rounds: int) -> None:
    if not isinstance(n_rounds, int) or n_rounds < 1:
        raise InputError(f"n_rounds of a pruning is a whole number of at least 1, not {n_rounds!r}.")


def _check_word(word: str, name: str, allowed: Any) -> None:
    if word not in get_args(allowed):
        raise InputError(f"{name} of a pruning is one of {', '.join(get_args(allowed))}, not {word!r}.")


def _check_left(name: str, n_left: int, mask: np.ndarray) -> None:
    if n_left < 1:
        raise InputError(
            f"Pruning would leave none of the {int(mask.sum())} kept weights of {name!r} ({mask.size} in "
            f"all); lower its rate or prune fewer rounds."
        )
