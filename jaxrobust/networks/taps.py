"""Taps: reading, perturbing and replacing the values at named positions inside a network.

The user passes ``Taps``, a tree of settings, to ``forward``, through ``jit`` like any other argument. Inside
the traced function ``forward`` makes a ``Tap`` from it and calls ``x = tap(position, x)`` wherever the
network has a position. Nothing is a closure made outside of ``jit``, which would recompile at every
call, and values leave the traced function in ``Outputs`` only, so that no tracer leaks.
"""

import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

import jax
import jax.numpy as jnp
from jax import Array
from jax.ad_checkpoint import checkpoint_name
from jaxtyping import Float, PyTree

from jaxrobust.errors import InputError
from jaxrobust.perturbations.perturbation import Perturbation
from jaxrobust.trees import settings_tree, static

Statistics = PyTree[Float[Array, "..."]]

# In ``Taps.record``: every position.
EVERY = "*"
# What marks the outputs of layers with running statistics begin with.
MARK = "jaxrobust.statistics:"


class Placed(Perturbation, Protocol):
    """A perturbation with the position at which it acts, such as ``at("fc2", AdditiveNoise(0.3))``."""

    @property
    def position(self) -> str:
        """One of ``network.positions``."""
        ...


@settings_tree
@dataclass(frozen=True)
class Taps:
    """What is read, perturbed and replaced at which positions of a network.

    At one position the order is: replace, perturb, record. So what is recorded is what later layers get. The
    names of positions are static (others compile another program), and a position that is not named adds no
    operation and draws nothing; strengths and values are leaves, so that other numbers recompile nothing and
    a list of them can be an axis of ``vmap``.

    Attributes:
        record: Positions whose values come back in ``Outputs.activations``; ``("*",)`` for all of them.
        perturb: Perturbations by position, ``{"fc2": AdditiveNoise(0.3)}``, or several of ``at(...)``. Each
            draws from a key that depends on ``forward``'s key and the position's name alone.
        replace: Values by position, of the shape of what they replace (batch axis first).

    Raises:
        InputError: ``record`` is one word in place of a tuple.

    Example:
        >>> from jaxrobust.networks.mlp import MLP
        >>> network, x = MLP(n_in=3, n_hidden=(4,), n_out=2), jnp.ones((5, 3))
        >>> parameters, statistics = network.init(jax.random.key(0))
        >>> read = network.forward(parameters, statistics, x, tap=Taps(record=("relu1",)))
        >>> read.activations["relu1"].shape
        (5, 4)
        >>> silent = Taps(replace={"relu1": jnp.zeros((5, 4))})
        >>> network.forward(parameters, statistics, x, tap=silent).logits[0]
        Array([0., 0.], dtype=float32)
    """

    record: tuple[str, ...] = static(default=())
    perturb: Mapping[str, Perturbation] | tuple[Placed, ...] = ()
    replace: Mapping[str, Float[Array, "batch ..."]] = field(default_factory=dict)

    def __post_init__(self):
        if isinstance(self.record, str):
            raise InputError(f'record must be a tuple of positions, such as ("{self.record}",).')
        object.__setattr__(self, "record", tuple(self.record))

    @property
    def perturbations(self) -> dict[str, Perturbation]:
        """Perturbations by position.

        Raises:
            InputError: Two perturbations name the same position.
        """
        if isinstance(self.perturb, Mapping):
            return dict(self.perturb)
        by_position: dict[str, Perturbation] = {each.position: each for each in self.perturb}
        if len(by_position) < len(self.perturb):
            names = [each.position for each in self.perturb]
            raise InputError(f"Each position takes one perturbation, but perturb names {names}; chain them.")
        return by_position

    @property
    def is_empty(self) -> bool:
        """Whether nothing is read, perturbed or replaced, so that a network may fuse its layers."""
        return not (self.record or self.perturb or self.replace)

    def records(self, position: str) -> bool:
        """Tell whether the value at a position is recorded."""
        return position in self.record or EVERY in self.record

    @property
    def names(self) -> tuple[str, ...]:
        """The positions that are named."""
        return tuple(n for n in (*self.record, *self.perturbations, *self.replace) if n != EVERY)

    def check(self, positions: Collection[str]) -> None:
        """Raise ``InputError`` for a name that is not among ``positions``."""
        for name in self.names:
            if name not in positions:
                raise InputError(
                    f"This network has no position {name!r}; its positions are {', '.join(positions)}."
                )


# The default of every ``forward``.
NO_TAPS = Taps()


@dataclass(frozen=True)
class Tap:
    """The function that a network calls at its positions, made inside ``forward`` for one forward pass.

    Attributes:
        taps: What is done where.
        key: PRNG key of the perturbations.
        prefix: What this tap puts in front of the names it is called with.
        live: Layers whose statistics are updated; None for all of them.
        marking: Whether outputs of layers with statistics are marked in the program (``find_live_layers``).
        recorded: Values so far, by position.
        visited: Positions and, with ``MARK`` in front, layers so far.
    """

    taps: Taps = NO_TAPS
    key: Array | None = None
    prefix: str = ""
    live: Collection[str] | None = None
    marking: bool = False
    recorded: dict[str, Float[Array, "batch ..."]] = field(default_factory=dict)
    visited: set[str] = field(default_factory=set)

    def within(self, name: str) -> "Tap":
        """Return the tap of a block: its positions are called ``name/...``."""
        return replace(self, prefix=f"{self.prefix}{name}/")

    def __call__(
        self, position: str, x: Float[Array, "..."], *, batch_axis: int = 0, always: bool = False
    ) -> Float[Array, "..."]:
        """Return what later layers get at a position.

        Args:
            position: Its name, unique in the network.
            x: The value there.
            batch_axis: Which axis of ``x`` is the batch; the user's values have it first.
            always: Record the value even if ``Taps.record`` does not name it.

        Raises:
            InputError: The position was visited before, a replacement has another shape, or a perturbation
                has no key.
        """
        name = self.prefix + position
        if name in self.visited:
            raise InputError(f"The network visits the position {name!r} twice; give each visit its own name.")
        self.visited.add(name)
        perturbation = self.taps.perturbations.get(name)
        records = always or self.taps.records(name)
        if name not in self.taps.replace and perturbation is None and not records:
            return x
        x = jnp.moveaxis(x, batch_axis, 0) if batch_axis else x
        if name in self.taps.replace:
            x = _replacement(self.taps.replace[name], x, name)
        if perturbation is not None:
            x = perturbation.perturb(self._key_of(name), x)
        if records:
            self.recorded[name] = x
        return jnp.moveaxis(x, 0, batch_axis) if batch_axis else x

    def _key_of(self, name: str) -> Array:
        if self.key is None:
            raise InputError(f"Perturbing {name!r} draws noise: pass key=jax.random.key(...) to forward.")
        return jax.random.fold_in(self.key, zlib.crc32(name.encode()))

    def update(
        self, layer: str, x: Float[Array, "..."], old: Statistics, new: Statistics
    ) -> tuple[Float[Array, "..."], Statistics]:
        """Return a normalization layer's output and its statistics: ``old`` if nothing needs the output."""
        name = self.prefix + layer
        return self.mark(name, x), new if self.is_live(name) else old

    def mark(self, layer: str, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """Mark the output of a layer with statistics, if marks are wanted; adds no operation."""
        self.visited.add(MARK + layer)
        return checkpoint_name(x, MARK + layer) if self.marking else x

    def is_live(self, layer: str) -> bool:
        """Tell whether logits or recorded values need the output of a layer."""
        return self.live is None or layer in self.live


def _replacement(value: Float[Array, "batch ..."], x: Float[Array, "batch ..."], name: str) -> Array:
    if jnp.shape(value) != x.shape:
        raise InputError(f"The value at {name!r} has shape {x.shape}, its replacement {jnp.shape(value)}.")
    return jnp.asarray(value, x.dtype)
