"""A Flax NNX model as a network, with batch statistics and dropout in training."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Shaped

from jaxrobust.errors import InputError
from jaxrobust.networks.network import Outputs, PlainKernels, Shape, Variables
from jaxrobust.networks.own.arguments import Settings, call, offered, shown
from jaxrobust.networks.tapping import run_with_taps
from jaxrobust.networks.taps import NO_TAPS, Statistics, Tap, Taps
from jaxrobust.trees import Parameters

Flat = dict[str, Any]


class _Template(NamedTuple):
    """The structure of a model, and its three kinds of variables without values."""

    definition: Any
    parameters: Any
    randomness: Any
    rest: Any


@dataclass(frozen=True, repr=False)
class NNXNetwork(PlainKernels):
    """A Flax NNX model as a ``Network``.

    Parameters are its ``nnx.Param`` variables, by their paths (``"layers/0/kernel"``); statistics all other
    variables but random states. In training the model is in ``train()`` mode and its ``k``-th random stream
    (in the order of paths) starts from ``fold_in(key, k)``; otherwise it is in ``eval()`` mode.

    Attributes:
        make: Makes the model: takes ``rngs`` and any of ``shape``, ``n_outputs`` and the settings by name.
        shape: Of one sample.
        n_outputs: Classes, or targets of a regression.
        settings: Names and values.
    """

    make: Callable[..., Any]
    shape: tuple[int, ...]
    n_outputs: int
    settings: Settings = ()

    def __repr__(self) -> str:
        """The same in every process, as programs are compared by it."""
        return f"NNXNetwork({shown(self.make)}, {self.shape}, {self.n_outputs}, {self.settings})"

    @property
    def positions(self) -> Mapping[str, Shape]:
        """The inputs and the logits."""
        return {"input": self.shape, "logits": (self.n_outputs,)}

    def _made(self, key: Array) -> Any:
        return call(self.make, **offered(self.shape, self.n_outputs, self.settings), rngs=nnx.Rngs(key))

    def init(self, key: Array) -> Variables:
        """Draw parameters, and statistics to start from, by the model's initializers."""
        _, parameters, _, rest = nnx.split(self._made(key), nnx.Param, nnx.RngState, ...)
        return Variables(_flat(parameters), _flat(rest))

    def forward(
        self,
        parameters: Parameters,
        statistics: Statistics,
        inputs: Shaped[Array, "batch ..."],
        *,
        key: Array | None = None,
        training: bool = False,
        tap: Taps = NO_TAPS,
    ) -> Outputs:
        """Apply the model.

        Raises:
            InputError: The model draws in training, and there is no key.
        """

        def compute(tap: Tap) -> tuple[Array, Statistics]:
            template = _template(self)
            if training and key is None and jax.tree.leaves(template.randomness):
                raise InputError(
                    f"{self.make.__qualname__} draws random numbers in training: pass "
                    f"key=jax.random.key(...) to forward."
                )
            model = nnx.merge(
                template.definition,
                _filled(template.parameters, parameters),
                _seeded(template.randomness, jax.random.key(0) if key is None else key),
                _filled(template.rest, statistics),
            )
            (model.train if training else model.eval)()
            logits = tap("logits", model(tap("input", inputs)))
            if not training:
                return logits, statistics
            new = _flat(nnx.split(model, nnx.Param, nnx.RngState, ...)[3])
            return logits, {name: new[name].astype(old.dtype) for name, old in statistics.items()}

        return run_with_taps(self, compute, tap, key=key, training=training)


@lru_cache(maxsize=64)
def _template(network: NNXNetwork) -> _Template:
    # The model is rebuilt for its structure and not cached: a cached one would hold tracers of its trace.
    model = nnx.eval_shape(lambda: network._made(jax.random.key(0)))
    return _Template(*nnx.split(model, nnx.Param, nnx.RngState, ...))


def _flat(state: Any) -> Flat:
    """Values by path, joined by ``/``."""
    return {"/".join(map(str, path)): value for path, value in _leaves(nnx.to_pure_dict(state))}


def _leaves(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[tuple[Any, ...], Any]]:
    if not isinstance(tree, Mapping):
        return [(path, tree)]
    return [leaf for name, inner in tree.items() for leaf in _leaves(inner, (*path, name))]


def _filled(template: Any, values: Flat) -> Any:
    """A state of the template's structure with these values."""
    return _with(template, lambda path, _: values["/".join(map(str, path))])


def _seeded(template: Any, key: Array) -> Any:
    """Random states that start from a key: stream ``k`` from ``fold_in(key, k)``, all counters at 0."""
    keys = [p for p, value in _leaves(nnx.to_pure_dict(template)) if _is_key(value)]
    places = {path: place for place, path in enumerate(sorted(keys, key=lambda path: tuple(map(str, path))))}

    def start(path: tuple[Any, ...], value: Any) -> Array:
        if path in places:
            return jax.random.fold_in(key, places[path])
        return jnp.zeros(value.shape, value.dtype)

    return _with(template, start)


def _is_key(value: Any) -> bool:
    return jnp.issubdtype(value.dtype, jax.dtypes.prng_key)


def _with(template: Any, value_at: Callable[[tuple[Any, ...], Any], Any]) -> Any:
    def nested(tree: Any, path: tuple[Any, ...]) -> Any:
        if not isinstance(tree, Mapping):
            return value_at(path, tree)
        return {name: nested(inner, (*path, name)) for name, inner in tree.items()}

    state = jax.tree.map(lambda leaf: leaf, template)  # a copy: the template is kept
    nnx.replace_by_pure_dict(state, nested(nnx.to_pure_dict(template), ()))
    return state
