"""Weights of PyTorch networks, in torchvision's and RobustBench's layout, by the names of this library.

Residual networks, VGG, and the pre-activation networks of Gowal et al. 2020 (RobustBench's "DM"). Arrays come
as a state dict of NumPy arrays: no file of PyTorch is read, as reading one executes what it holds.
"""

import re
from collections.abc import Callable, Mapping

import jax
import numpy as np

from jaxrobust.errors import InputError
from jaxrobust.networks.linen import LinenNetwork
from jaxrobust.networks.network import Network
from jaxrobust.networks.preactivation import PreActivationNetwork
from jaxrobust.networks.residual import ResidualNetwork
from jaxrobust.networks.vgg import VggClassifier, VggModule
from jaxrobust.path_rules import paths
from jaxrobust.settings import nearest

# Names of one layer in the layouts, the first that is there counts.
Alternatives = tuple[str, ...]
# Wrappers in front of every name of a saved state dict.
PREFIXES = ("module.", "model.")
COUNTER = "num_batches_tracked"
ARRAYS = {
    "kernel": "weight",
    "bias": "bias",
    "scale": "weight",
    "offset": "bias",
    "mean": "running_mean",
    "variance": "running_var",
}


def from_torch(network: Network, state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return a PyTorch state dict as arrays by the paths of a network's parameters and statistics.

    Kernels are transposed, and counters of batches (``num_batches_tracked``) left out.

    Args:
        network: A residual, pre-activation or VGG network of this library.
        state: Arrays by name, as in ``{name: tensor.numpy() for name, tensor in state_dict.items()}``.

    Raises:
        InputError: There is no layout for the network; an array is missing, left over, or of another shape.
    """
    given = _unwrapped(state)
    found: dict[str, np.ndarray] = {}
    used: set[str] = set()
    for path, (names, shape) in torch_names(network).items():
        name = _present(names, path, given)
        used.add(name)
        found[path] = _turned(given[name], path)
        if found[path].shape != shape:
            raise InputError(
                f"The weights {name!r} have shape {given[name].shape}, which does not fit {path!r} of shape "
                f"{shape}."
            )
    left = sorted(name for name in given if name not in used)
    if left:
        raise InputError(f"The network has no place for {', '.join(map(repr, left))} of the given weights.")
    return found


def torch_names(network: Network) -> dict[str, tuple[Alternatives, tuple[int, ...]]]:
    """Return for each path of parameters and statistics its names in PyTorch and our shape.

    Raises:
        InputError: There is no layout for the network.

    Example:
        >>> from jaxrobust.networks.vgg import Vgg
        >>> names, shape = torch_names(Vgg(11).build((32, 32, 3), 10))["conv2/kernel"]
        >>> names[0], shape
        ('features.4.weight', (3, 3, 64, 128))
    """
    rename = _layout(network)
    like = jax.eval_shape(network.init, jax.random.key(0))
    named: dict[str, tuple[Alternatives, tuple[int, ...]]] = {}
    for tree in (like.parameters, like.statistics):
        for path, leaf in zip(paths(tree), jax.tree.leaves(tree), strict=True):
            layer, _, kind = path.removeprefix("batch_stats/").rpartition("/")
            named[path] = tuple(f"{each}.{ARRAYS[kind]}" for each in rename(layer)), leaf.shape
    return named


def _unwrapped(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    given = {name: np.asarray(array) for name, array in state.items() if not name.endswith(COUNTER)}
    while given and (prefix := next((p for p in PREFIXES if all(n.startswith(p) for n in given)), None)):
        given = {name.removeprefix(prefix): array for name, array in given.items()}
    return given


def _present(names: Alternatives, path: str, given: Mapping[str, np.ndarray]) -> str:
    for name in names:
        if name in given:
            return name
    raise InputError(
        f"The given weights have no {' or '.join(map(repr, names))} for {path!r}.{nearest(names[0], given)}"
    )


def _turned(array: np.ndarray, path: str) -> np.ndarray:
    """Return a kernel with the input channels before the output channels, any other array as it is."""
    if not path.endswith("/kernel"):
        return array
    return array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T


def _layout(network: Network) -> Callable[[str], Alternatives]:
    module = network.module if isinstance(network, LinenNetwork) else None
    if isinstance(module, ResidualNetwork):
        return _residual
    if isinstance(module, PreActivationNetwork):
        return _preactivation if module.shortcut_size > 1 else _wide
    if isinstance(module, VggModule | VggClassifier):
        return _vgg(module)
    raise InputError(
        f"There is no PyTorch layout for a {type(module or network).__name__}; name its arrays in "
        f"with_parameters(point, arrays, names=..., axes=...)."
    )


def _residual(layer: str) -> Alternatives:
    block, _, inner = layer.rpartition("/")
    if not block:
        return ("fc", "linear") if layer == "fc" else (layer,)
    block = block.replace("_", ".")
    if inner.startswith("shortcut"):
        place = 0 if inner == "shortcut_conv" else 1
        return tuple(f"{block}.{name}.{place}" for name in ("downsample", "shortcut"))
    return (f"{block}.{inner}",)


def _wide(layer: str) -> Alternatives:
    names = {"bn1": "batchnorm_0", "conv1": "conv_0", "bn2": "batchnorm_1", "conv2": "conv_1"}
    outside = {"conv1": "init_conv", "bn": "batchnorm", "fc": "logits"}
    return _in_blocks(layer, "layer.{}.block.{}", names, outside)


def _preactivation(layer: str) -> Alternatives:
    names = {"bn1": "batchnorm_0", "conv1": "conv_2d_1", "bn2": "batchnorm_1", "conv2": "conv_2d_2"}
    outside = {"conv1": "conv_2d", "bn": "batchnorm", "fc": "logits"}
    return _in_blocks(layer, "layer_{}.{}", names, outside)


def _in_blocks(
    layer: str, pattern: str, names: Mapping[str, str], outside: Mapping[str, str]
) -> Alternatives:
    match = re.fullmatch(r"layer(\d+)_(\d+)/(\w+)", layer)
    if not match:
        return (outside[layer],)
    block = pattern.format(int(match[1]) - 1, match[2])
    return (f"{block}.{names.get(match[3], match[3])}",)


def _vgg(module: VggModule | VggClassifier) -> Callable[[str], Alternatives]:
    """Count through ``features`` as torchvision does: convolution, normalization, ReLU; pooling."""
    known: dict[str, Alternatives] = {}
    number = place = 0
    for block, channels in enumerate(module.blocks, start=1):
        for within in range(1, len(channels) + 1):
            number += 1
            known[f"conv{number}"] = (f"features.{place}", f"features.conv{block}_{within}")
            if module.normalization:
                place += 1
                known[f"bn{number}"] = (f"features.{place}", f"features.bn{block}_{within}")
            place += 2
        place += 1
    hidden = module.n_hidden if isinstance(module, VggClassifier) else ()
    for at in range(len(hidden)):
        known[f"fc{at + 1}"] = (f"classifier.{3 * at}", f"classifier.fc{at + 1}")
    last = len(hidden)
    single: Alternatives = () if hidden else ("classifier", "fc", "linear")
    known["logits"] = (*single, f"classifier.{3 * last}", f"classifier.fc{last + 1}")
    return lambda layer: known[layer]
