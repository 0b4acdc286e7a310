"""Stitching layers: affine maps from one network's activations to another's."""

import math
from dataclasses import dataclass
from typing import Literal, Protocol, get_args, runtime_checkable

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from jaxrobust.errors import InputError
from jaxrobust.factorizations import orthogonal
from jaxrobust.networks.network import Shape
from jaxrobust.numerics import of_rank, rows_times

Start = Literal["random", "identity", "permutation", "zeros", "ones"]
Resize = Literal["none", "bilinear"]
Weights = dict[str, Float[Array, "..."]]
Activations = Float[Array, "batch ..."]


@runtime_checkable
class StitchLayer(Protocol):
    """A frozen description of an affine map: pure functions of its parameters and activations."""

    @property
    def masked(self) -> bool:
        """Whether entries of the kernel are held at zero by a mask, ``(in, out)``."""
        ...

    def check(self, given: Shape, wanted: Shape) -> None:
        """Raise ``InputError`` if no map leads from activations of one shape to the other."""
        ...

    def init(self, key: Array, given: Shape, wanted: Shape) -> Weights:
        """Draw parameters for activations of shapes ``given`` and ``wanted`` (one sample's)."""
        ...

    def apply(
        self, parameters: Weights, h: Activations, wanted: Shape, mask: Float[Array, "in out"] | None = None
    ) -> Activations:
        """Map activations ``(batch, *given)`` to ``(batch, *wanted)``."""
        ...

    def rows(self, h: Activations, wanted: Shape) -> Float[Array, "rows in"]:
        """Return the vectors that the kernel multiplies, one row each."""
        ...

    def targets(self, h: Activations) -> Float[Array, "rows out"]:
        """Return the end's own activations as the vectors that the map should give, one row each."""
        ...


@dataclass(frozen=True)
class Pointwise:
    """``T(h)[..., :] = h[..., :] W + b`` at every pixel or token: a 1x1 convolution.

    Positions that are vectors and such that are rows of tokens need nothing else.

    Parameters: ``kernel (in, out)``, ``bias (out,)``.

    Attributes:
        start: ``"random"`` draws kernel and bias uniformly from ±1 / sqrt(in). The others have zero biases
            and need as many channels on either side: the ``"identity"``, a random ``"permutation"``,
            ``"zeros"``, or ``"ones"``. For a least-squares start see ``matching.match``.
        resize: ``"bilinear"`` gives the front's image the height and width of the end's; with ``"none"``
            they must agree.
        masked: Whether a mask, ``statistics["mask"]``, holds entries of the kernel at zero (``masks``).
    """

    start: Start = "random"
    resize: Resize = "none"
    masked: bool = False

    def __post_init__(self):
        if self.start not in get_args(Start):
            raise InputError(f"A stitch starts from {', '.join(get_args(Start))}, not {self.start!r}.")
        if self.resize not in get_args(Resize):
            raise InputError(f'resize of a stitch is "none" or "bilinear", not {self.resize!r}.')

    def check(self, given: Shape, wanted: Shape) -> None:
        """Raise ``InputError`` if the shapes do not fit."""
        if len(given) != len(wanted):
            raise InputError(
                f"A pointwise stitch joins positions with as many axes, but the front's has shape {given}, "
                f"the end's {wanted}; take DenseMap(), which flattens them."
            )
        if given[:-1] != wanted[:-1] and self.resize == "none":
            raise InputError(
                f"The front's position has shape {given} and the end's {wanted}: sizes before the channels "
                f'must agree, or be made to by resize="bilinear".'
            )
        if given[:-1] != wanted[:-1] and len(given) != 3:
            raise InputError(f"Only images are resized, not activations of shape {given}.")
        if self.start != "random" and given[-1] != wanted[-1]:
            raise InputError(
                f"The start {self.start!r} of a stitch needs as many channels on either side, but the front "
                f"has {given[-1]} and the end {wanted[-1]}."
            )

    def init(self, key: Array, given: Shape, wanted: Shape) -> Weights:
        """Draw kernel and bias."""
        n, out = given[-1], wanted[-1]
        assert n is not None
        assert out is not None
        return _start(self.start, key, n, out)

    def apply(
        self, parameters: Weights, h: Activations, wanted: Shape, mask: Float[Array, "in out"] | None = None
    ) -> Activations:
        """Map activations pixel by pixel."""
        return affine(parameters, self._resized(h, wanted), mask)

    def rows(self, h: Activations, wanted: Shape) -> Float[Array, "rows in"]:
        """One row per pixel or token."""
        h = self._resized(h, wanted)
        return h.reshape(-1, h.shape[-1])

    def targets(self, h: Activations) -> Float[Array, "rows out"]:
        """One row per pixel or token."""
        return h.reshape(-1, h.shape[-1])

    def _resized(self, h: Activations, wanted: Shape) -> Activations:
        if h.shape[1:-1] == tuple(wanted[:-1]):
            return h
        shape = (h.shape[0], *(n or 0 for n in wanted[:-1]), h.shape[-1])
        # Without antialiasing, the convention of torch.nn.functional.interpolate.
        return jax.image.resize(h, shape, "bilinear", antialias=False)


@dataclass(frozen=True)
class DenseMap:
    """One affine map of the flattened activations: pixels mix, and any shapes fit.

    Parameters: ``kernel (in, out)``, ``bias (out,)``, for flattened sizes.

    Attributes:
        start: As of ``Pointwise``.
        masked: As of ``Pointwise``.
    """

    start: Start = "random"
    masked: bool = False

    def check(self, given: Shape, wanted: Shape) -> None:
        """Raise ``InputError`` if the start does not fit."""
        n, out = math.prod(_known(given)), math.prod(_known(wanted))
        if self.start != "random" and n != out:
            raise InputError(
                f"The start {self.start!r} of a stitch needs as many values on either side, but the front "
                f"has {n} and the end {out}."
            )

    def init(self, key: Array, given: Shape, wanted: Shape) -> Weights:
        """Draw kernel and bias."""
        return _start(self.start, key, math.prod(_known(given)), math.prod(_known(wanted)))

    def apply(
        self, parameters: Weights, h: Activations, wanted: Shape, mask: Float[Array, "in out"] | None = None
    ) -> Activations:
        """Map flattened activations."""
        return affine(parameters, self.rows(h, wanted), mask).reshape(h.shape[0], *_known(wanted))

    def rows(self, h: Activations, wanted: Shape) -> Float[Array, "rows in"]:
        """One row per sample."""
        del wanted
        return h.reshape(h.shape[0], -1)

    def targets(self, h: Activations) -> Float[Array, "rows out"]:
        """One row per sample."""
        return h.reshape(h.shape[0], -1)


@dataclass(frozen=True)
class LowRank:
    """A pointwise map of limited rank: ``T(h) = h W1 W2 + b``.

    Parameters: ``down (in, rank)`` and ``up (rank, out)``, orthogonal at the start, ``bias (out,)``, zeros.

    Attributes:
        rank: Inner size.
        resize: As of ``Pointwise``.
    """

    rank: int
    resize: Resize = "none"
    masked: bool = False

    def __post_init__(self):
        if self.rank < 1:
            raise InputError(f"The rank of a stitch is at least 1, not {self.rank}.")
        if self.masked:
            raise InputError("A low-rank stitch has no single kernel to mask; take Pointwise(masked=True).")

    def check(self, given: Shape, wanted: Shape) -> None:
        """Raise ``InputError`` if the shapes do not fit."""
        Pointwise(resize=self.resize).check(given, wanted)
        smallest = min(given[-1] or 0, wanted[-1] or 0)
        if self.rank > smallest:
            raise InputError(f"A stitch of {given[-1]} to {wanted[-1]} channels has rank {smallest} at most.")

    def init(self, key: Array, given: Shape, wanted: Shape) -> Weights:
        """Draw two orthogonal matrices."""
        key_down, key_up = jax.random.split(key)
        draw = orthogonal()
        n, out = given[-1], wanted[-1]
        assert n is not None
        assert out is not None
        return {
            "bias": jnp.zeros(out),
            "down": draw(key_down, (n, self.rank)),
            "up": draw(key_up, (self.rank, out)),
        }

    def apply(
        self, parameters: Weights, h: Activations, wanted: Shape, mask: Float[Array, "in out"] | None = None
    ) -> Activations:
        """Map activations pixel by pixel."""
        kernel = parameters["down"] @ parameters["up"]
        plain = Pointwise(resize=self.resize)
        return plain.apply({"kernel": kernel, "bias": parameters["bias"]}, h, wanted, mask)

    def rows(self, h: Activations, wanted: Shape) -> Float[Array, "rows in"]:
        """One row per pixel or token."""
        return Pointwise(resize=self.resize).rows(h, wanted)

    def targets(self, h: Activations) -> Float[Array, "rows out"]:
        """One row per pixel or token."""
        return h.reshape(-1, h.shape[-1])


def affine(
    parameters: Weights, h: Float[Array, "*rows in"], mask: Float[Array, "in out"] | None
) -> Float[Array, "*rows out"]:
    """Compute ``h (W * mask) + b``."""
    kernel = parameters["kernel"] if mask is None else parameters["kernel"] * mask
    return rows_times(h, kernel) + of_rank(parameters["bias"], h.ndim)


def kernel_of(parameters: Weights) -> Float[Array, "in out"]:
    """Return the matrix of a stitch, whichever layer it belongs to."""
    return parameters["down"] @ parameters["up"] if "down" in parameters else parameters["kernel"]


def _known(shape: Shape) -> tuple[int, ...]:
    return tuple(n or 0 for n in shape)


def _start(start: Start, key: Array, n: int, out: int) -> Weights:
    if start == "random":
        key_kernel, key_bias = jax.random.split(key)
        width = n**-0.5
        return {
            "bias": jax.random.uniform(key_bias, (out,), minval=-width, maxval=width),
            "kernel": jax.random.uniform(key_kernel, (n, out), minval=-width, maxval=width),
        }
    kernels = {
        "identity": lambda: jnp.eye(n),
        "permutation": lambda: jnp.eye(n)[jax.random.permutation(key, n)],
        "zeros": lambda: jnp.zeros((n, n)),
        "ones": lambda: jnp.ones((n, n)),
    }
    return {"bias": jnp.zeros(out), "kernel": kernels[start]()}
