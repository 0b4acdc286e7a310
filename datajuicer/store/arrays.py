"""Arrays among values: numbers in the record itself, arrays in one safetensors file."""

from __future__ import annotations

from math import isfinite
from typing import Any

from datajuicer.errors import UsageError

_NATIVE = {"bool", "float16", "float32", "float64"} | {
    f"{s}int{n}" for s in ("", "u") for n in (8, 16, 32, 64)
}


def encode_array(array: Any, arrays: dict[str, Any], where: str) -> Any:
    """The typed JSON of an array or number; an array itself goes among the arrays."""
    import numpy as np

    if array.dtype.hasobject or array.dtype.fields is not None:
        raise UsageError(
            f"{where} is an array of dtype {array.dtype}, which cannot be stored; give it a numeric dtype"
        )
    array = _without_padding(array)
    if isinstance(array, np.generic):
        readable = array.item() if array.dtype.kind in "biuf" else None
        readable = readable if isinstance(readable, bool | int | float | None) else str(readable)
        readable = readable if not isinstance(readable, float) or isfinite(readable) else repr(readable)
        return {"$scalar": [_dtype_name(array.dtype), array.tobytes().hex(), readable]}
    # safetensors writes the buffer as it lies in memory, whatever the strides say, so it must be C-contiguous
    array = np.ascontiguousarray(array).reshape(array.shape)
    if array.dtype.byteorder == ">":
        array = array.astype(array.dtype.newbyteorder("<"))
    name = str(len(arrays))
    raw = array if array.dtype.name in _NATIVE else array.reshape(-1).view(np.uint8)
    arrays[name] = raw
    return {"$array": [name, _dtype_name(array.dtype), list(array.shape)]}


def _without_padding(array: Any) -> Any:
    """Extended precision with zeros in the bytes that hold nothing: equal numbers have equal bytes."""
    import numpy as np

    if array.dtype.type not in (np.longdouble, np.clongdouble) or np.finfo(np.longdouble).nmant != 63:
        return array
    clean = np.array(array)
    item = np.dtype(np.longdouble).itemsize
    clean.reshape(-1).view(np.uint8).reshape(-1, item)[:, 10:] = 0
    return clean[()] if isinstance(array, np.generic) else clean


def _dtype_name(dtype: Any) -> str:
    import numpy as np

    # text, dates and raw bytes carry their width or unit in .str; bfloat16 and its like are known by name
    return dtype.name if dtype.kind in "biufcV" and dtype.type is not np.void else dtype.str


def dtype_of(name: str) -> Any:
    """The dtype of a stored name."""
    import numpy as np

    try:
        return np.dtype(name)
    except TypeError:
        import ml_dtypes  # bfloat16 and its like have their names from there

        if hasattr(ml_dtypes, name):
            return np.dtype(getattr(ml_dtypes, name))
        raise UsageError(
            f"a stored array is of dtype {name}, which this machine does not have; read it on a machine like "
            "the one that computed it, and convert it"
        ) from None


def arrays_to_bytes(arrays: dict[str, Any]) -> bytes:
    """One safetensors file with all arrays."""
    from safetensors.numpy import save

    return save(arrays)


def arrays_from_bytes(data: bytes) -> dict[str, Any]:
    """The arrays of a safetensors file, writable."""
    from safetensors.numpy import load

    return {name: array if array.flags.writeable else array.copy() for name, array in load(data).items()}
