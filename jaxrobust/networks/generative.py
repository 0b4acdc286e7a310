"""Generators of images, the critics that train them, and both as one network with two trees of parameters."""

from collections.abc import Mapping
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jaxtyping import Float

from jaxrobust.errors import InputError
from jaxrobust.layers.lipschitz import depth_to_space, space_to_depth
from jaxrobust.networks.linen import LinenNetwork
from jaxrobust.networks.network import Outputs, Shape, Variables
from jaxrobust.networks.tapping import positions_of, run_with_taps
from jaxrobust.networks.taps import NO_TAPS, Statistics, Tap, Taps
from jaxrobust.numerics import of_rank
from jaxrobust.trees import Parameters

Images = Float[Array, "batch _height _width _channels"]
# Path rules of ``Training.trainable``: the generator keeps its parameters.
ONLY_THE_CRITIC = (("critic/.*", True), (".*", False))
# Images of the generator that validation compares with; always the same ones.
N_COMPARED = 64
_NORMAL = nn.initializers.normal(0.02)


def _windows(x: Images) -> Images:
    """The four pixels of every 2x2 window as channels, so that a dense layer is a convolution.

    On a CPU the second derivatives of convolutions inside a loop take ten times as long.
    """
    height, width = x.shape[1] - 1, x.shape[2] - 1
    return jnp.concatenate(
        [x[:, row : row + height, column : column + width] for row in (0, 1) for column in (0, 1)], axis=-1
    )


def _padded(x: Images) -> Images:
    return jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))


def _halved(x: Images, features: int, *, use_bias: bool, name: str) -> Images:
    """Convolve by 4x4 with stride 2 and one pixel of padding, as 2x2 on squares of pixels."""
    squares = space_to_depth(_padded(x), 2)
    return nn.Dense(features, use_bias=use_bias, kernel_init=_NORMAL, name=name)(_windows(squares))


def _doubled(x: Images, features: int, *, name: str) -> Images:
    """The transpose of such a convolution, which doubles height and width."""
    squares = nn.Dense(4 * features, use_bias=False, kernel_init=_NORMAL, name=name)(_windows(_padded(x)))
    return depth_to_space(squares, 2)[:, 1:-1, 1:-1]


class ImageGenerator(nn.Module):
    """From uniform numbers to images in [-1, 1]: two dense layers, two transposed convolutions.

    The layout of the published sampler (Li et al. 2019), with batch normalization before each ReLU.

    Attributes:
        shape: Height, width and channels of an image; 4 divides height and width.
        width: Channels that the dense layers give.
    """

    shape: tuple[int, int, int]
    width: int = 32

    @nn.compact
    def __call__(self, x: Float[Array, "batch latent"], *, training: bool = False) -> Images:
        """Make one image of each row."""
        height, width, channels = self.shape

        def activated(x: Array, name: str) -> Array:
            norm = nn.BatchNorm(use_running_average=not training, momentum=0.9, name=f"{name}_norm")
            return nn.relu(norm(x))

        for name, size in (("fc1", 1024), ("fc2", height // 4 * (width // 4) * self.width)):
            x = activated(nn.Dense(size, use_bias=False, kernel_init=_NORMAL, name=name)(x), name)
        x = x.reshape(-1, height // 4, width // 4, self.width)
        x = activated(_doubled(x, 64, name="conv1"), "conv1")
        bias = self.param("bias", nn.initializers.zeros, (channels,))
        return jnp.tanh(_doubled(x, channels, name="conv2") + of_rank(bias, 4))


class ImageCritic(nn.Module):
    """The critic that trains the generator: two convolutions of stride 2, two dense layers.

    Where the published one normalizes batches, this normalizes the channels of each image: the penalty on
    the gradient is one of a single image (Gulrajani et al. 2017).

    Attributes:
        width: Channels of the second convolution.
    """

    width: int = 32

    @nn.compact
    def __call__(self, x: Images) -> Float[Array, "batch 1"]:
        """Value each image."""
        x = nn.leaky_relu(_halved(x, 64, use_bias=True, name="conv1"), 0.2)
        x = nn.LayerNorm(name="conv2_norm")(_halved(x, self.width, use_bias=False, name="conv2"))
        x = nn.leaky_relu(x, 0.2).reshape(len(x), -1)
        x = nn.LayerNorm(name="fc1_norm")(nn.Dense(1024, use_bias=False, kernel_init=_NORMAL, name="fc1")(x))
        return nn.Dense(1, kernel_init=_NORMAL, name="readout")(nn.leaky_relu(x, 0.2))


@dataclass(frozen=True)
class GenerativePair:
    """A generator and a critic as one network: how much higher the critic values images than generated ones.

    ``logits = critic(2 x - 1) - mean critic(generator(z))``, one column. In training as many images are
    generated as there are inputs, from ``forward``'s key; otherwise the same ``N_COMPARED`` at every call.
    The mean of the logits over real images is the estimate of ``measures.wasserstein.EstimatedDistance``.

    Parameters and statistics: ``critic`` and ``generator``, each the network's own. To train a critic of a
    given generator, pass ``trainable=ONLY_THE_CRITIC`` and ``is_generator_trained=False``, so that batch
    normalization works as in evaluation.

    Positions: ``input`` (pixels in [0, 1]), ``generated`` (images in [-1, 1]), ``logits``.

    Attributes:
        generator: From uniform numbers in [0, 1] to images in [-1, 1].
        critic: From images in [-1, 1] to one number.
        shape: Shape of one image.
        n_latent: Uniform numbers of one image.
        is_generator_trained: Whether the generator is in training when the pair is.
    """

    generator: LinenNetwork
    critic: LinenNetwork
    shape: tuple[int, ...]
    n_latent: int
    is_generator_trained: bool = True

    @property
    def positions(self) -> Mapping[str, Shape]:
        """Shape of one sample at every position."""
        return positions_of(self, self.shape)

    def init(self, key: Array) -> Variables:
        """Draw both networks afresh; ``join`` puts a trained one in its place."""
        key_generator, key_critic = jax.random.split(key)
        return self.join(self.generator.init(key_generator), self.critic.init(key_critic))

    @staticmethod
    def join(generator: Variables, critic: Variables) -> Variables:
        """Put the variables of the two networks together."""
        return Variables(
            {"critic": critic.parameters, "generator": generator.parameters},
            {"critic": critic.statistics, "generator": generator.statistics},
        )

    def generate(
        self, parameters: Parameters, statistics: Statistics, key: Array, n: int, *, training: bool = False
    ) -> Outputs:
        """Generate ``n`` images, the logits of the outputs, from the generator's own trees."""
        z = jax.random.uniform(key, (n, self.n_latent), jax.tree.leaves(parameters)[0].dtype)
        return self.generator.forward(parameters, statistics, z, training=training)

    def forward(
        self,
        parameters: Parameters,
        statistics: Statistics,
        inputs: Images,
        *,
        key: Array | None = None,
        training: bool = False,
        tap: Taps = NO_TAPS,
    ) -> Outputs:
        """Compare every image with generated ones.

        Raises:
            InputError: The inputs do not fit; an unknown position; a missing key.
        """
        if training and key is None:
            raise InputError("A generator draws its images in training: pass key=jax.random.key(...).")
        key_images, n = (key, len(inputs)) if training else (jax.random.key(0), N_COMPARED)
        assert key_images is not None

        def compute(own: Tap) -> tuple[Array, Statistics]:
            x = 2 * own("input", inputs) - 1
            made = self.generate(
                parameters["generator"],
                statistics["generator"],
                key_images,
                n,
                training=training and self.is_generator_trained,
            )
            generated = own("generated", made.logits)
            valued = self.critic.forward(
                parameters["critic"],
                statistics["critic"],
                jnp.concatenate([x, generated.astype(x.dtype)]),
                training=training,
            )
            values = valued.logits
            new = {"critic": valued.statistics, "generator": made.statistics}
            return own("logits", values[: len(x)] - jnp.mean(values[len(x) :])), new

        return run_with_taps(self, compute, tap, key=key, training=training)

    def bake(self, parameters: Parameters, statistics: Statistics | None = None) -> Parameters:
        """Bake both networks."""
        of = statistics or {"critic": None, "generator": None}
        return {
            "critic": self.critic.bake(parameters["critic"], of["critic"]),
            "generator": self.generator.bake(parameters["generator"], of["generator"]),
        }


@dataclass(frozen=True)
class ImageGAN:
    """The published generator with the critic that trains it; ``build(shape, n_classes)`` makes the pair.

    Attributes:
        width: Channels between the dense layers and the convolutions; published 32.
        n_latent: Uniform numbers of one image.

    Example:
        >>> pair = ImageGAN(width=8).build((8, 8, 1), 1)
        >>> dict(pair.positions)
        {'input': (8, 8, 1), 'generated': (8, 8, 1), 'logits': (1,)}
    """

    width: int = 32
    n_latent: int = 62

    def __post_init__(self):
        if self.width < 1 or self.n_latent < 1:
            raise InputError(
                f"width ({self.width}) and n_latent ({self.n_latent}) of a generator are at least 1."
            )

    def build(self, shape: tuple[int, ...], n_classes: int = 1) -> GenerativePair:
        """Make the pair for images of a shape.

        Raises:
            InputError: The samples are no images, or 4 does not divide their height and width.
        """
        del n_classes
        if len(shape) != 3 or shape[0] % 4 or shape[1] % 4:
            raise InputError(
                f"A generator makes images (height, width, channels) whose height and width 4 divides, but "
                f"samples have the shape {tuple(shape)}."
            )
        height, width, channels = shape
        generator = LinenNetwork(ImageGenerator((height, width, channels), self.width), (self.n_latent,))
        critic = LinenNetwork(ImageCritic(self.width), tuple(shape))
        return GenerativePair(generator, critic, tuple(shape), self.n_latent)
