"""Where the models of a program lie: stacked along one axis, which several devices divide among them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import Mesh, NamedSharding, PartitionSpec

# How models share a device: one model without an axis; all side by side, best on a GPU; or one after the
# other, best on a CPU.
Mapping = Literal["single", "vmap", "map"]
Devices = Sequence[Any]  # of jax.Device, which type checkers take for a variable
_MODELS = "models"


@dataclass(frozen=True)
class Placement:
    """How models share a program, and which devices it runs on.

    Attributes:
        n_models: How many there are.
        mapping: How those of one device share it.
        mesh: The devices, with one axis; None for the default device. Where the models cannot be divided
            evenly, the last is computed again to fill up, and what comes of that is left out.
    """

    n_models: int
    mapping: Mapping
    mesh: Mesh | None = None

    def join(self, trees: Sequence[Any], axis: int = 0) -> Any:
        """Stack the trees of all models along an axis of models; a single model has none.

        Args:
            trees: One per model, of arrays of JAX or of NumPy.
            axis: Where the axis of models goes.
        """
        if self.mapping == "single":
            return jax.tree.map(_on_device, trees[0])
        filled = [*trees, *[trees[-1]] * self._n_filled]

        def stack(*leaves: Any) -> Any:
            # NumPy's are put together on the host, and copied to the device at once.
            on_host = all(map(_is_on_host, leaves))
            return np.stack(leaves, axis=axis) if on_host else jnp.stack(leaves, axis=axis)

        joined = jax.tree.map(stack, *filled)
        if self.mesh is None:
            return jax.tree.map(_on_device, joined)
        return jax.device_put(joined, self._sharding(*[None] * axis, _MODELS))

    def split(self, tree: Any) -> list[Any]:
        """Take the models of a stacked tree apart."""
        if self.mapping == "single":
            return [tree]
        return [jax.tree.map(lambda leaf, i=i: leaf[i], tree) for i in range(self.n_models)]

    def on_all(self, array: Any) -> Array:
        """Put data that all models share on every device."""
        return jnp.asarray(array) if self.mesh is None else jax.device_put(array, self._sharding())

    @property
    def _n_filled(self) -> int:
        return 0 if self.mesh is None else -self.n_models % self.mesh.size

    def _sharding(self, *axes: str | None) -> NamedSharding:
        assert self.mesh is not None
        return NamedSharding(self.mesh, PartitionSpec(*axes))


def _is_on_host(leaf: Any) -> bool:
    return isinstance(leaf, np.ndarray)


def _on_device(leaf: Any) -> Any:
    # A copy: a program that uses up its state must not write into an array of the host.
    return jnp.array(leaf) if _is_on_host(leaf) else leaf


def place(n_models: int, devices: Devices, mapping: Mapping | None = None) -> Placement:
    """Divide models among devices, as few as give each of them no more models than all would.

    Args:
        n_models: How many models there are.
        devices: What there is; if one will do, the models lie on the default device.
        mapping: How the models of a device share it; by default side by side on an accelerator, one after
            the other on a CPU.

    Example:
        >>> place(1, jax.devices()).mapping
        'single'
    """
    if mapping is None:
        mapping = "single" if n_models == 1 else "map" if devices[0].platform == "cpu" else "vmap"
    of_each = -(-n_models // len(devices))
    n_used = -(-n_models // of_each)
    if n_used == 1:
        return Placement(n_models, mapping)
    return Placement(n_models, mapping, Mesh(np.array(devices[:n_used]), (_MODELS,)))


def mapped(function: Callable[..., Any], mapping: Mapping, mesh: Mesh | None = None) -> Callable[..., Any]:
    """Map a function of one model over the leading axis of all its arguments but the first.

    The first is a tuple of what all models share. With a mesh, each device maps over the models that lie on
    it; nothing passes between devices.
    """
    if mapping == "single":
        return function

    def over(shared: tuple[Any, ...], *arguments: Any) -> Any:
        if mapping == "vmap":
            return jax.vmap(partial(function, shared))(*arguments)
        return jax.lax.map(lambda a: function(shared, *a), arguments)

    if mesh is None:
        return over

    def divided(shared: tuple[Any, ...], *arguments: Any) -> Any:
        models = PartitionSpec(_MODELS)
        specs = (PartitionSpec(), *[models] * len(arguments))
        # Whether values vary among devices need not be checked: none is combined with that of another.
        share = jax.shard_map(over, mesh=mesh, in_specs=specs, out_specs=models, check_vma=False)
        return share(shared, *arguments)

    return divided
