"""Parameters that were trained elsewhere, in a grid point that is evaluated like any other."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from jaxrobust.data.sources import default_cache
from jaxrobust.errors import InputError
from jaxrobust.networks.torch_layout import from_torch
from jaxrobust.path_rules import paths
from jaxrobust.settings import nearest
from jaxrobust.studies.parameter_noise.catalogue import network_of
from jaxrobust.studies.side_by_side import dataset_of
from jaxrobust.training.checkpoints import save_tree

Arrays = Mapping[str, Any]


@dataclass(frozen=True)
class GivenFile:
    """A file of parameters in the cache."""

    file: str

    def path(self) -> Path:
        """Where it lies.

        Raises:
            InputError: It is gone.
        """
        path = Path(self.file)
        if not path.exists():
            raise InputError(f"{path} is gone: call with_parameters again on this machine.")
        return path


def with_parameters(
    point: Mapping[str, Any],
    arrays: Arrays | str | Path,
    *,
    names: Mapping[str, str] | None = None,
    axes: Mapping[str, Sequence[int]] | None = None,
) -> dict[str, Any]:
    """Put parameters trained elsewhere into a grid point, which evaluations then take as trained.

    Args:
        point: A grid point that is not trained.
        arrays: A ``.safetensors`` or ``.npz`` file, or arrays by name, such as a PyTorch state dict
            (``{name: tensor.numpy() for name, tensor in model.state_dict().items()}``).
        names: Name of the given array for parameters and statistics that have another, ``{"w1":
            "fc1.weight"}``. Paths in trees are joined by ``/``.
        axes: Order of the given array's axes, ``{"w1": (1, 0)}`` for a dense kernel of PyTorch and
            ``{"k1": (2, 3, 1, 0)}`` for a convolution.

    Returns:
        The point with ``parameters`` and, as its key, the digest of the numbers under ``trained``.

    Raises:
        InputError: An array is missing, is left over, or does not fit; or the file cannot be read.
    """
    dataset = dataset_of(point)
    network = network_of(point, dataset)
    like = jax.eval_shape(network.init, jax.random.key(0))
    given = (
        read_arrays(arrays)
        if isinstance(arrays, str | Path)
        else {n: np.asarray(a) for n, a in arrays.items()}
    )
    tree = (like.parameters, like.statistics)
    leaves = []
    used: set[str] = set()
    for path, leaf in zip(paths(tree), jax.tree.leaves(tree), strict=True):
        name = path.partition("/")[2]
        source = (names or {}).get(name, name)
        used.add(source)
        leaves.append(_fitting(name, source, given, leaf, (axes or {}).get(name)))
    for option, mapping in (("names", names), ("axes", axes)):
        for name in mapping or {}:
            if f"0/{name}" not in paths(tree) and f"1/{name}" not in paths(tree):
                known = [path.partition("/")[2] for path in paths(tree)]
                raise InputError(f"{option} has {name!r}, which is no parameter.{nearest(name, known)}")
    if left := sorted(set(given) - used):
        raise InputError(
            f"The network has no place for the array {left[0]!r}; its parameters are "
            f"{', '.join(path.partition('/')[2] for path in paths(tree))}: name it in names, or leave it out."
        )
    filled = jax.tree.unflatten(jax.tree.structure(tree), leaves)
    # Everything that evaluations of the point depend on, as the digest is their key.
    whole = hashlib.sha256(repr((network, dataset.name, point["split"], point.get("criterion"))).encode())
    for leaf in leaves:
        whole.update(np.ascontiguousarray(leaf).data)
    whole.update(point["dataset"].encode())
    digest = whole.hexdigest()[:20]
    file = default_cache() / "given" / f"{digest}.safetensors"
    if not file.exists():
        save_tree(file, filled)
    return {
        **point,
        "trained": f"given {digest}",
        "parameters": GivenFile(str(file)),
        "data_source": dataset.source,
        "data_is_synthetic": dataset.synthetic,
        "n_test_samples": len(dataset.test.labels),
    }


def with_torch_weights(point: Mapping[str, Any], arrays: Arrays | str | Path) -> dict[str, Any]:
    """Put weights of a PyTorch network into a grid point, by ``networks.torch_layout``.

    Args:
        point: A grid point of a residual, pre-activation or VGG network that is not trained.
        arrays: A state dict in torchvision's or RobustBench's layout, as arrays by name or as a
            ``.safetensors`` or ``.npz`` file; files of PyTorch are not read, as that could execute anything.

    Returns:
        As ``with_parameters``: a point to evaluate, and the front or end of a stitch.

    Raises:
        InputError: An array is missing, is left over, or does not fit; or the file cannot be read.
    """
    given = read_arrays(arrays) if isinstance(arrays, str | Path) else arrays
    return with_parameters(point, from_torch(network_of(point, dataset_of(point)), given))


def read_arrays(path: str | Path) -> dict[str, np.ndarray]:
    """Read arrays by name from a ``.safetensors`` or ``.npz`` file.

    Raises:
        InputError: It is neither, or cannot be read.
    """
    path = Path(path)
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as file:
                return {name: file[name] for name in file.files}
    except (OSError, ValueError, SafetensorError) as error:
        raise InputError(f"{path} is not what its name says ({error}).") from error
    raise InputError(f"{path} is neither a .safetensors nor an .npz file; pass arrays by name.")


def _fitting(
    name: str, source: str, given: Mapping[str, np.ndarray], leaf: Any, axes: Sequence[int] | None
) -> np.ndarray:
    if source not in given:
        raise InputError(
            f"There is no array for the parameter {name!r} of shape {leaf.shape}; there are "
            f"{', '.join(given)}: say which in names={{{name!r}: ...}}.{nearest(source, given)}"
        )
    array = given[source]
    if axes is not None:
        if sorted(axes) != list(range(array.ndim)):
            raise InputError(f"axes of {name!r} must order the {array.ndim} axes of {source!r}, not {axes}.")
        array = array.transpose(axes)
    if array.shape != leaf.shape:
        turned = " name the order of its axes in axes." if sorted(array.shape) == sorted(leaf.shape) else ""
        raise InputError(f"{source!r} has shape {array.shape}, but {name!r} needs {leaf.shape}.{turned}")
    if not np.isfinite(array).all():
        raise InputError(f"{source!r} is not finite everywhere.")
    return np.asarray(array, leaf.dtype)
