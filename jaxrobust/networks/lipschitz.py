"""The networks of Lipschitz studies (Li et al. 2019): small, large, fully connected, and a critic."""

from dataclasses import dataclass
from typing import Literal, get_args

from flax import linen as nn

from jaxrobust.errors import InputError
from jaxrobust.layers.lipschitz import (
    BCOP,
    Chain,
    Flatten,
    LipschitzConv,
    MaxMin,
    OrthogonalDense,
    Parameterization,
    ReLU,
    Scale,
    Upsample,
)
from jaxrobust.layers.lipschitz.circular import Padding
from jaxrobust.layers.lipschitz.parameterizations import Unconstrained
from jaxrobust.networks.linen import LinenNetwork
from jaxrobust.trees import check_numbers

Layout = Literal["fc", "small", "large"]
Activation = Literal["maxmin", "relu"]
# Channels, kernel size and stride of the convolutions, and units of the hidden dense layers.
LAYOUTS: dict[str, tuple[tuple[tuple[int, int, int], ...], tuple[int, ...]]] = {
    "fc": ((), (1024, 1024, 1024)),
    "small": (((16, 4, 2), (32, 4, 2)), (100,)),
    "large": (((32, 3, 1), (32, 4, 2), (64, 3, 1), (64, 4, 2)), (512, 512)),
}
CRITIC = ((64, 4, 2), (128, 4, 2), (256, 4, 2), (512, 4, 2))


@dataclass(frozen=True)
class LipschitzNetwork:
    """A convolutional classifier of Lipschitz constant 1 as far as its parameterization keeps it.

    ``build(shape, n_classes)`` makes the network. Strided convolutions move squares of pixels into the
    channels first; all dense layers are orthogonal; an activation follows every layer but the last.

    Layers: ``conv1``, ``conv2``, …, ``fc1``, …, ``readout``; the positions have these names, and those of the
    activations ``conv1_maxmin`` and so on.

    Attributes:
        layout: ``"small"`` (2 convolutions, 100 units), ``"large"`` (4 convolutions, twice 512 units) or
            ``"fc"`` (three times 1,024 units).
        parameterization: How kernels of convolutions are made.
        activation: ``"maxmin"`` or ``"relu"``.
        padding: ``"circular"`` or ``"zero"``.
        width: Multiplies the numbers of channels and units (rounded to even numbers).
        scaling: The Lipschitz constant; its root per layer multiplies every layer.

    Example:
        >>> network = LipschitzNetwork("small").build((28, 28, 1), 10)
        >>> list(network.positions)[:4]
        ['input', 'conv1', 'conv1_maxmin', 'conv2']
    """

    layout: Layout = "small"
    parameterization: Parameterization = BCOP()
    activation: Activation = "maxmin"
    padding: Padding = "circular"
    width: float = 1.0
    scaling: float = 1.0

    def __post_init__(self):
        if self.layout not in get_args(Layout):
            raise InputError(f"layout is one of {', '.join(get_args(Layout))}, not {self.layout!r}.")
        _check_activation(self.activation)
        check_numbers(self, "width", "scaling", minimum=1e-6)

    def build(self, shape: tuple[int, ...], n_classes: int) -> LinenNetwork:
        """Make the network for samples of a shape.

        Raises:
            InputError: Strides do not divide the image, or kernels are larger than it.
        """
        convolutions, units = LAYOUTS[self.layout]
        root = self.scaling ** (1 / (len(convolutions) + len(units) + 1))
        layers: list[nn.Module] = []

        def add(layer: nn.Module) -> None:
            layers.append(layer)
            if root != 1:
                layers.append(Scale(root, name=f"{layer.name}_scale"))

        for index, (channels, size, stride) in enumerate(convolutions, start=1):
            how = (self._scaled(channels), size, stride, self.parameterization, self.padding)
            add(LipschitzConv(*how, name=f"conv{index}"))
            layers.append(_activation(self.activation, f"conv{index}"))
        layers.append(Flatten(name="flatten"))
        for index, n_units in enumerate(units, start=1):
            add(OrthogonalDense(self._scaled(n_units), name=f"fc{index}"))
            layers.append(_activation(self.activation, f"fc{index}"))
        add(OrthogonalDense(n_classes, name="readout"))
        return LinenNetwork(Chain(tuple(layers)), tuple(shape))

    def _scaled(self, size: int) -> int:
        return max(2, 2 * round(size * self.width / 2))


@dataclass(frozen=True)
class LipschitzCritic:
    """The critic of Wasserstein distances, in the layout of DCGAN: four convolutions of stride 2, one output.

    Published for images of 64x64; smaller ones are enlarged by repeating pixels, which multiplies distances,
    and which the certificate counts.

    Attributes:
        parameterization: How kernels are made.
        activation: ``"maxmin"`` or ``"relu"``.
        channels: Of the convolutions.
        upsample: How often each pixel is repeated.
    """

    parameterization: Parameterization = BCOP()
    activation: Activation = "maxmin"
    channels: tuple[int, ...] = tuple(channels for channels, _, _ in CRITIC)
    upsample: int = 1

    def __post_init__(self):
        _check_activation(self.activation)

    def build(self, shape: tuple[int, ...], n_classes: int = 1) -> LinenNetwork:
        """Make the network; ``n_classes`` is its number of outputs."""
        layers: list[nn.Module] = []
        if self.upsample != 1:
            layers.append(Upsample(self.upsample, name="upsample"))
        for index, channels in enumerate(self.channels, start=1):
            layers.append(LipschitzConv(channels, 4, 2, self.parameterization, name=f"conv{index}"))
            layers.append(_activation(self.activation, f"conv{index}"))
        layers += [Flatten(name="flatten"), OrthogonalDense(n_classes, name="readout")]
        return LinenNetwork(Chain(tuple(layers)), tuple(shape))


def clipped_images(network: LinenNetwork) -> tuple[tuple[str, tuple[int, int]], ...]:
    """Return the paths of a chain's unconstrained kernels and the images they are applied to.

    What ``SingularValuesOfConvolutions`` projects.

    Example:
        >>> clipped_images(LipschitzNetwork("small", Unconstrained()).build((28, 28, 1), 10))
        (('conv1/kernel', (14, 14)), ('conv2/kernel', (7, 7)))
    """
    assert isinstance(network.module, Chain)
    found, shape = [], tuple(network.input_shape)
    for index, layer in enumerate(network.module.layers):
        if not isinstance(layer, LipschitzConv):
            if isinstance(layer, Upsample):
                shape = (shape[0] * layer.factor, shape[1] * layer.factor, *shape[2:])
            continue
        if isinstance(layer.parameterization, Unconstrained):
            image = (shape[0] // layer.stride, shape[1] // layer.stride)
            found.append((f"{layer.name or f'layers_{index}'}/kernel", image))
        shape = (shape[0] // layer.stride, shape[1] // layer.stride, layer.features)
    return tuple(found)


def _activation(name: str, layer: str) -> nn.Module:
    return MaxMin(name=f"{layer}_maxmin") if name == "maxmin" else ReLU(name=f"{layer}_relu")


def _check_activation(name: str) -> None:
    if name not in get_args(Activation):
        raise InputError(f'activation is "maxmin" or "relu", not {name!r}.')
