"""The published networks, described without their data."""

import math
import re
from dataclasses import dataclass
from typing import Literal, get_args

from jaxrobust import data
from jaxrobust.errors import InputError
from jaxrobust.layers.normalization import BatchNorm
from jaxrobust.networks.keyword_cnn import keyword_cnn
from jaxrobust.networks.lenet import lenet5
from jaxrobust.networks.mlp import MLP
from jaxrobust.networks.network import Network
from jaxrobust.networks.residual import CifarResNet
from jaxrobust.networks.standardized import Standardized
from jaxrobust.networks.vgg import vgg
from jaxrobust.settings import nearest

Kind = Literal["mlp", "lenet5", "cnn_s", "cnn_m", "cnn_l", "vgg11", "resnet18"]
# As PyTorch's: the running variance is the unbiased one.
NORM = BatchNorm(variance="unbiased")
WIDTHS = (64, 64, 64)
# Of ResNet-18: the output of a block and the last layer, which are positions twice, and sums before a ReLU.
WITHOUT_NOISE = re.compile(r"layer\d+_\d+|.*/add|fc")
NORMALIZED = re.compile(r"(.*/)?(shortcut_)?bn\d*")
SIZES: dict[str, Literal["S", "M", "L"]] = {"cnn_s": "S", "cnn_m": "M", "cnn_l": "L"}


@dataclass(frozen=True)
class PublishedNetwork:
    """A network of the published study, or ``"resnet18"`` of its follow-up (VANT).

    Attributes:
        kind: ``"mlp"`` (three layers of 64), ``"lenet5"``, ``"vgg11"``, ``"resnet18"``, or for keywords
            ``"cnn_s"``, ``"cnn_m"``, ``"cnn_l"``.
        normalize: Whether batch normalization stands before every ReLU; ``"resnet18"`` always has it.
    """

    kind: Kind = "mlp"
    normalize: bool = False

    def __post_init__(self):
        if self.kind not in get_args(Kind):
            hint = nearest(str(self.kind), get_args(Kind))
            raise InputError(
                f"There is no network {self.kind!r}; there are {', '.join(get_args(Kind))}.{hint}"
            )
        if self.kind == "resnet18" and not self.normalize:
            raise InputError("resnet18 always has batch normalization: set normalize=True.")

    def build(self, shape: tuple[int, ...], n_classes: int) -> Network:
        """Return the network for samples of a shape."""
        norm = NORM if self.normalize else None
        if self.kind == "mlp":
            return MLP(math.prod(shape), WIDTHS, n_classes, "uniform", normalization=norm)
        n_axes = 2 if self.kind.startswith("cnn") else 3
        if len(shape) != n_axes:
            raise InputError(
                f"{self.kind} takes {'sequences' if n_axes == 2 else 'images'}, not samples of {shape}."
            )
        if self.kind == "lenet5":
            return lenet5((shape[0], shape[1], shape[2]), n_classes, norm)
        if self.kind == "vgg11":
            return vgg(11, (shape[0], shape[1], shape[2]), n_classes, norm)
        if self.kind == "resnet18":
            return CifarResNet(18).build(shape, n_classes)
        return keyword_cnn(SIZES[self.kind], (shape[0], shape[1]), n_classes, norm)

    def positions(self, dataset: str, *, normalization: bool = True) -> tuple[str, ...]:
        """Positions at which noise is put, in order.

        Args:
            dataset: Name of the data set; its files need not be there.
            normalization: Without it, positions behind batch normalization are left out, as in the published
                variant with batch normalization but no noise behind it.
        """
        blank = data.blank(dataset)
        network = self.build(blank.train.inputs.shape[1:], len(blank.classes))
        noisy = [name for name in network.positions if not WITHOUT_NOISE.fullmatch(name)]
        return tuple(name for name in noisy if normalization or not NORMALIZED.fullmatch(name))


@dataclass(frozen=True)
class OnStandardizedImages:
    """A published network behind the published standardization of colour images and of Fashion-MNIST.

    Attributes:
        network: The network.
        mean: Per channel, or one for all.
        deviation: As many.
    """

    network: PublishedNetwork
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    @property
    def kind(self) -> Kind:
        """The kind of the network."""
        return self.network.kind

    @property
    def normalize(self) -> bool:
        """Whether the network has batch normalization."""
        return self.network.normalize

    def build(self, shape: tuple[int, ...], n_classes: int) -> Network:
        """Return the network for samples of a shape."""
        return Standardized(self.network.build(shape, n_classes), self.mean, self.deviation)

    def positions(self, dataset: str, *, normalization: bool = True) -> tuple[str, ...]:
        """Positions at which noise is put, in order; arguments as of ``PublishedNetwork.positions``."""
        return self.network.positions(dataset, normalization=normalization)
