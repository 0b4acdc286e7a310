"""Residual networks with projected shortcuts, for small images: ResNet-20 of any width, ResNet-18 to -152."""

from dataclasses import dataclass
from typing import Literal

from flax import linen as nn
from jax import Array
from jaxtyping import Float

from jaxrobust.errors import InputError
from jaxrobust.layers.images import Images
from jaxrobust.layers.linen import Convolution, Normalization
from jaxrobust.layers.normalization import BatchNorm
from jaxrobust.networks.linen import LinenNetwork
from jaxrobust.networks.taps import Tap

Block = Literal["basic", "bottleneck"]
# Running variances as PyTorch remembers them, so that its weights can be imported.
NORM = BatchNorm(variance="unbiased")
# Kind of block and blocks per stage.
DEPTHS: dict[int, tuple[Block, tuple[int, ...]]] = {
    18: ("basic", (2, 2, 2, 2)),
    34: ("basic", (3, 4, 6, 3)),
    50: ("bottleneck", (3, 4, 6, 3)),
    101: ("bottleneck", (3, 4, 23, 3)),
    152: ("bottleneck", (3, 8, 36, 3)),
}


class ResidualBlock(nn.Module):
    """``relu(shortcut(x) + bn(conv(... relu(bn(conv(x))))))``; convolutions have no biases.

    The shortcut is the identity, or a 1x1 convolution with batch normalization where shapes change.

    Attributes:
        features: Channels of the 3x3 convolutions.
        stride: Of the (first) 3x3 convolution.
        kind: ``"basic"`` has two 3x3 convolutions; ``"bottleneck"`` a 1x1, a 3x3 and a 1x1 convolution to
            four times the channels.
    """

    features: int
    stride: int
    kind: Block

    @nn.compact
    def __call__(self, x: Images, *, training: bool, tap: Tap) -> Images:
        """Compute the block."""
        n, stride = self.features, self.stride
        layers = [(n, 3, stride), (n, 3, 1)]
        if self.kind == "bottleneck":
            layers = [(n, 1, 1), (n, 3, stride), (4 * n, 1, 1)]
        inner = x
        for layer, (features, size, its_stride) in enumerate(layers, start=1):
            inner = Convolution(features, size, its_stride, name=f"conv{layer}")(inner)
            inner = Normalization(NORM, name=f"bn{layer}")(inner, training=training)
            if layer < len(layers):
                inner = tap(f"relu{layer}", nn.relu(inner))
        if inner.shape != x.shape:
            x = Convolution(inner.shape[-1], 1, stride, name="shortcut_conv")(x)
            x = Normalization(NORM, name="shortcut_bn")(x, training=training)
        return tap("relu", nn.relu(tap("add", x + inner)))


class ResidualNetwork(nn.Module):
    """A 3x3 convolution, stages of residual blocks, the mean over all pixels, and one dense layer.

    Positions: ``input``, ``conv1``, ``bn1``, ``relu``; of every block ``layerS_B/conv1``, ``.../bn1``,
    ``.../relu1``, ``.../conv2``, ``.../bn2``, (``.../shortcut_conv``, ``.../shortcut_bn``), ``.../add``,
    ``.../relu`` and ``layerS_B``, which is the output once more; ``features``, ``fc``, ``logits``. A network
    is cut through at ``.../add`` (before the activation) and ``.../relu`` (after it); within a block the
    shortcut leads around.

    Attributes:
        widths: Channels of each stage (of 3x3 convolutions). Stages after the first begin with stride 2.
        depths: Blocks of each stage.
        kind: Of the blocks.
        n_out: Classes.
    """

    widths: tuple[int, ...]
    depths: tuple[int, ...]
    kind: Block
    n_out: int = 10

    @nn.compact
    def __call__(self, x: Images, *, training: bool, tap: Tap) -> Float[Array, "batch classes"]:
        """Compute logits."""
        x = Normalization(NORM, name="bn1")(Convolution(self.widths[0], name="conv1")(x), training=training)
        x = tap("relu", nn.relu(x))
        for stage, (width, depth) in enumerate(zip(self.widths, self.depths, strict=True), start=1):
            for block in range(depth):
                name = f"layer{stage}_{block}"
                stride = 2 if stage > 1 and block == 0 else 1
                x = ResidualBlock(width, stride, self.kind, name=name)(
                    x, training=training, tap=tap.within(name)
                )
        return nn.Dense(self.n_out, name="fc")(tap("features", x.mean((1, 2))))


@dataclass(frozen=True)
class ResNet20:
    """ResNet-20 with ``width`` times 16, 32 and 64 channels: 272,474 parameters at width 1.

    Unlike ``networks.resnet.ResNet``, whose shortcuts are padded with zeros, shortcuts between stages are 1x1
    convolutions with batch normalization.

    Attributes:
        width: Multiple of the channels; 1 to 5 in the stitching study.
        depth: Blocks per stage: 3 for ResNet-20.
    """

    width: int = 1
    depth: int = 3

    def build(self, shape: tuple[int, ...], n_classes: int) -> LinenNetwork:
        """Return the network for images of a shape (height, width, channels)."""
        widths = (16 * self.width, 32 * self.width, 64 * self.width)
        module = ResidualNetwork(widths, (self.depth,) * 3, "basic", n_classes)
        return LinenNetwork(module, shape)


@dataclass(frozen=True)
class CifarResNet:
    """ResNet-18, -34, -50, -101 or -152 for small images: a 3x3 stem of stride 1 and no max-pooling.

    ResNet-18 has 11,173,962, ResNet-34 21,282,122, ResNet-50 23,520,842 parameters for 10 classes.

    Attributes:
        depth: Layers.

    Raises:
        InputError: There is no such depth.
    """

    depth: int = 18

    def __post_init__(self):
        if self.depth not in DEPTHS:
            raise InputError(f"ResNets have {', '.join(map(str, DEPTHS))} layers, not {self.depth!r}.")

    def build(self, shape: tuple[int, ...], n_classes: int) -> LinenNetwork:
        """Return the network for images of a shape (height, width, channels)."""
        kind, depths = DEPTHS[self.depth]
        module = ResidualNetwork((64, 128, 256, 512), depths, kind, n_classes)
        return LinenNetwork(module, shape)
