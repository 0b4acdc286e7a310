"""Networks of published studies by the names under which they are typed, ``-arch=resnet18``."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from jaxrobust.networks.conv_stack import StridedCNN, Tiny10
from jaxrobust.networks.lenet import LeNet
from jaxrobust.networks.mlp import MLP
from jaxrobust.networks.preactivation import PreActResNet18, WideResNet
from jaxrobust.networks.residual import DEPTHS, CifarResNet, ResNet20
from jaxrobust.networks.vgg import BLOCKS, Vgg


@dataclass(frozen=True)
class Dense:
    """An MLP described without its data: 1,105,510 parameters for 32x32 color images and ten classes.

    Attributes:
        n_hidden: Units of the hidden layers.
    """

    n_hidden: tuple[int, ...] = (300, 300, 300)

    def build(self, shape: tuple[int, ...], n_classes: int) -> MLP:
        """Return the network for samples of any shape, which it flattens."""
        return MLP(math.prod(shape), self.n_hidden, n_classes)


NAMED: Mapping[str, Any] = MappingProxyType(
    {
        "lenet": LeNet(),
        "tiny10": Tiny10(),
        "nbn_tiny10": Tiny10(normalized=False),
        "dense": Dense(),
        "strided_cnn": StridedCNN(),
        **{f"resnet20_w{width}": ResNet20(width) for width in range(1, 6)},
        **{f"resnet{depth}": CifarResNet(depth) for depth in DEPTHS},
        "preactresnet18": PreActResNet18(),
        "wide_resnet_28_10": WideResNet(28, 10),
        "wide_resnet_34_10": WideResNet(34, 10),
        **{f"vgg{depth}": Vgg(depth) for depth in BLOCKS},
    }
)
"""Descriptions with ``build(shape, n_classes)``; other sizes are settings, ``-network.depth=40``."""
