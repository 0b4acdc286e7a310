"""Any Flax Linen module as a network of this library."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import jax
import jax.numpy as jnp
from flax import errors as flax_errors
from flax import linen as nn
from flax.core.tracers import current_trace
from jax import Array
from jaxtyping import Shaped

from jaxrobust.errors import InputError
from jaxrobust.layers.linen import KERNELS
from jaxrobust.networks.network import Outputs, Shape, Variables
from jaxrobust.networks.tapping import positions_of, run_with_taps
from jaxrobust.networks.taps import MARK, NO_TAPS, Statistics, Tap, Taps
from jaxrobust.trees import Parameters

# Collections that modules write and never read.
SOWN = (KERNELS, "intermediates", "perturbations")
# By which argument a module's __call__ may be told whether this is training.
IN_TRAINING = ("training", "train", "is_training")
OUT_OF_TRAINING = ("deterministic", "use_running_average")


@dataclass(frozen=True)
class LinenNetwork:
    """A Linen module as a ``Network``, with running statistics, dropout and positions.

    The module needs no change. Its ``__call__(x)`` returns logits; if it takes ``training``, ``train`` or
    ``is_training`` (or the reverse, ``deterministic`` or ``use_running_average``), it is told whether this is
    training. Dropout draws from ``forward``'s key, as the stream ``"dropout"``.

    Parameters are the collection ``params``; statistics are all others that ``init`` makes, such as
    ``{"batch_stats": ...}``.

    Positions: ``input``, the output of every submodule by its path, as in ``Block_0/Conv_0``, and ``logits``
    (one position, not two, if the last layer has this name). A module called again counts: ``Dense_0#2``.
    Values between submodules, such as those after ``nn.relu``, have positions if the module takes the
    argument ``tap`` and calls it::

        class Small(nn.Module):
            @nn.compact
            def __call__(self, x, *, training, tap):
                x = tap("relu1", nn.relu(nn.Dense(300, name="fc1")(x)))
                x = Block(name="block")(x, training=training, tap=tap.within("block"))
                return nn.Dense(10, name="fc2")(x)

        network = LinenNetwork(Small(), input_shape=(784,))

    Submodules inside of a transformation (``nn.scan``, ``nn.remat``, ``nn.vmap``) are no positions.

    Attributes:
        module: The module, not bound to variables, with hashable attributes.
        input_shape: Shape of one sample.

    Example:
        >>> import jax, jax.numpy as jnp, jaxrobust as jr
        >>> from flax import linen as nn
        >>> network = jr.LinenNetwork(nn.Dense(3), input_shape=(4,))
        >>> network.forward(*network.init(jax.random.key(0)), jnp.ones((2, 4))).logits.shape
        (2, 3)
    """

    module: nn.Module
    input_shape: tuple[int, ...]

    def __datajuicer_key__(self) -> tuple[Any, ...]:
        """What tells it from other networks in the key of a result: class and attributes of the module."""
        return (*_settings(self.module), self.input_shape)

    @property
    def positions(self) -> Mapping[str, Shape]:
        """Shape of one sample at every position."""
        return positions_of(self, self.input_shape)

    def init(self, key: Array) -> Variables:
        """Draw parameters, and statistics to start from, by the module's initializers."""
        inputs = jnp.zeros((1, *self.input_shape))
        variables = dict(self.module.init(key, inputs, **self._arguments(training=False, tap=Tap())))
        parameters = variables.pop("params", {})
        return Variables(parameters, {name: variables[name] for name in variables if name not in SOWN})

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
        """Apply the module.

        Raises:
            InputError: The inputs do not have ``input_shape``; an unknown position; a missing key.
        """
        if tuple(inputs.shape[1:]) != self.input_shape:
            raise InputError(
                f"{type(self.module).__name__} takes inputs of shape (batch, "
                f"{', '.join(map(str, self.input_shape))}), but got {tuple(inputs.shape)}."
            )

        def compute(tap: Tap) -> tuple[Array, Statistics]:
            owners = _owners(statistics)
            with nn.intercept_methods(_tap_submodules(tap, owners)):
                outputs = self._apply(parameters, statistics, tap("input", inputs), key, training, tap)
            logits, new = outputs if training else (outputs, statistics)
            if not isinstance(logits, jax.Array):
                raise InputError(f"{type(self.module).__name__} must return logits, not {type(logits)}.")
            if "logits" not in tap.visited:  # a last layer of this name was this position already
                logits = tap("logits", logits)
            return logits, _live_statistics(tap, statistics, dict(new))

        return run_with_taps(self, compute, tap, key=key, training=training)

    def bake(self, parameters: Parameters, statistics: Statistics | None = None) -> Parameters:
        """Replace what ``layers.linen.linen_kernel`` declared by the kernels."""
        if statistics is None:
            statistics = self.init(jax.random.key(0)).statistics
        variables: dict[str, Any] = {"params": parameters, **dict(statistics)}  # pyright: ignore
        _, made = self.module.apply(
            variables,
            jnp.zeros((1, *self.input_shape)),
            mutable=[KERNELS],
            **self._arguments(training=False, tap=Tap()),
        )
        return _with_kernels(parameters, dict(made).get(KERNELS, {}))

    def _apply(
        self,
        parameters: Parameters,
        statistics: dict[str, Any],
        inputs: Array,
        key: Array | None,
        training: bool,
        tap: Tap,
    ) -> Any:
        try:
            return self.module.apply(
                {"params": parameters, **statistics},
                inputs,
                rngs={} if key is None or not training else {"dropout": key},
                mutable=list(statistics) if training else False,
                **self._arguments(training, tap),
            )
        except flax_errors.InvalidRngError as error:
            raise InputError(
                f"{type(self.module).__name__} draws random numbers in training: pass "
                f"key=jax.random.key(...) to forward."
            ) from error

    def _arguments(self, training: bool, tap: Tap) -> dict[str, Any]:
        """Arguments of the module's ``__call__`` besides the inputs, as far as it takes them."""
        offered = dict.fromkeys(IN_TRAINING, training) | dict.fromkeys(OUT_OF_TRAINING, not training)
        taken = inspect.signature(type(self.module).__call__).parameters
        return {name: value for name, value in {**offered, "tap": tap}.items() if name in taken}


def _settings(value: Any) -> Any:
    """A module as its class and attributes; so are the modules among these."""
    if isinstance(value, nn.Module):
        named = {f.name: getattr(value, f.name) for f in fields(value) if f.name not in ("parent", "name")}
        return type(value), {name: _settings(one) for name, one in named.items()}
    if isinstance(value, tuple | list):
        return [_settings(one) for one in value]
    return value


def _tap_submodules(tap: Tap, owners: set[str]):
    """Make the interceptor that taps the output of every submodule, and marks those with statistics."""
    outside, calls = current_trace(), {}

    def intercept(call, arguments, keywords, context):
        y = call(*arguments, **keywords)
        path = "/".join(context.module.path)
        if not path or context.method_name != "__call__" or not isinstance(y, jax.Array):
            return y
        if path in owners:
            y = tap.mark(path, y)
        if current_trace() != outside:
            return y
        calls[path] = calls.get(path, 0) + 1
        return tap(path if calls[path] == 1 else f"{path}#{calls[path]}", y)

    return intercept


def _owners(statistics: Statistics) -> set[str]:
    """Paths of the submodules that have statistics, their own or those of submodules."""
    paths = [_names(path)[:-1] for path, _ in jax.tree_util.tree_leaves_with_path(statistics)]
    return {"/".join(path[:depth]) for path in paths for depth in range(1, len(path) + 1)}


def _names(path: tuple[Any, ...]) -> list[str]:
    """Names along the path of a leaf, without that of its collection."""
    return [str(getattr(entry, "key", entry)) for entry in path][1:]


def _live_statistics(tap: Tap, old: Statistics, new: Statistics) -> Statistics:
    """Keep the old statistics of every layer whose output nothing needs, and the dtypes of all."""

    def choose(path: tuple[Any, ...], old: Array, new: Array) -> Array:
        names = _names(path)
        for depth in range(len(names) - 1, 0, -1):
            layer = "/".join(names[:depth])
            if MARK + layer in tap.visited:
                return new.astype(old.dtype) if tap.is_live(layer) else old
        return new.astype(old.dtype)

    return jax.tree_util.tree_map_with_path(choose, old, new)


def _with_kernels(parameters: Any, kernels: Any) -> Any:
    if not isinstance(kernels, Mapping):
        return kernels
    return {
        name: _with_kernels(value, kernels[name]) if name in kernels else value
        for name, value in parameters.items()
    }
