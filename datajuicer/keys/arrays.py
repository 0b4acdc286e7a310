"""Arrays in keys: by the name of the dtype, the shape and the bytes, whatever the strides and byte order."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

from datajuicer.errors import UsageError
from datajuicer.keys.kept import digest_of_bytes


@dataclass(frozen=True)
class PrngKey:
    """A jax PRNG key: the name of its implementation and its data."""

    implementation: str
    data: Any


def as_array(value: Any, where: str = "") -> Any:
    """Return the value as a numpy array or scalar or a `PrngKey`; None if it is no array. Imports no jax."""
    np = sys.modules.get("numpy")
    if np is None:
        return None
    if type(value) is np.ndarray or isinstance(value, np.generic):
        return value
    if type(value).__module__.partition(".")[0] in ("jax", "jaxlib") and hasattr(value, "__array__"):
        if str(getattr(value, "dtype", "")).startswith("key<"):
            random = sys.modules["jax"].random  # there is a key, so jax is imported already
            return PrngKey(str(random.key_impl(value)), np.asarray(random.key_data(value)))
        try:
            return np.asarray(value)
        except Exception:
            raise UsageError(
                f"{where or 'an argument'} is a traced jax value; call run outside of jit"
            ) from None
    return None


def array_content(array: Any, where: str) -> tuple[bytes, tuple[str, tuple[int, ...]], bytes]:
    """Return the tag of an array or scalar, the name of its dtype with the shape, and a digest of its bytes.

    Raises:
        UsageError: it holds Python objects, or several fields.
    """
    import numpy as np

    if array.dtype.hasobject:
        raise UsageError(
            f"{where or 'an array'} has dtype object and cannot be keyed; give it a numeric dtype"
        )
    if array.dtype.fields is not None:
        raise UsageError(
            f"{where or 'an array'} is a structured array and cannot be keyed; key its fields one by one"
        )
    if array.dtype.byteorder == ">" or (array.dtype.byteorder == "=" and sys.byteorder == "big"):
        array = array.astype(array.dtype.newbyteorder("<"))
    data = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    content = digest_of_bytes(array, data) if data.size else b""
    tag = b"n" if isinstance(array, np.generic) else b"a"
    return tag, (array.dtype.name, tuple(map(int, array.shape))), content
