"""An Equinox model as a network, with dropout and, if it has one, its state."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Shaped

from jaxrobust.errors import InputError
from jaxrobust.networks.network import Outputs, PlainKernels, Shape, Variables
from jaxrobust.networks.own.arguments import Settings, call, offered, shown
from jaxrobust.networks.tapping import run_with_taps
from jaxrobust.networks.taps import NO_TAPS, Statistics, Tap, Taps
from jaxrobust.trees import Parameters


@dataclass(frozen=True, repr=False)
class EquinoxNetwork(PlainKernels):
    """An Equinox model as a ``Network``.

    The model takes one sample, ``model(x)``, and perhaps ``key``; with state, ``model(x, state)`` under the
    axis name ``"batch"``. Parameters are its floating-point arrays by their paths (``"layers/0/weight"``);
    statistics are all other arrays and the arrays of its state. Outside of training it is in inference mode.

    Attributes:
        make: Makes the model, or a pair of model and state (``eqx.nn.make_with_state``): takes ``key`` and
            any of ``shape``, ``n_outputs`` and the settings by name.
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
        return f"EquinoxNetwork({shown(self.make)}, {self.shape}, {self.n_outputs}, {self.settings})"

    @property
    def positions(self) -> Mapping[str, Shape]:
        """The inputs and the logits."""
        return {"input": self.shape, "logits": (self.n_outputs,)}

    def _made(self, key: Array) -> Any:
        made = call(self.make, **offered(self.shape, self.n_outputs, self.settings), key=key)
        return made if isinstance(made, tuple) else (made, None)

    def init(self, key: Array) -> Variables:
        """Draw parameters, and statistics to start from."""
        return Variables(*_divided(self._made(key)))

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
        """Apply the model to every sample.

        Raises:
            InputError: The model takes a key in training, and there is none.
        """
        import equinox as eqx

        def compute(tap: Tap) -> tuple[Array, Statistics]:
            made = eqx.filter_eval_shape(self._made, jax.random.key(0))
            model, state = _joined(made, {**parameters, **statistics})
            model = eqx.nn.inference_mode(model, value=not training)
            takes_key = "key" in inspect.signature(type(model).__call__).parameters
            if training and takes_key and key is None:
                raise InputError(
                    f"{type(model).__name__} takes a key in training: pass key=jax.random.key(...) to "
                    f"forward."
                )
            draws = training and takes_key
            keys = jax.random.split(key, inputs.shape[0]) if draws and key is not None else None

            def one(x: Array, k: Array | None, state: Any) -> tuple[Array, Any]:
                more = {"key": k} if draws else {}
                return (model(x, **more), None) if state is None else model(x, state, **more)

            over = (0, 0 if draws else None, None)
            apply = jax.vmap(one, in_axes=over, out_axes=(0, None), axis_name="batch")
            logits, new = apply(tap("input", inputs), keys, state)
            logits = tap("logits", logits)
            if not training or state is None:
                return logits, statistics
            updated = _divided((model, new))[1]
            return logits, {**statistics, **{name: updated[name] for name in updated if name in statistics}}

        return run_with_taps(self, compute, tap, key=key, training=training)


def _named(made: tuple[Any, Any]) -> list[tuple[str, Any]]:
    """Every leaf of the model and of its state, by name."""
    model, state = made
    named = [
        (jax.tree_util.keystr(path, simple=True, separator="/"), leaf)
        for path, leaf in jax.tree.leaves_with_path(model)
    ]
    return named + [(f"state/{place}", leaf) for place, leaf in enumerate(jax.tree.leaves(state))]


def _divided(made: tuple[Any, Any]) -> tuple[dict[str, Array], dict[str, Array]]:
    """Parameters and statistics by name."""
    arrays = [(name, leaf) for name, leaf in _named(made) if hasattr(leaf, "dtype")]
    is_parameter = {
        name: jnp.issubdtype(leaf.dtype, jnp.inexact) and not name.startswith("state/")
        for name, leaf in arrays
    }
    return (
        {name: leaf for name, leaf in arrays if is_parameter[name]},
        {name: leaf for name, leaf in arrays if not is_parameter[name]},
    )


def _joined(made: tuple[Any, Any], arrays: Mapping[str, Array]) -> tuple[Any, Any]:
    """A model and its state with these arrays in the places of what only has shapes."""
    leaves = [arrays.get(name, leaf) for name, leaf in _named(made)]
    n_model = len(jax.tree.leaves(made[0]))
    model = jax.tree.unflatten(jax.tree.structure(made[0]), leaves[:n_model])
    return model, jax.tree.unflatten(jax.tree.structure(made[1]), leaves[n_model:])
