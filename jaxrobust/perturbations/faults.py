"""Digital defects of parameters: few bits, bits that flip, and memory cells that are stuck.

A parameter of ``b`` bits takes one of ``2^b`` values, ``step = (max - min) / (2^b - 1)`` apart, where the
range is that of its tensor. A tensor whose values are all the same is left as it is.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from jaxrobust.errors import InputError
from jaxrobust.numerics import largest, smallest
from jaxrobust.trees import (
    Parameters,
    PerLeaf,
    check_numbers,
    for_every_leaf,
    map_floats,
    map_with_keys,
    settings_tree,
    static,
)

StuckValue = Literal["zero", "minimum", "maximum"]
# A code of more bits than a float32 has digits would not be exact.
MOST_BITS = 24


def _step(p: Float[Array, "..."], bits: Array) -> Float[Array, ""]:
    """The distance of neighbouring values, and 1 where it would be zero; NaN if one of them is."""
    highest_code = (jnp.uint32(1) << jnp.asarray(bits, jnp.uint32)) - 1
    step = (largest(p) - smallest(p)) / highest_code.astype(p.dtype)
    return jnp.where(step == 0, 1, step)


def _widened(p: Float[Array, "..."]) -> Float[Array, "..."]:
    """In at least float32: 65535 codes are infinite in float16, and not all whole numbers in bfloat16."""
    return p.astype(jnp.float32) if p.dtype.itemsize < 4 else p


def _check_bits(bits: PerLeaf, kind: str) -> None:
    for value in jax.tree.leaves(bits):
        if isinstance(value, float | np.floating) and value != int(value):
            raise InputError(f"bits of {kind} must be a whole number, not {value!r}.")


@settings_tree
@dataclass(frozen=True)
class Quantization:
    """Parameters of ``b`` bits, tensor by tensor: ``theta -> step round(theta / step)``.

    The grid holds zero, as published, and no value moves by more than half a step. Draws nothing: every key
    gives the same.

    Attributes:
        bits: Bits a parameter, 1 to 24.

    Raises:
        InputError: Bits that are no whole number from 1 to 24.

    Example:
        >>> import jax, jax.numpy as jnp, jaxrobust as jr
        >>> print(jr.Quantization(bits=1).perturb(jax.random.key(0), jnp.array([0.0, 0.2, 1.0])))
        [0. 0. 1.]
    """

    bits: PerLeaf

    def __post_init__(self):
        check_numbers(self, "bits", minimum=1, maximum=MOST_BITS)
        _check_bits(self.bits, "Quantization")

    def perturb(self, key: Array, parameters: Parameters) -> Parameters:
        """Round every parameter to the nearest multiple of its tensor's step."""
        del key

        def leaf(p: Array, bits: Array) -> Array:
            values = _widened(p)
            step = _step(values, bits)
            is_constant = largest(p) == smallest(p)
            return jnp.where(is_constant, p, (jnp.round(values / step) * step).astype(p.dtype))

        return map_floats(leaf, parameters, for_every_leaf(self.bits, parameters, "bits"))


@settings_tree
@dataclass(frozen=True)
class BitFlips:
    """Parameters of ``b`` bits whose bits flip, each on its own with the same probability.

    A parameter is stored as the whole number ``round((theta - min) / step)`` in ``b`` bits without sign, so
    that every pattern of bits stands for a value inside the tensor's range; the rounding itself happens at
    probability 0 as well.

    Attributes:
        probability: Of each bit to flip.
        bits: Bits a parameter, 1 to 24.

    Raises:
        InputError: A probability outside 0 to 1, or bits that are no whole number from 1 to 24.

    Example:
        >>> import jax, jax.numpy as jnp, jaxrobust as jr
        >>> flipped = jr.BitFlips(0.01, bits=4).perturb(jax.random.key(0), jnp.linspace(0.0, 1.0, 5))
        >>> flipped.shape
        (5,)
    """

    probability: PerLeaf
    bits: PerLeaf = 8

    def __post_init__(self):
        check_numbers(self, "probability", maximum=1)
        check_numbers(self, "bits", minimum=1, maximum=MOST_BITS)
        _check_bits(self.bits, "BitFlips")

    def perturb(self, key: Array, parameters: Parameters) -> Parameters:
        """Draw which bits flip."""

        def leaf(k: Array, p: Array, probability: Array, bits: Array) -> Array:
            values = _widened(p)
            step, lowest, highest = _step(values, bits), smallest(values), largest(values)
            code = jnp.round((values - lowest) / step).astype(jnp.uint32)

            def flip(place: Array, code: Array) -> Array:
                flips = jax.random.bernoulli(jax.random.fold_in(k, place), probability, p.shape)
                return code ^ (flips.astype(jnp.uint32) << place.astype(jnp.uint32))

            code = jax.lax.fori_loop(0, jnp.asarray(bits, jnp.int32), flip, code)
            # The highest code is the largest value up to rounding; no value leaves the range.
            value = jnp.clip(lowest + code.astype(values.dtype) * step, lowest, highest)
            return jnp.where(highest == lowest, p, value.astype(p.dtype))

        return map_with_keys(
            leaf,
            key,
            parameters,
            for_every_leaf(self.probability, parameters, "probability"),
            for_every_leaf(self.bits, parameters, "bits"),
        )


@settings_tree
@dataclass(frozen=True)
class StuckAt:
    """Memory cells that are stuck, each on its own with the same probability.

    Attributes:
        probability: Of each parameter to be stuck.
        at: At what: ``"zero"``, or the ``"minimum"`` or ``"maximum"`` of its tensor.

    Raises:
        InputError: A probability outside 0 to 1, or a value that does not exist.

    Example:
        >>> import jax, jax.numpy as jnp, jaxrobust as jr
        >>> print(jr.StuckAt(1.0).perturb(jax.random.key(0), jnp.ones(2)))
        [0. 0.]
    """

    probability: PerLeaf
    at: StuckValue = static(default="zero")

    def __post_init__(self):
        check_numbers(self, "probability", maximum=1)
        if self.at not in get_args(StuckValue):
            raise InputError(f"at must be one of {', '.join(get_args(StuckValue))}, not {self.at!r}.")

    def perturb(self, key: Array, parameters: Parameters) -> Parameters:
        """Draw which parameters are stuck."""

        def leaf(k: Array, p: Array, probability: Array) -> Array:
            value = {"zero": jnp.zeros_like, "minimum": smallest, "maximum": largest}[self.at](p)
            return jnp.where(jax.random.bernoulli(k, probability, p.shape), value, p)

        return map_with_keys(
            leaf, key, parameters, for_every_leaf(self.probability, parameters, "probability")
        )
