"""Data frames, series and indexes of pandas as results: their columns as arrays and lists. Imports no pandas
before it meets one.
"""

from __future__ import annotations

import sys
from typing import Any

from datajuicer.errors import UsageError

NAMES = ("frame", "series", "index")


def to_plain(value: Any, where: str) -> tuple[str, Any] | None:
    """Return which of the three a value is, and the plain values; None if it is none of them."""
    pd = sys.modules.get("pandas")
    if pd is None or not type(value).__module__.startswith("pandas"):
        return None
    if isinstance(value, pd.Index):
        return "index", _index(value, where)
    kind = type(value)
    if kind is pd.DataFrame:
        columns = [_column(value.iloc[:, i].array, f"{where}[{n!r}]") for i, n in enumerate(value.columns)]
        content = {"columns": _index(value.columns, where), "data": columns}
    elif kind is pd.Series:
        content = {"name": value.name, "data": _column(value.array, where)}
    else:
        return None
    return "frame" if kind is pd.DataFrame else "series", {
        **content,
        "index": _index(value.index, where),
        "attrs": dict(value.attrs),
    }


def from_plain(name: str, content: Any) -> Any:
    """Return the data frame, series or index that `to_plain` took apart."""
    try:
        import pandas as pd
    except ImportError:
        raise UsageError(f"a stored result holds a {name} of pandas, which is not installed here") from None
    if name == "index":
        return _make_index(pd, content)
    index = _make_index(pd, content["index"])
    if name == "series":
        made = pd.Series(_make_column(pd, content["data"]), index=index, name=content["name"])
    else:
        made = pd.DataFrame(
            {i: _make_column(pd, column) for i, column in enumerate(content["data"])}, index=index
        )
        made.columns = _make_index(pd, content["columns"])
    made.attrs = content["attrs"]
    return made


def _index(index: Any, where: str) -> dict[str, Any]:
    pd = sys.modules["pandas"]
    names = list(index.names)
    if type(index) is pd.RangeIndex:
        return {"range": [index.start, index.stop, index.step], "names": names}
    if isinstance(index, pd.MultiIndex):
        levels = [_column(index.get_level_values(i).array, where) for i in range(index.nlevels)]
        return {"levels": levels, "names": names}
    return {"values": _column(index.array, where), "names": names}


def _make_index(pd: Any, content: Any) -> Any:
    names = content["names"]
    if "range" in content:
        return pd.RangeIndex(*content["range"], name=names[0])
    if "levels" in content:
        return pd.MultiIndex.from_arrays(
            [_make_column(pd, level) for level in content["levels"]], names=names
        )
    return pd.Index(_make_column(pd, content["values"]), name=names[0])


def _column(array: Any, where: str) -> list[Any]:
    import numpy as np

    pd = sys.modules["pandas"]
    if isinstance(array, pd.arrays.NumpyExtensionArray):
        array = array.to_numpy()
    dtype = array.dtype
    if isinstance(dtype, np.dtype):
        if dtype.hasobject:
            return ["objects", list(array)]
        return ["array", np.asarray(array)]
    if isinstance(dtype, pd.StringDtype):
        missing = array.isna()
        return [
            "text",
            str(dtype),
            [None if gone else str(t) for t, gone in zip(array, missing, strict=True)],
        ]
    if isinstance(dtype, pd.CategoricalDtype):
        return ["category", np.asarray(array.codes), _index(dtype.categories, where), bool(dtype.ordered)]
    if isinstance(dtype, pd.DatetimeTZDtype):
        return ["zoned", array.asi8, dtype.unit, str(dtype.tz)]
    if hasattr(dtype, "numpy_dtype") and hasattr(array, "_mask"):  # Int64, Float64, boolean
        missing = np.asarray(array.isna())
        return ["nullable", str(dtype), array.to_numpy(dtype=dtype.numpy_dtype, na_value=0), missing]
    raise UsageError(
        f"{where} has the dtype {dtype} of pandas, which cannot be stored; convert it with astype, or give "
        "cachable a saver and a loader"
    )


def _make_column(pd: Any, content: list[Any]) -> Any:
    kind, *rest = content
    match kind:
        case "objects":
            import numpy as np

            made = np.empty(len(rest[0]), object)
            made[:] = rest[0]
            return made
        case "array":
            return rest[0]
        case "text":
            return pd.array(rest[1], dtype=rest[0])
        case "category":
            return pd.Categorical.from_codes(rest[0], _make_index(pd, rest[1]), ordered=rest[2])
        case "zoned":
            values, unit, zone = rest
            times = pd.DatetimeIndex(values.view(f"M8[{unit}]"))
            return times.tz_localize("UTC").tz_convert(zone).array
        case "nullable":
            dtype, values, missing = rest
            made = pd.array(values, dtype=dtype)
            made[missing] = pd.NA
            return made
    raise UsageError(f"a record has a column of the unknown kind {kind!r}; update datajuicer")
