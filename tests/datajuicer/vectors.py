"""Values whose keys are pinned, and a command that prints their digests: `python vectors.py`. Needs no
pytest.
"""

import enum
import math
import struct
from dataclasses import dataclass
from pathlib import Path

from datajuicer import keys


class Colour(enum.Enum):
    RED = 1


@dataclass
class Settings:
    lr: float
    steps: int = 3


def function():
    pass


PLAIN = {
    "none": None,
    "true": True,
    "one": 1,
    "one as float": 1.0,
    "one as text": "1",
    "zero": 0.0,
    "minus zero": -0.0,
    "nan": math.nan,
    "other nan": struct.unpack(">d", bytes.fromhex("fff8000000000001"))[0],
    "infinity": math.inf,
    "large": 10**40,
    "negative": -255,
    "text": "ζ and β",
    "bytes": b"ab\x00",
    "complex": 1 - 2j,
    "list": [1, "a", None],
    "tuple": (1, "a", None),
    "nested": {"b": [1, (2,)], "a": {"x": 0.1}},
    "nested, other order": {"a": {"x": 0.1}, "b": [1, (2,)]},
    "set": {"c", "a", "b"},
    "path": Path("data") / "x",
    "enum": Colour.RED,
    "dataclass": Settings(0.1),
    "function": function,
    "class": Settings,
    "builtin": print,
}


def arrays():
    import numpy as np

    base = np.arange(6, dtype=np.float32).reshape(2, 3)
    return {
        "array": base,
        "array, Fortran order": np.asfortranarray(base),
        "array, strided": np.arange(12, dtype=np.float32).reshape(2, 6)[:, ::2] / 2,
        "array, big-endian": base.astype(">f4"),
        "array, other shape": base.reshape(3, 2),
        "array, other dtype": base.astype(np.float64),
        "array, no dimension": np.array(1.5),
        "array, empty": np.zeros((0, 3)),
        "numpy scalar": np.float64(1.0),
        "numpy int": np.int64(1),
        "numpy bool": np.bool_(True),
        "numpy text": np.array(["a", "bc"]),
    }


def main():
    for name, value in PLAIN.items():
        print(f"{keys.digest(value)} {name}")
    print(f"{keys.result_key('train', 2, {'model:seed': 0, 'model:beta': 0.25})} key")


if __name__ == "__main__":
    main()
