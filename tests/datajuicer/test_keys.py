"""Keys: pinned digests, what is equal and what is not, and the same in every process and Python version.

The golden digests hold for stored results: if one of them changes, every result in every store is lost to its
users.
"""

import enum
import functools
import importlib.util
import itertools
import os
import shutil
import subprocess
import sys
from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import datajuicer as dj
from datajuicer import UsageError, cachable, keys
from datajuicer.keys import digest, identity, result_key

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

GOLDEN = {
    "none": "d1be4f73c1aa7653a45c1f0d86f9085fcf213703",
    "true": "ad9b992f7245d62400a4082826b875c56c4e4663",
    "one": "c389fc10f8954e93bff22898c2c1baada0d81ca3",
    "one as float": "da6ab7720b1cf16c6fba3e09f6278cb1991b3a1e",
    "one as text": "9e4c411ce1303f840f75ec8de0bc8000d260574d",
    "zero": "923b5573401e6514b1b5c98b1fe47e807dd3e479",
    "minus zero": "c7dc32fb1d05e0a7ebe01cd9724243a64f1c48df",
    "nan": "d9cdb39681e213d26035f609572bd698fa4c8245",
    "other nan": "d9cdb39681e213d26035f609572bd698fa4c8245",
    "infinity": "949fe60379d89e73f479f6022173a8fe68b388cf",
    "large": "ac974bed2101439a439e380c011ff44b5e35cf48",
    "negative": "9afb80df8123f7cbf801442e63be9a2d79ef81ce",
    "text": "003a3dc063f3081c7bca7e247e9dbc5ea2e7146e",
    "bytes": "47960f0dd9fb27a8986b0e4f72e188cc017a12f7",
    "complex": "ee41549fa5aee60d2dc9abee4194574ba070c4c3",
    "list": "267f5a92188a2ec48f36ae60028c753374206401",
    "tuple": "a3ba8e6a7aeff665714d5fad582086cb3aa4eb7c",
    "nested": "c0fd5faac6cf174904e03407e158456727671b5e",
    "nested, other order": "c0fd5faac6cf174904e03407e158456727671b5e",
    "set": "08562a2a2c92fec0d05b5ede311c091d239fb216",
    "path": "b77e7f003f4f630fab48ec291412758769bd6693",
    "enum": "ce3be811590d88e42423a3b56e7920916eaee07e",
    "dataclass": "859e467c12f236b2f67b3b96fb50ac98afa7f02b",
    "function": "2abb950b61e6084bab2de0e3e1ecc2cc2594d843",
    "class": "0889c49a91e9026d0448fcc5cd6a498a9b876955",
    "builtin": "6988e3ba1693b43d312f721313f5590f7b94d9f6",
    "array": "a63e68d9a4f1b292569452e9146b8d24d1dc760d",
    "array, Fortran order": "a63e68d9a4f1b292569452e9146b8d24d1dc760d",
    "array, strided": "a63e68d9a4f1b292569452e9146b8d24d1dc760d",
    "array, big-endian": "a63e68d9a4f1b292569452e9146b8d24d1dc760d",
    "array, other shape": "e068116d80a04827c48ef5dbfee9347c9fcbbdeb",
    "array, other dtype": "880293cb2c1e8d59be874cf69ade37a289d97d2b",
    "array, no dimension": "5d70bd900e5448b46b0f49eeceee5930e6f7a30b",
    "array, empty": "0c4023d2be646f6c53071536970428eefcadc622",
    "numpy scalar": "fb400f9dbbf7bb0473d13de29c550fa06139a276",
    "numpy int": "5a4d417d3cebd25dea6fdb8826cb9e455e8cbaf3",
    "numpy bool": "06b6227be20afa68d3c31977274bf8352389a7f5",
    "numpy text": "afb88b70daf95b397e3746e7dc76c76768b25366",
}

GOLDEN_KEY = "353c8a24c27b712b8de77c115ea77463ff64b310"


def load_vectors():
    spec = importlib.util.spec_from_file_location("vectors", HERE / "vectors.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["vectors"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


VECTORS = load_vectors()
VALUES = {**VECTORS.PLAIN, **VECTORS.arrays()}

EQUAL = [
    {"nan", "other nan"},
    {"nested", "nested, other order"},
    {"array", "array, Fortran order", "array, strided", "array, big-endian"},
]


@pytest.mark.parametrize("name", VALUES)
def test_golden_digests(name):
    assert digest(VALUES[name]) == GOLDEN[name]


def test_golden_key():
    assert result_key("train", 2, {"model:seed": 0, "model:beta": 0.25}) == GOLDEN_KEY
    assert result_key("train", 2, {"model:beta": 0.25, "model:seed": 0}) == GOLDEN_KEY


def test_only_what_is_equal_shares_a_digest():
    for one, other in itertools.combinations(VALUES, 2):
        assert (GOLDEN[one] == GOLDEN[other]) == any({one, other} <= group for group in EQUAL), (one, other)


def test_name_and_version_are_part_of_the_key():
    made = {result_key(f, v, {"a": 1}) for f in ("f", "g") for v in (None, 1, 1.0, "1", True)}
    assert len(made) == 10


def other_pythons():
    found = [shutil.which(f"python3.{minor}") for minor in (12, 13, 14)]
    found += map(str, sorted(Path.home().glob(".pyenv/versions/3.1[1-9]*/bin/python")))
    return [p for p in dict.fromkeys(found) if p and works(p)]


def works(python):
    return subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0


def digests_of_process(python, **environment):
    command = [python, str(HERE / "vectors.py")]
    settings = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(command, env=settings, capture_output=True, text=True, check=True).stdout


def test_the_same_in_every_process_hash_seed_and_locale():
    expected = "".join(f"{GOLDEN[n]} {n}\n" for n in VECTORS.PLAIN) + f"{GOLDEN_KEY} key\n"
    assert digests_of_process(sys.executable, PYTHONHASHSEED="1") == expected
    assert digests_of_process(sys.executable, PYTHONHASHSEED="2", LC_ALL="C", PYTHONUTF8="1") == expected


@pytest.mark.parametrize(
    "python", other_pythons() or [pytest.param("", marks=pytest.mark.skip("no other Python"))]
)
def test_the_same_under_every_python_version(python):
    expected = "".join(f"{GOLDEN[n]} {n}\n" for n in VECTORS.PLAIN) + f"{GOLDEN_KEY} key\n"
    assert digests_of_process(python) == expected


scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=5)
)
trees = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


def typed(value):
    """An independent notion of equality: the value with the type of every part beside it."""
    if isinstance(value, float):
        return ("float", "nan" if value != value else value.hex())
    if isinstance(value, (list, tuple)):
        return (type(value).__name__, tuple(map(typed, value)))
    if isinstance(value, dict):
        return ("dict", frozenset((typed(k), typed(v)) for k, v in value.items()))
    return (type(value).__name__, value)


@given(trees, trees)
def test_digests_are_equal_exactly_when_values_are(one, other):
    assert (digest(one) == digest(other)) == (typed(one) == typed(other))


@given(st.dictionaries(st.text(max_size=3), scalars, max_size=5), st.randoms())
def test_the_order_of_a_dict_does_not_matter(value, random):
    items = list(value.items())
    random.shuffle(items)
    assert digest(dict(items)) == digest(value) == digest(OrderedDict(items))


def test_jax_arrays_are_arrays_and_keys_have_their_implementation():
    jax = pytest.importorskip("jax")
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert digest(jax.numpy.asarray(values)) == digest(values)
    key = jax.random.key(0)
    assert digest(key) == digest(jax.random.key(0)) != digest(jax.random.key(1))
    assert digest(key) != digest(jax.random.key(0, impl="rbg")) != digest(jax.random.key_data(key))
    assert digest(jax.numpy.ones(2, "bfloat16")) != digest(jax.numpy.ones(2, "float16"))


def test_every_element_of_a_large_array_counts():
    one = np.zeros(100_000)
    other = one.copy()
    other[50_000] = 1e-12  # printed, both are [0. 0. 0. ... 0. 0. 0.]
    assert digest(one) != digest(other)


Pair = namedtuple("Pair", "x y")


class Plain:
    pass


def closure():
    return lambda: 1


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"model": {"net": Plain()}}, r"model\.net is of type .*Plain.*Leave it out.*encoders"),
        ({"model": [1, lambda: 0]}, r"model\[1\] is a lambda.*def at the top level"),
        ({"f": closure()}, "f is a lambda"),
        ({"x": np.array([1, None])}, "x has dtype object"),
        ({"x": np.zeros(2, [("a", int)])}, "x is a structured array"),
        ({"x": np.ma.array([1])}, "x is of type numpy.ma"),
        ({"m": [].append}, "m is of type builtins.builtin_function_or_method"),
        ({"x": object()}, "x is of type builtins.object"),
    ],
)
def test_what_cannot_be_keyed_says_where_what_and_what_to_do(value, message):
    with pytest.raises(UsageError, match=message):
        result_key("f", None, value)


def test_a_value_that_contains_itself_is_told():
    circle = []
    circle.append(circle)
    with pytest.raises(UsageError, match="contains itself"):
        result_key("f", None, {"x": circle})


def test_encoders_open_the_table():
    encoders = {Plain: lambda value: "plain"}
    assert result_key("f", None, {"x": Plain()}, encoders) == result_key("f", None, {"x": Plain()}, encoders)
    assert result_key("f", None, {"x": Plain()}, encoders) != result_key("f", None, {"x": "plain"}, encoders)


def test_local_classes_have_no_lasting_name():
    @dataclass
    class Local:
        x: int

    class Kind(enum.Enum):
        A = 1

    for value in (Local(1), Kind.A):
        with pytest.raises(UsageError, match="inside a function"):
            digest(value)


def test_named_tuples_keep_their_class():
    assert digest(Pair(1, 2)) != digest((1, 2))
    assert digest(Pair(1, 2)) == digest(Pair(1, 2))


def test_cachables_are_known_by_table_name_and_version():
    assert digest(cachable()(load_vectors)) == digest(cachable()(load_vectors))
    assert digest(cachable(version=1)(load_vectors)) != digest(cachable(version=2)(load_vectors))


def test_identity_knows_functions_by_their_code():
    def make(n):
        return lambda x: x + n

    assert identity(make(1)) == identity(make(1))
    assert identity(make(1)) != identity(make(2))
    assert identity([lambda: 1]) != identity([lambda: 2])
    one, other = Plain(), Plain()
    assert identity({"p": one}) == identity({"p": one})
    assert identity({"p": one}) != identity({"p": other})


def test_main_is_resolved_to_its_file():
    assert keys.module_name("os.path") == "os.path"
    program = "import datajuicer.keys as k\ndef f(): pass\nprint(k.lasting_name(f))"
    script = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert script.stdout.strip() == "__main__:f"


def _named_base(x):
    return x


def _scaled(k):
    @functools.wraps(_named_base)
    def scaled(x):
        return k * x

    return scaled


def _squared(function):
    @functools.wraps(function)
    def squared(x):
        return function(x) ** 2

    return squared


@_squared
def _decorated(x):
    return x


def test_a_borrowed_name_is_no_lasting_name():
    with pytest.raises(UsageError, match="no lasting name"):
        digest(_scaled(2))
    assert digest(_decorated) == digest(_decorated) != digest(_named_base)
    assert len(dj.make_unique([{"f": _scaled(2)}, {"f": _scaled(3)}])) == 2


def test_functions_that_differ_in_their_defaults_are_two():
    def made(k):
        def h(x, *, k=k):
            return k * x

        return h

    assert len(dj.make_unique([{"f": made(2)}, {"f": made(3)}])) == 2


def test_classes_that_make_keys_are_told_by_their_names():
    assert digest(dj.Artifact) != digest(dj.Cachable)


@functools.lru_cache
def remembered(x):
    return x


@functools.lru_cache
def remembered_too(x):
    return x


def test_what_a_decorator_left_under_a_name_is_keyed_by_it():
    assert keys.digest(remembered) != keys.digest(remembered_too)
    assert keys.digest(remembered) == keys.digest(remembered)
    with pytest.raises(UsageError, match="cannot be keyed"):
        keys.digest(functools.lru_cache(lambda x: x))
