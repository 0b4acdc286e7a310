"""Users' networks by name, as ``train.py -arch=mine -import=mine.py`` finds them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxrobust.errors import InputError
from jaxrobust.networks.linen import LinenNetwork
from jaxrobust.networks.network import Network
from jaxrobust.networks.own.arguments import (
    Settings,
    call,
    check_importable,
    check_settings,
    names_of,
    offered,
    shown,
)
from jaxrobust.networks.own.equinox import EquinoxNetwork
from jaxrobust.networks.own.functions import FunctionNetwork
from jaxrobust.settings import nearest

_networks: dict[str, "OwnNetwork"] = {}


@dataclass(frozen=True, repr=False)
class OwnNetwork:
    """A description of a network that becomes one once the data are known; a value for grid points.

    Its functions (by module and name) and settings are in the key of results, their code among what is
    compared when a result is read.

    Attributes:
        name: As registered.
        make: Makes the network; None with ``init`` and ``apply``.
        init: As in ``FunctionNetwork``.
        apply: As in ``FunctionNetwork``.
        settings: Names and values.
    """

    name: str
    make: Callable[..., Any] | None
    init: Callable[..., Any] | None
    apply: Callable[..., Any] | None
    settings: Settings = ()

    def __repr__(self) -> str:
        settings = "".join(f", {name}={value!r}" for name, value in self.settings)
        functions = [shown(f) for f in (self.make, self.init, self.apply) if f is not None]
        return f"OwnNetwork({self.name!r}, {', '.join(functions)}{settings})"

    def with_settings(self, **settings: Any) -> "OwnNetwork":
        """The same network with other values of some settings.

        Raises:
            InputError: It has no such setting.
        """
        known = dict(self.settings)
        for name in settings:
            if name not in known:
                raise InputError(
                    f"{self.name} has no setting {name!r}, only {', '.join(known) or 'none'}."
                    f"{nearest(name, known)}"
                )
        return replace(self, settings=tuple({**known, **settings}.items()))

    def build(self, shape: tuple[int, ...], n_classes: int) -> Network:
        """Return the network for samples of a shape.

        Raises:
            InputError: The functions do not work for this shape, or give outputs of another.
        """
        network = self._built(tuple(shape), n_classes)
        inputs = jax.ShapeDtypeStruct((2, *shape), jnp.float32)
        key = jax.eval_shape(lambda: jax.random.key(0))
        try:
            variables = jax.eval_shape(network.init, key)
            logits = jax.eval_shape(network.forward, *variables, inputs).logits
        except InputError:
            raise
        except Exception as error:  # whatever a user's function raises for this shape
            raise InputError(
                f"The network {self.name} does not work for samples of shape {tuple(shape)} "
                f"({type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no message'}); "
                f"its functions get shape and n_outputs by name."
            ) from error
        if logits.shape[0] != 2 or logits.shape[-1] != n_classes or logits.ndim not in (2, 3):
            raise InputError(
                f"The network {self.name} gives outputs of shape {logits.shape} for 2 samples of shape "
                f"{tuple(shape)}; return (batch, {n_classes}), one number per class or target."
            )
        odd = [leaf for leaf in jax.tree.leaves(variables[0]) if not jnp.issubdtype(leaf.dtype, jnp.floating)]
        if odd:
            raise InputError(
                f"The network {self.name} has parameters of {odd[0].dtype}: give floating-point arrays."
            )
        return network

    def _built(self, shape: tuple[int, ...], n_outputs: int) -> Network:
        if self.init is not None and self.apply is not None:
            return FunctionNetwork(self.init, self.apply, shape, n_outputs, self.settings)
        assert self.make is not None
        taken = names_of(self.make)
        if "rngs" in taken:
            from jaxrobust.networks.own.nnx import NNXNetwork  # takes a quarter of a second

            return NNXNetwork(self.make, shape, n_outputs, self.settings)
        if "key" in taken:
            return EquinoxNetwork(self.make, shape, n_outputs, self.settings)
        made = call(self.make, **offered(shape, n_outputs, self.settings))
        if isinstance(made, nn.Module):
            return LinenNetwork(made, shape)
        if hasattr(made, "init") and hasattr(made, "forward"):
            return made
        raise InputError(
            f"The network {self.name} is made by a function that returns {type(made).__name__}: return a "
            f"Flax Linen module or a Network, or take rngs (Flax NNX) or key (Equinox)."
        )


def register(
    name: str,
    make: Callable[..., Any] | None = None,
    *,
    init: Callable[..., Any] | None = None,
    apply: Callable[..., Any] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> OwnNetwork:
    """Register a network of your own, for grid points and ``train.py -arch=name -import=file.py``.

    Give either ``init`` and ``apply``, two plain functions::

        init(key, shape, n_outputs) -> parameters        any tree of floating-point arrays
        apply(parameters, inputs) -> logits              (batch, n_outputs); may take key and training

    or ``make``, which gets any of ``shape`` (of one sample), ``n_outputs`` and the settings by name:

    * it returns a Flax Linen module (what ``LinenNetwork`` says holds);
    * it takes ``rngs`` and returns a Flax NNX model; batch statistics and dropout work in training;
    * it takes ``key`` and returns an Equinox model, or a pair of model and state;
    * it returns a ``Network``.

    Functions must stand at the top of a file, as worker processes import them.

    Args:
        name: What ``-arch`` takes.
        make: Makes the network.
        init: Draws parameters.
        apply: Computes logits.
        settings: Names and default values of further arguments: ``-width=64`` sets them, and they are in the
            key.

    Returns:
        A value for ``training_point(network, …)``.

    Raises:
        InputError: The functions do not go together, cannot be imported by workers, or the name exists.
    """
    if (make is None) == (init is None and apply is None) or (init is None) != (apply is None):
        raise InputError(f"Register the network {name!r} with either make, or both init and apply.")
    functions = [each for each in (make, init, apply) if each is not None]
    for role, each in (("make", make), ("init", init), ("apply", apply)):
        if each is not None:
            if not callable(each):
                raise InputError(f"{role} of the network {name!r} must be a function, not {each!r}.")
            check_importable(each, f"{role} of the network {name!r}")
    if not name.isidentifier():
        raise InputError(f"{name!r} is no name of a network: use letters, digits and '_'.")
    check_settings(functions[0], settings or {}, *functions[1:])
    own = OwnNetwork(name, make, init, apply, tuple((settings or {}).items()))
    known = _networks.get(name)
    if known is not None and repr(known) != repr(own):
        raise InputError(f"There is a network {name!r} already, {known}: choose another name.")
    _networks[name] = own
    return own


def registered() -> dict[str, OwnNetwork]:
    """The registered networks by name."""
    return dict(_networks)
