"""Values: what goes into a record comes back the same, type by type."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datajuicer import Artifact, Literal, UsageError
from datajuicer.keys import digest
from datajuicer.store.arrays import arrays_from_bytes, arrays_to_bytes
from datajuicer.store.values import decode, describe, encode


def there_and_back(value):
    tree, arrays = encode(value)
    tree = json.loads(json.dumps(tree))
    return decode(tree, arrays_from_bytes(arrays_to_bytes(arrays)) if arrays else {}, Artifact)


scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=5)
)
scalars |= st.complex_numbers()
trees = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(alphabet="ab$", max_size=2) | st.integers(), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(trees)
def test_plain_values_keep_value_and_type(value):
    assert digest(there_and_back(value)) == digest(value)


DTYPES = [
    "bool",
    "int8",
    "uint16",
    "int64",
    "float16",
    "float32",
    "float64",
    "complex64",
    "complex128",
    "<U3",
    "S2",
    "datetime64[s]",
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (0, 2), (3,), (2, 3)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_keep_dtype_shape_and_content(dtype, shape, order):
    array = np.asarray(np.arange(math.prod(shape)).reshape(shape).astype("int64").astype(dtype), order=order)
    back = there_and_back({"deep": [array]})["deep"][0]
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    assert digest(back) == digest(array)


def test_views_and_foreign_byte_orders():
    base = np.arange(24.0).reshape(4, 6)
    for array in (base[:, ::2], base.T, base[::-1], base.astype(">f8")):
        back = there_and_back(array)
        np.testing.assert_array_equal(back, array)
        assert back.dtype.byteorder in "=<"


def test_what_comes_back_can_be_written_to():
    back = there_and_back(np.zeros(3))
    back[0] = 1
    assert back[0] == 1


def test_numpy_scalars_and_jax_arrays():
    back = there_and_back((np.float32(0.1), np.int16(-3), np.bool_(True), np.float64("nan")))
    assert [type(v) for v in back[:3]] == [np.float32, np.int16, np.bool_]
    assert back[0] == np.float32(0.1)
    jnp = pytest.importorskip("jax.numpy")
    back = there_and_back({"w": jnp.ones((2, 2), "bfloat16"), "b": jnp.zeros(3)})
    assert back["w"].dtype == jnp.bfloat16.dtype
    assert type(back["b"]) is np.ndarray


def test_sets_paths_and_data_text():
    assert there_and_back({1, "a"}) == {1, "a"}
    assert there_and_back(frozenset({2})) == frozenset({2})
    assert there_and_back(Literal("{a}")) == "{a}"


def test_artifacts_are_known_by_content():
    one, other = Artifact("w", "aa", 3), Artifact("v", "aa", 3)
    assert there_and_back({"w": one}) == {"w": one}
    assert digest(one) == digest(other) != digest(Artifact("w", "bb", 3))


class Odd:
    pass


@pytest.mark.parametrize("value", [Odd(), {"a": [Odd()]}, np.array([None]), lambda: 0])
def test_what_has_no_place_in_a_record_is_told(value):
    with pytest.raises(UsageError, match=r"the result.*(saver|dtype)"):
        encode(value)


def test_descriptions_are_for_people():
    described = describe({"f": digest, "small": np.array([1.5, 2]), "large": np.zeros(1000), "odd": Odd()})
    text = json.dumps(described)
    assert "datajuicer.keys.encoding:digest" in text
    assert "[1.5, 2.0]" in text
    assert '"float64", [1000]' in text
    assert "Odd" in text


def test_empty_text_of_numpy_comes_back():
    tree, arrays = encode({"t": np.str_("")})
    back = decode(json.loads(json.dumps(tree)), arrays, Artifact)["t"]
    assert type(back) is np.str_
    assert back == ""
