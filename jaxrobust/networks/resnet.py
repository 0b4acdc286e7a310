"""The residual network for CIFAR-10 (He et al. 2016)."""

from collections.abc import Mapping
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Shaped

from jaxrobust.layers.images import Images, check_image_batch, convolve
from jaxrobust.layers.normalization import BatchNorm, Moments
from jaxrobust.networks.network import Outputs, PlainKernels, Shape, Variables
from jaxrobust.networks.tapping import positions_of, run_with_taps
from jaxrobust.networks.taps import NO_TAPS, Statistics, Tap, Taps
from jaxrobust.trees import Parameters

SAME = ((1, 1), (1, 1))
NORM = BatchNorm()


@dataclass(frozen=True)
class ResNet(PlainKernels):
    """Three stages of basic blocks, global average pooling, one dense layer::

        block(x) = relu(shortcut(x) + bn2(conv2(relu(bn1(conv1(x))))))

    All kernels are 3x3 and have no biases. The first block of the second and third stage has stride 2; its
    shortcut takes every second pixel and fills the new channels with zeros, half on either side (option A).
    With 5 blocks per stage this is ResNet32: 464,154 parameters.

    Parameters (float32), a nested tree: ``stem/conv``, ``stem/bn/scale``, ``stem/bn/offset``,
    ``stage1_block1/conv1``, ``stage1_block1/bn1/scale`` and so on, ``readout/w (64, n_out)``, ``readout/b``.
    What has ``bn`` in its path is left out of the published attack and noise.

    Positions: ``input``, ``stem/conv``, ``stem/bn``, ``stem/relu``; of every block ``conv1``, ``bn1``,
    ``relu1``, ``conv2``, ``bn2``, ``add`` and ``relu2`` after its name, as in ``stage1_block1/add``;
    ``features`` (after average pooling), ``logits``.

    Attributes:
        image: Height, width and channels.
        n_out: Classes.
        n_blocks: Blocks per stage.
        channels: Channels of each stage.

    Example:
        >>> import jax, jax.numpy as jnp, jaxrobust as jr
        >>> network = jr.ResNet(image=(16, 16, 3), n_out=7, n_blocks=1)
        >>> jax.eval_shape(network.init, jax.random.key(0)).parameters["readout"]["w"].shape
        (64, 7)
    """

    image: tuple[int, int, int] = (32, 32, 3)
    n_out: int = 10
    n_blocks: int = 5
    channels: tuple[int, int, int] = (16, 32, 64)

    def _blocks(self) -> list[tuple[str, int, int, int]]:
        """Name, input channels, output channels and stride of every block."""
        blocks, n_in = [], self.channels[0]
        for stage, n_out in enumerate(self.channels, start=1):
            for block in range(1, self.n_blocks + 1):
                blocks.append(
                    (f"stage{stage}_block{block}", n_in, n_out, 2 if stage > 1 and block == 1 else 1)
                )
                n_in = n_out
        return blocks

    @property
    def positions(self) -> Mapping[str, Shape]:
        """Shape of one sample at every position."""
        return positions_of(self, self.image)

    def init(self, key: Array) -> Variables:
        """Draw kernels and dense weights of standard deviation ``sqrt(2 / fan_in)``; the bias is zero."""
        keys = iter(jax.random.split(key, 2 + 2 * len(self._blocks())))

        def draw(*shape: int) -> Array:
            fan_in = shape[-2] * (9 if len(shape) == 4 else 1)
            return jax.random.normal(next(keys), shape) * (2 / fan_in) ** 0.5

        def scales(n: int) -> dict[str, Array]:
            return {"scale": jnp.ones(n), "offset": jnp.zeros(n)}

        first, last = self.channels[0], self.channels[-1]
        parameters = {"stem": {"conv": draw(3, 3, self.image[2], first), "bn": scales(first)}}
        statistics = {"stem": {"bn": NORM.init(first)}}
        for name, n_in, n_out, _ in self._blocks():
            parameters[name] = {
                "conv1": draw(3, 3, n_in, n_out),
                "bn1": scales(n_out),
                "conv2": draw(3, 3, n_out, n_out),
                "bn2": scales(n_out),
            }
            statistics[name] = {"bn1": NORM.init(n_out), "bn2": NORM.init(n_out)}
        parameters["readout"] = {"w": draw(last, self.n_out), "b": jnp.zeros(self.n_out)}
        return Variables(parameters, statistics)

    def forward(
        self,
        parameters: Parameters,
        statistics: Statistics,
        inputs: Shaped[Array, "batch height width channels"],
        *,
        key: Array | None = None,
        training: bool = False,
        tap: Taps = NO_TAPS,
    ) -> Outputs:
        """Compute the logits.

        Raises:
            InputError: The inputs are not images of the network's size; an unknown position; a missing key.
        """
        check_image_batch(inputs, self.image)

        def compute(tap: Tap) -> tuple[Array, Statistics]:
            new: dict[str, dict[str, Moments]] = {name: {} for name in statistics}

            def conv_norm(x: Images, block: str, conv: str, bn: str, stride: int = 1) -> Images:
                x = tap(f"{block}/{conv}", convolve(x, parameters[block][conv], stride=stride, padding=SAME))
                x, moments = NORM(x, statistics[block][bn], training=training)
                x, new[block][bn] = tap.update(f"{block}/{bn}", x, statistics[block][bn], moments)
                own = parameters[block][bn]
                return tap(f"{block}/{bn}", x * own["scale"] + own["offset"])

            x = conv_norm(tap("input", inputs.astype(parameters["stem"]["conv"].dtype)), "stem", "conv", "bn")
            x = tap("stem/relu", jax.nn.relu(x))
            for name, _, n_out, stride in self._blocks():
                inner = conv_norm(x, name, "conv1", "bn1", stride)
                inner = tap(f"{name}/relu1", jax.nn.relu(inner))
                inner = conv_norm(inner, name, "conv2", "bn2")
                x = tap(f"{name}/add", shortcut(x, n_out, stride) + inner)
                x = tap(f"{name}/relu2", jax.nn.relu(x))
            features = tap("features", jnp.mean(x, axis=(1, 2)))
            readout = parameters["readout"]
            return tap("logits", features @ readout["w"] + readout["b"]), new

        return run_with_taps(self, compute, tap, key=key, training=training)


def shortcut(x: Images, n_out: int, stride: int) -> Images:
    """Every ``stride``-th pixel, padded by channels of zeros in equal parts before and after (option A)."""
    missing = n_out - x.shape[-1]
    before = missing // 2
    return jnp.pad(x[:, ::stride, ::stride], ((0, 0), (0, 0), (0, 0), (before, missing - before)))
