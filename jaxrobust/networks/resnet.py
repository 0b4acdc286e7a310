"""The residual network for CIFAR-10 (He et al. 2016)."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from jaxrobust.layers.images import Images, check_image_batch, convolve
from jaxrobust.layers.normalization import Moments, batch_norm, initial_moments
from jaxrobust.networks.network import Outputs, Statistics, Variables
from jaxrobust.trees import Parameters

SAME = ((1, 1), (1, 1))


@dataclass(frozen=True)
class ResNet:
    """Three stages of basic blocks, global average pooling, one dense layer::

        block(x) = relu(shortcut(x) + bn2(conv2(relu(bn1(conv1(x))))))

    All kernels are 3x3 and have no biases. The first block of the second and third stage has stride 2; its
    shortcut takes every second pixel and fills the new channels with zeros, half on either side (option A).
    With 5 blocks a stage this is ResNet32: 464,154 parameters.

    Parameters (float32), a nested tree: ``stem/conv``, ``stem/bn/scale``, ``stem/bn/offset``,
    ``stage1_block1/conv1``, ``stage1_block1/bn1/scale`` and so on, ``readout/w (64, n_out)``, ``readout/b``.
    What has ``bn`` in its path is left out of the published attack and noise.

    Attributes:
        image: Height, width and channels.
        n_out: Classes.
        n_blocks: Blocks a stage.
        channels: Channels of each stage.
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
        statistics = {"stem": {"bn": initial_moments(first)}}
        for name, n_in, n_out, _ in self._blocks():
            parameters[name] = {
                "conv1": draw(3, 3, n_in, n_out),
                "bn1": scales(n_out),
                "conv2": draw(3, 3, n_out, n_out),
                "bn2": scales(n_out),
            }
            statistics[name] = {"bn1": initial_moments(n_out), "bn2": initial_moments(n_out)}
        parameters["readout"] = {"w": draw(last, self.n_out), "b": jnp.zeros(self.n_out)}
        return Variables(parameters, statistics)

    def forward(
        self,
        parameters: Parameters,
        statistics: Statistics,
        inputs: Float[Array, "batch height width channels"],
        *,
        key: Array | None = None,
        training: bool = False,
    ) -> Outputs:
        """Compute the logits.

        Raises:
            InputError: The inputs are not images of the network's size.
        """
        del key
        check_image_batch(inputs, self.image)
        new: dict[str, dict[str, Moments]] = {name: {} for name in statistics}

        def norm(x: Images, block: str, layer: str) -> Images:
            x, new[block][layer] = batch_norm(x, statistics[block][layer], training=training)
            own = parameters[block][layer]
            return x * own["scale"] + own["offset"]

        x = convolve(inputs, parameters["stem"]["conv"], padding=SAME)
        x = jax.nn.relu(norm(x, "stem", "bn"))
        for name, _, n_out, stride in self._blocks():
            own = parameters[name]
            inner = norm(convolve(x, own["conv1"], stride=stride, padding=SAME), name, "bn1")
            inner = norm(convolve(jax.nn.relu(inner), own["conv2"], padding=SAME), name, "bn2")
            x = jax.nn.relu(shortcut(x, n_out, stride) + inner)
        features = jnp.mean(x, axis=(1, 2))
        logits = features @ parameters["readout"]["w"] + parameters["readout"]["b"]
        return Outputs(logits, {}, new)


def shortcut(x: Images, n_out: int, stride: int) -> Images:
    """Every ``stride``-th pixel, with channels of zeros in equal parts before and behind (option A)."""
    missing = n_out - x.shape[-1]
    before = missing // 2
    return jnp.pad(x[:, ::stride, ::stride], ((0, 0), (0, 0), (0, 0), (before, missing - before)))
