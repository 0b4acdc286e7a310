"""Trees of parameters and of settings: a value and a random draw for every leaf, and checks of numbers."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import field, fields
from functools import partial
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.core import Tracer
from jaxtyping import Float, PyTree

from jaxrobust.errors import InputError

Parameters = PyTree[Float[Array, "..."]]
Number = Float[Array, ""] | float
# One number for all parameters, or a tree like the parameters with a number for each leaf.
PerLeaf = Number | PyTree[Number]

Settings = TypeVar("Settings")
# Marks an attribute of settings that is part of a program's structure: another value compiles anew.
static = partial(field, metadata={"static": True})


def settings_tree(kind: type[Settings], also_static: Collection[str] = ()) -> type[Settings]:
    """Make a frozen dataclass a tree: its attributes are the branches, those marked ``static`` its structure.

    Args:
        kind: The dataclass.
        also_static: Attributes that are static without the mark.

    As ``jax.tree_util.register_dataclass`` would, were it safe: up to JAX 0.10.2 at least, the structures of
    two classes registered so compare equal if they have as many attributes and equal static ones. Whenever
    their hashes meet in a table, ``jit`` then runs the program compiled for the one on the other.
    """
    all_fields = fields(kind)  # type: ignore[arg-type]
    static_names = [f.name for f in all_fields if f.metadata.get("static") or f.name in also_static]
    names = [f.name for f in all_fields if f.name not in static_names]

    def structure_of(settings: Settings) -> tuple[Any, ...]:
        return (kind, *(getattr(settings, name) for name in static_names))

    def flatten(settings: Settings):
        return tuple(getattr(settings, name) for name in names), structure_of(settings)

    def flatten_with_keys(settings: Settings):
        keyed = tuple((jax.tree_util.GetAttrKey(name), getattr(settings, name)) for name in names)
        return keyed, structure_of(settings)

    def unflatten(structure: tuple[Any, ...], branches: Iterable[Any]) -> Settings:
        return kind(
            **dict(zip(names, branches, strict=True)), **dict(zip(static_names, structure[1:], strict=True))
        )

    jax.tree_util.register_pytree_with_keys(kind, flatten_with_keys, unflatten, flatten)
    return kind


def for_every_leaf(value: PerLeaf, parameters: Parameters, name: str) -> Parameters:
    """Give every leaf of ``parameters`` its value: the one number, or that of the tree.

    Args:
        value: One number, or a tree of the structure of ``parameters``.
        parameters: Any tree of arrays.
        name: What the values are, for the error.

    Raises:
        InputError: The tree has another structure.
    """
    if jax.tree.structure(value) == jax.tree.structure(0.0):
        return jax.tree.map(lambda _: value, parameters)
    if jax.tree.structure(value) != jax.tree.structure(parameters):
        raise InputError(
            f"{name} must be one number or a tree like the parameters "
            f"({jax.tree.structure(parameters)}), not {jax.tree.structure(value)}."
        )
    return value


def map_with_keys(
    function: Callable[..., Array], key: Array, parameters: Parameters, *values: Parameters
) -> Parameters:
    """Apply ``function(key, leaf, *values)`` to every leaf, with one PRNG key a leaf.

    Args:
        function: What is done to one floating-point leaf; others stay as they are.
        key: PRNG key, split among the leaves in their order.
        parameters: Any tree of arrays.
        values: Trees of the same structure.
    """
    leaves, structure = jax.tree.flatten(parameters)
    keys = jax.tree.unflatten(structure, list(jax.random.split(key, len(leaves))))
    return map_floats(lambda leaf, k, *rest: function(k, leaf, *rest), parameters, keys, *values)


def normal_like(key: Array, parameters: Parameters) -> Parameters:
    """Draw a standard normal tree of the shapes and dtypes of ``parameters``, one key a leaf.

    Leaves that are no floating-point arrays come back as they are: nothing is to be drawn for them.
    """
    return map_with_keys(lambda k, leaf: jax.random.normal(k, leaf.shape, leaf.dtype), key, parameters)


def map_floats(function: Callable[..., Any], tree: PyTree, *others: PyTree) -> PyTree:
    """Apply ``function(leaf, *others)`` to the floating-point leaves of a tree, and leave all others alone.

    Steps, masks, PRNG keys, None and empty arrays have no mismatch; Python floats become arrays.

    Raises:
        InputError: A leaf is no array at all, such as a function in a module that was not partitioned.

    Example:
        >>> map_floats(lambda w: 2 * w, {"w": np.float32([1, 2]), "step": np.arange(2)})
        {'step': array([0, 1]), 'w': Array([2., 4.], dtype=float32)}
    """

    def one(path: Any, leaf: Any, *values: Any) -> Any:
        if isinstance(leaf, bool | int):
            return leaf
        if not isinstance(leaf, float) and not hasattr(leaf, "dtype"):
            raise InputError(
                f"The leaf {jax.tree_util.keystr(path)} is a {type(leaf).__name__}, no array: perturb and "
                f"attack the arrays alone, of an Equinox model eqx.partition(model, eqx.is_inexact_array)[0]."
            )
        is_array = not isinstance(leaf, float)
        if is_array and (not jnp.issubdtype(leaf.dtype, jnp.floating) or leaf.size == 0):
            return leaf
        return function(jnp.asarray(leaf), *values)

    return jax.tree_util.tree_map_with_path(one, tree, *others)


def check_floats(tree: PyTree, what: str) -> None:
    """Raise ``InputError``, with the path, for a leaf of which there is no derivative.

    Args:
        tree: Parameters.
        what: What is done to them, such as ``"An attack"``.
    """
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        if isinstance(leaf, float) or jnp.issubdtype(getattr(leaf, "dtype", int), jnp.floating):
            continue
        kind = getattr(leaf, "dtype", type(leaf).__name__)
        raise InputError(
            f"{what} needs floating-point parameters, but {jax.tree_util.keystr(path) or 'the tree'} is "
            f"{kind}: keep it in apply's closure, or pass the floating-point leaves alone."
        )


def check_finite(values: PyTree, what: str) -> None:
    """Raise ``InputError`` for arrays that hold NaN or infinity; what is traced is not looked at."""
    for leaf in jax.tree.leaves(values):
        if isinstance(leaf, Tracer) or not jnp.issubdtype(leaf.dtype, jnp.floating):
            continue
        # On the host: the sum of a memory-mapped array is finite exactly if no element is NaN or infinite,
        # unless it overflows, which the slower look then finds out.
        values = np.asarray(leaf)
        with np.errstate(over="ignore", invalid="ignore"):
            is_finite = bool(np.isfinite(np.sum(values))) or bool(np.isfinite(values).all())
        if not is_finite:
            n_bad = int(np.sum(~np.isfinite(values)))
            raise InputError(
                f"{what} hold {n_bad} numbers that are NaN or infinite: fill the gaps, or leave these "
                f"samples out."
            )


def check_numbers(settings: Any, *names: str, minimum: float = 0.0, maximum: float = float("inf")) -> None:
    """Raise ``InputError`` for a setting out of range; what is traced or lies on a device is not looked at.

    Args:
        settings: A settings dataclass.
        names: Its attributes to check, each a number or a tree of numbers.
        minimum: The smallest allowed value.
        maximum: The largest allowed value; no number may be infinite.
    """
    for name in names:
        of = f"{name} of {type(settings).__name__}"
        check_range(getattr(settings, name), of, minimum=minimum, maximum=maximum)


def check_range(
    values: PerLeaf | None, what: str, *, minimum: float = 0.0, maximum: float = float("inf")
) -> None:
    """Raise ``InputError`` for a number, or a number of a tree, out of range; as ``check_numbers``."""
    for value in jax.tree.leaves(values):
        if not isinstance(value, int | float | np.ndarray | np.generic):
            continue
        numbers = np.asarray(value)
        if not np.all(np.isfinite(numbers) & (numbers >= minimum) & (numbers <= maximum)):
            limits = f"at least {minimum:g}" + (f" and at most {maximum:g}" if np.isfinite(maximum) else "")
            raise InputError(f"{what} must be a finite number of {limits}, not {value!r}.")
