"""The contract of random perturbations, and how they are combined.

A perturbation is a frozen dataclass with one method, ``perturb(key, tree)``, a pure function on any tree of
floating-point arrays: parameters, inputs, or the activations at one position of a network. Its numbers are
leaves of the settings' tree, so that another level recompiles nothing and a list of levels can be an axis;
each may be one number for all leaves or a tree like the perturbed one with one number per leaf
(``path_rules.assign`` makes such trees).
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, PyTree

from jaxrobust.errors import InputError
from jaxrobust.path_rules import matching
from jaxrobust.trees import Parameters, PerLeaf, for_every_leaf, settings_tree, static

Tree = PyTree[Float[Array, "..."]]


@runtime_checkable
class Perturbation(Protocol):
    """What devices, converters, time or an experimenter do to a tree of arrays, drawn at random.

    Every implementation promises (``tests/contracts/test_perturbations.py`` checks each):

    * *pure*: the same key gives the same result, whatever else is computed, compiled or not, alone or under
      ``vmap``;
    * *same form*: structure, shapes and dtypes of the tree are kept;
    * *finite*: no NaN in the value or its derivative, at zero and at equal elements too;
    * *differentiable* with respect to the tree where the formula is;
    * *no recompilation* for other numbers in its settings.

    A class of your own is a perturbation if it has the method; make it a frozen dataclass decorated with
    ``trees.settings_tree`` to get the last promise.

    Example:
        >>> from jaxrobust.perturbations.noise import AdditiveNoise
        >>> AdditiveNoise(0.0).perturb(jax.random.key(0), {"w": jnp.ones(2)})
        {'w': Array([1., 1.], dtype=float32)}
    """

    def perturb(self, key: Array, tree: Tree, /) -> Tree:
        """Draw one perturbed tree of the same structure, shapes and dtypes."""
        ...


@settings_tree
@dataclass(frozen=True)
class At:
    """A perturbation of the activations at one position of a network.

    ``perturb(key, x)`` takes the activations ``x`` of that position alone, inside ``tap(position, x)``. For a
    dict of activations by position, use ``Matching``.

    Attributes:
        perturbation: What happens there.
        position: Name of the position, one of ``network.positions``.
    """

    perturbation: Perturbation
    position: str = static()

    def __post_init__(self):
        if not isinstance(self.position, str) or not self.position:
            raise InputError(
                f"position must be a name of network.positions, such as 'fc2', not {self.position!r}."
            )

    def perturb(self, key: Array, tree: Tree) -> Tree:
        """Perturb the activations at the position."""
        return self.perturbation.perturb(key, tree)


def at(position: str, *perturbations: Perturbation) -> At:
    """Name the position at which activations are perturbed; several perturbations follow one another.

    Args:
        position: One of a network's ``positions``.
        *perturbations: What is done there, in this order.

    Raises:
        InputError: There is no perturbation.

    Example:
        >>> from jaxrobust.perturbations.noise import AdditiveNoise
        >>> at("fc2", AdditiveNoise(0.3)).position
        'fc2'
    """
    if not perturbations:
        raise InputError(
            f"at({position!r}) needs a perturbation, such as at({position!r}, AdditiveNoise(0.3))."
        )
    return At(perturbations[0] if len(perturbations) == 1 else Chain(perturbations), position)


@settings_tree
@dataclass(frozen=True)
class Selected:
    """Another perturbation, of some tensors only.

    Attributes:
        perturbation: What is done to the selected tensors.
        where: Tree like the parameters, true where a tensor is perturbed;
            ``path_rules.assign(rules, parameters)`` makes one.

    Example:
        >>> import jax, jax.numpy as jnp, jaxrobust as jr
        >>> noise = jr.Selected(jr.AdditiveNoise(1.0), where={"bias": False, "kernel": True})
        >>> print(noise.perturb(jax.random.key(0), {"bias": jnp.zeros(2), "kernel": jnp.zeros(2)})["bias"])
        [0. 0.]
    """

    perturbation: Perturbation
    where: PerLeaf

    def perturb(self, key: Array, parameters: Parameters) -> Parameters:
        """Draw one device; the draws of the selected tensors do not depend on the selection."""
        where = for_every_leaf(self.where, parameters, "where")
        perturbed = self.perturbation.perturb(key, parameters)
        return jax.tree.map(jnp.where, where, perturbed, parameters)


@settings_tree
@dataclass(frozen=True)
class Matching:
    """Another perturbation, of the tensors whose names match.

    Attributes:
        perturbation: What is done to these tensors.
        pattern: Regular expression for the whole path of a tensor, such as ``"w_.*"`` or, for all but batch
            normalisation, ``"(?!.*bn).*"``.

    Example:
        >>> import jax, jax.numpy as jnp, jaxrobust as jr
        >>> noise = jr.Matching(jr.AdditiveNoise(1.0), "kernel.*")
        >>> print(noise.perturb(jax.random.key(0), {"bias": jnp.zeros(2), "kernel": jnp.zeros(2)})["bias"])
        [0. 0.]
    """

    __key_name__ = "jaxrobust.robustness.perturbations:Matching"

    perturbation: Perturbation
    pattern: str = static()

    def perturb(self, key: Array, parameters: Parameters) -> Parameters:
        """Draw one device; the draws of the matching tensors do not depend on the pattern.

        Raises:
            InputError: The pattern cannot be read or matches no tensor.
        """
        where = matching([self.pattern], parameters)
        return Selected(self.perturbation, where).perturb(key, parameters)


@settings_tree
@dataclass(frozen=True)
class Chain:
    """Several perturbations, one after the other, such as quantization and then mismatch.

    Attributes:
        perturbations: In the order in which they happen.

    Example:
        >>> import jax, jax.numpy as jnp, jaxrobust as jr
        >>> chip = jr.Chain((jr.Quantization(bits=1), jr.GaussianMismatch(0.0)))
        >>> print(chip.perturb(jax.random.key(0), jnp.array([0.0, 0.2, 1.0])))
        [0. 0. 1.]
    """

    perturbations: tuple[Perturbation, ...]

    def perturb(self, key: Array, parameters: Parameters) -> Parameters:
        """Draw one device; each perturbation has a key of its own."""
        for index, perturbation in enumerate(self.perturbations):
            parameters = perturbation.perturb(jax.random.fold_in(key, index), parameters)
        return parameters
