"""The idx format of MNIST and Fashion-MNIST: big-endian header, then bytes; here inside gzip."""

import gzip
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from jaxrobust.errors import InputError

ORIGINALS = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)


def read_idx(path: Path) -> UInt8[np.ndarray, "..."]:
    """The array in a gzipped idx file of bytes.

    Raises:
        InputError: the file is cut short or is something else.
    """
    try:
        content = gzip.decompress(path.read_bytes())
        zeros, kind, axes = struct.unpack_from(">HBB", content)
        shape = struct.unpack_from(f">{axes}I", content, 4)
        if (zeros, kind) != (0, 8):
            raise ValueError("it does not hold bytes")
        return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape)
    except (OSError, EOFError, ValueError, struct.error, zlib.error) as error:
        raise InputError(f"{path} is no idx file ({error}): delete it and get it again.") from error


def read_originals(paths: Mapping[str, Path]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Images `(n, 28, 28, 1)` and labels of "train" and "test" from the four original files."""
    return {
        part: (read_idx(paths[images])[..., None], read_idx(paths[labels]))
        for part, images, labels in (("train", *ORIGINALS[:2]), ("test", *ORIGINALS[2:]))
    }
