"""Trees of arrays on disk: safetensors files that are whole or absent."""

import os
import secrets
from pathlib import Path
from typing import TypeVar

import jax
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from jaxrobust.errors import InputError

Tree = TypeVar("Tree")


def _named(tree) -> dict[str, np.ndarray]:
    leaves, _ = jax.tree.flatten_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}


def save_tree(path: Path, tree, **metadata: str) -> None:
    """Write a tree of arrays; the file appears whole or not at all.

    Args:
        path: Where to; its folder is made.
        tree: Any tree of arrays with fixed dtypes.
        metadata: Short texts to keep with it.
    """
    # safetensors writes Fortran-ordered arrays wrongly (safetensors#825).
    arrays = {name: np.asarray(leaf, order="C") for name, leaf in _named(jax.device_get(tree)).items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        with open(temporary, "wb") as file:
            file.write(save(arrays, metadata))
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def load_tree(path: Path, like: Tree) -> tuple[Tree, dict[str, str]]:
    """Read a tree of arrays back.

    Args:
        path: A file that ``save_tree`` wrote.
        like: A tree of the same structure; shapes and dtypes must agree.

    Returns:
        The tree and the texts kept with it.

    Raises:
        InputError: The file is damaged, or holds another tree.
    """
    try:
        with safe_open(path, framework="np") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise InputError(f"The file {path} cannot be read ({error}); delete it to start afresh.") from error
    expected = _named(like)
    described = {name: (leaf.shape, str(leaf.dtype)) for name, leaf in expected.items()}
    found = {name: (leaf.shape, str(leaf.dtype)) for name, leaf in arrays.items()}
    if described != found:
        names = sorted(described.keys() | found.keys())
        odd = next(name for name in names if described.get(name) != found.get(name))
        raise InputError(
            f"The file {path} does not fit this network: {odd} is {found.get(odd, 'absent')} in the file "
            f"and {described.get(odd, 'absent')} in the network. Use the settings it was made with."
        )
    return jax.tree.unflatten(jax.tree.structure(like), [arrays[name] for name in expected]), metadata
