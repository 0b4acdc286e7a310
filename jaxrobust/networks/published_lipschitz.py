"""Weights of the published Lipschitz networks (Li et al. 2019) as kernels of this library.

The published code orthogonalizes whole square matrices, puts the first projector of a block along the width,
and flattens channels first. So its parameters have no equal here; the kernels that it makes of them do. They
are computed once, for a ``LipschitzNetwork`` whose convolutions hold plain taps; certificates measure them.
"""

from collections.abc import Mapping
from typing import Literal, get_args

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxrobust.errors import InputError
from jaxrobust.layers.lipschitz.block_convolution import bcop_kernel
from jaxrobust.networks.lipschitz import LAYOUTS, Layout
from jaxrobust.settings import nearest

Method = Literal["BCOP", "BCOP-Fixed", "RKO", "OSSN", "SVCM", "RK-L2NE", "FC"]
State = Mapping[str, np.ndarray]
# Buffers that the kernels do not depend on.
WITHOUT_MEANING = ("mask", "u", "scaling")


def published_kernels(
    state: State, layout: Layout, method: Method, image: tuple[int, int, int]
) -> dict[str, np.ndarray]:
    """Return the parameters of ``LipschitzNetwork(layout, Unconstrained())`` by their paths.

    Twenty iterations of the published orthogonalization are replaced by what they converge to.

    Args:
        state: The published state dict as arrays by name; prefixes that all names share are left out.
        layout: ``"small"``, ``"large"`` or ``"fc"``.
        method: How the convolutions were parameterized; ``"FC"`` for the fully connected network.
        image: Height, width and channels.

    Raises:
        InputError: An array is missing, left over, or of another shape, or there is no such method.
    """
    if method not in get_args(Method):
        raise InputError(f"Published methods are {', '.join(get_args(Method))}, not {method!r}.")
    given = _Given(state)
    convolutions, units = LAYOUTS[layout]
    height, width, channels = image
    found: dict[str, np.ndarray] = {}
    for index, (features, size, stride) in enumerate(convolutions, start=1):
        height, width, channels = height // stride, width // stride, channels * stride**2
        shape = (size // stride, size // stride, channels, features)
        found[f"conv{index}/kernel"] = _convolution(given, f"conv{index}.conv", method, shape)
        found[f"conv{index}/bias"] = given.take(f"conv{index}.conv.bias", (features,))
        channels = features
    first = 1 if convolutions else 0
    names = [*(f"fc{index}" for index in range(1, len(units) + 1)), "readout"]
    for place, name in enumerate(names):
        weight, bias = (given.take(f"linear{first + place}.{part}") for part in ("weight", "bias"))
        weight = _polar(weight)
        if place == 0:
            weight = _channels_last(weight, (channels, height, width), f"linear{first}.weight")
        found[f"{name}/kernel/matrix"], found[f"{name}/bias"] = weight.T, bias
    given.check_all_taken()
    return {path: np.asarray(array, np.float32) for path, array in found.items()}


class _Given:
    """The given arrays, and which of them were used."""

    def __init__(self, state: State):
        names = [name.split(".") for name in state]
        # Wrappers stand in front of every name; the shortest own name is "linear1.bias".
        n_shared = 0
        while names and len({tuple(name[: n_shared + 1]) for name in names}) == 1:
            n_shared += 1
        self._arrays = {".".join(name.split(".")[n_shared:]): np.asarray(a) for name, a in state.items()}
        self._used: set[str] = set()

    def take(self, name: str, shape: tuple[int, ...] | None = None) -> np.ndarray:
        if name not in self._arrays:
            raise InputError(f"The published weights have no {name!r}.{nearest(name, self._arrays)}")
        array = self._arrays[name]
        if shape is not None and array.shape != shape:
            raise InputError(f"The published {name!r} has shape {array.shape}, but {shape} is needed.")
        self._used.add(name)
        return array.astype(np.float64)

    def check_all_taken(self) -> None:
        left = [
            name
            for name in self._arrays
            if name not in self._used and name.rpartition(".")[2] not in WITHOUT_MEANING
        ]
        if left:
            raise InputError(f"There is no place for {', '.join(map(repr, sorted(left)))} of the weights.")


def _convolution(given: _Given, name: str, method: str, shape: tuple[int, int, int, int]) -> np.ndarray:
    """Return the taps ``(height, width, channels_in, channels_out)`` of one convolution."""
    size, _, n_in, n_out = shape
    plain = (n_out, n_in, size, size)
    if method.startswith("BCOP"):
        n = max(n_in, n_out)
        return _bcop(given.take(f"{name}.param_matrices", (2 * size - 1, n, n)), n_in, n_out)
    weight = given.take(f"{name}.weight")
    if weight.size != np.prod(plain):
        raise InputError(f"The published '{name}.weight' has shape {weight.shape}, but {plain} is needed.")
    matrix = weight.reshape(n_out, -1)
    if method == "RKO":
        matrix = _polar(matrix) / size
    elif method == "RK-L2NE":
        sums = [np.abs(a @ a.T).sum(1).max() for a in (matrix, matrix.T)]
        matrix = matrix / (np.sqrt(min(sums)) * size)
    elif method == "OSSN":
        matrix = matrix / given.take(f"{name}.factor", ())
    return matrix.reshape(plain).transpose(2, 3, 1, 0)


def _bcop(matrices: Float[np.ndarray, "count n n"], n_in: int, n_out: int) -> np.ndarray:
    orthogonal, n = _polar(matrices), matrices.shape[-1]
    matrix, columns = orthogonal[0, :n_in, :n_out], orthogonal[1:, :, : n // 2]
    taps = bcop_kernel(jnp.asarray(matrix, jnp.float32), jnp.asarray(columns, jnp.float32))
    return np.asarray(taps, np.float64).swapaxes(0, 1)  # published: first along the width, then the height


def _polar(matrices: np.ndarray) -> np.ndarray:
    left, _, right = np.linalg.svd(matrices, full_matrices=False)
    return left @ right


def _channels_last(weight: np.ndarray, shape: tuple[int, int, int], name: str) -> np.ndarray:
    """Reorder the inputs of a dense layer from (channels, height, width) to (height, width, channels)."""
    if weight.shape[1] != np.prod(shape):
        raise InputError(
            f"The published {name!r} takes {weight.shape[1]} inputs, but the images give {np.prod(shape)}."
        )
    return weight.reshape(-1, *shape).transpose(0, 2, 3, 1).reshape(weight.shape[0], -1)
