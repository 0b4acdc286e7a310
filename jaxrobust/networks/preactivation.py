"""Residual networks that normalize before each convolution: PreAct-ResNet-18 and Wide-ResNet.

Laid out as the robust networks of Gowal et al. 2020 (arXiv 2010.03593): swish activations, normalization of
the image inside the network, a final batch normalization.
"""

from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jaxtyping import Float

from jaxrobust.errors import InputError
from jaxrobust.layers.images import Images
from jaxrobust.layers.linen import Convolution, Normalization
from jaxrobust.layers.normalization import BatchNorm
from jaxrobust.networks.linen import LinenNetwork
from jaxrobust.networks.taps import Tap
from jaxrobust.numerics import of_rank

Activation = Literal["swish", "relu"]
NORM = BatchNorm(variance="unbiased")
CIFAR10_MEAN = (0.4914, 0.4822, 0.4465)
CIFAR10_STD = (0.2471, 0.2435, 0.2616)


class PreActivationBlock(nn.Module):
    """``shortcut + conv(act(bn(conv(act(bn(x))))))``, where the shortcut is ``x`` or a convolution of it.

    Where shapes change, the shortcut is a convolution: as published, one of 1x1 pixels (Wide-ResNet) takes
    ``act(bn(x))``, one of 3x3 pixels (PreAct-ResNet) takes ``x``.

    Attributes:
        features: Channels.
        stride: Of the first convolution and the shortcut.
        shortcut_size: Kernel size of a shortcut that is a convolution.
        activation: The nonlinearity.
    """

    features: int
    stride: int
    shortcut_size: int
    activation: Activation

    @nn.compact
    def __call__(self, x: Images, *, training: bool, tap: Tap) -> Images:
        """Compute the block."""
        # With stride 2 the published networks pad behind only, so that no border pixel counts less.
        padding = (1, 1) if self.stride == 1 else (0, 1)
        inner = Normalization(NORM, name="bn1")(x, training=training)
        inner = tap("act1", getattr(jax.nn, self.activation)(inner))
        if self.stride > 1 or x.shape[-1] != self.features:
            source, own_padding = (x, padding) if self.shortcut_size > 1 else (inner, (0, 0))
            x = Convolution(self.features, self.shortcut_size, self.stride, own_padding, name="shortcut")(
                source
            )
        inner = Convolution(self.features, 3, self.stride, padding, name="conv1")(inner)
        inner = Normalization(NORM, name="bn2")(inner, training=training)
        inner = tap("act2", getattr(jax.nn, self.activation)(inner))
        return tap("add", x + Convolution(self.features, name="conv2")(inner))


class PreActivationNetwork(nn.Module):
    """A convolution, stages of blocks, batch normalization, activation, mean over all pixels, dense layer.

    Positions: ``input``, ``normalized``, ``conv1``; of every block ``layerS_B/bn1``, ``.../act1``,
    (``.../shortcut``), ``.../conv1``, ``.../bn2``, ``.../act2``, ``.../conv2``, ``.../add`` and
    ``layerS_B``, which is the output once more; ``bn``, ``act``, ``features``, ``fc``, ``logits``. A network
    is cut through at ``.../add``; within a block the shortcut leads around.

    Attributes:
        stem: Channels of the first convolution.
        widths: Channels of each stage. Stages after the first begin with stride 2.
        depth: Blocks per stage.
        shortcut_size: Kernel size of shortcuts between stages.
        n_out: Classes.
        activation: The nonlinearity.
        mean: Subtracted from each channel of the image.
        std: What each channel is then divided by.
    """

    stem: int
    widths: tuple[int, ...]
    depth: int
    shortcut_size: int
    n_out: int = 10
    activation: Activation = "swish"
    mean: tuple[float, ...] = CIFAR10_MEAN
    std: tuple[float, ...] = CIFAR10_STD

    @nn.compact
    def __call__(self, x: Images, *, training: bool, tap: Tap) -> Float[Array, "batch classes"]:
        """Compute logits."""
        mean, std = (of_rank(jnp.asarray(numbers, x.dtype), 4) for numbers in (self.mean, self.std))
        x = tap("normalized", (x - mean) / std)
        x = Convolution(self.stem, name="conv1")(x)
        for stage, width in enumerate(self.widths, start=1):
            for block in range(self.depth):
                name = f"layer{stage}_{block}"
                stride = 2 if stage > 1 and block == 0 else 1
                x = PreActivationBlock(width, stride, self.shortcut_size, self.activation, name=name)(
                    x, training=training, tap=tap.within(name)
                )
        x = Normalization(NORM, name="bn")(x, training=training)
        features = tap("act", getattr(jax.nn, self.activation)(x)).mean((1, 2))
        return nn.Dense(self.n_out, name="fc")(tap("features", features))


@dataclass(frozen=True)
class PreActResNet18:
    """PreAct-ResNet-18 with 3x3 shortcuts: 12,548,426 parameters for 10 classes.

    Attributes:
        activation: The nonlinearity.
        mean: Subtracted from each channel of the image, CIFAR-10's by default.
        std: What each channel is then divided by.
    """

    activation: Activation = "swish"
    mean: tuple[float, ...] = CIFAR10_MEAN
    std: tuple[float, ...] = CIFAR10_STD

    def build(self, shape: tuple[int, ...], n_classes: int) -> LinenNetwork:
        """Return the network for images of a shape (height, width, channels)."""
        numbers = (n_classes, self.activation, self.mean, self.std)
        return LinenNetwork(PreActivationNetwork(64, (64, 128, 256, 512), 2, 3, *numbers), shape)


@dataclass(frozen=True)
class WideResNet:
    """A Wide-ResNet (Zagoruyko and Komodakis 2016): WRN-28-10 has 36,479,194 parameters for 10 classes.

    Attributes:
        depth: Layers, 6 n + 4.
        width: Multiple of 16, 32 and 64 channels.
        activation: The nonlinearity.
        mean: Subtracted from each channel of the image, CIFAR-10's by default.
        std: What each channel is then divided by.

    Raises:
        InputError: The depth is not 6 n + 4.
    """

    depth: int = 28
    width: int = 10
    activation: Activation = "swish"
    mean: tuple[float, ...] = CIFAR10_MEAN
    std: tuple[float, ...] = CIFAR10_STD

    def __post_init__(self):
        if self.depth < 10 or self.depth % 6 != 4:
            raise InputError(f"A Wide-ResNet has 6 n + 4 layers, such as 16, 28 or 34, not {self.depth}.")

    def build(self, shape: tuple[int, ...], n_classes: int) -> LinenNetwork:
        """Return the network for images of a shape (height, width, channels)."""
        widths = (16 * self.width, 32 * self.width, 64 * self.width)
        numbers = (n_classes, self.activation, self.mean, self.std)
        module = PreActivationNetwork(16, widths, (self.depth - 4) // 6, 1, *numbers)
        return LinenNetwork(module, shape)
