"""Values that share a name, a field or a printed form, yet are not equal: what keys tell apart."""

import datetime as dt
import enum
import functools
import operator
import subprocess
import sys
import types
import uuid
from collections import Counter, OrderedDict, namedtuple
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

import numpy as np
import pytest

import datajuicer as dj
from datajuicer import UsageError
from datajuicer.keys import digest, identity, key_and_omitted, result_key

UTC = dt.UTC


def halve(x):
    return x / 2


def double(x):
    return 2 * x


CANONICAL = {
    "date": dt.date(2020, 1, 2),
    "other date": dt.date(2020, 1, 3),
    "datetime": dt.datetime(2020, 1, 2),
    "datetime, microseconds": dt.datetime(2020, 1, 2, microsecond=1),
    "datetime, utc": dt.datetime(2020, 1, 2, tzinfo=UTC),
    "datetime, zone": dt.datetime(2020, 1, 2, tzinfo=ZoneInfo("UTC")),
    "time": dt.time(1, 2),
    "timedelta": dt.timedelta(days=1),
    "other timedelta": dt.timedelta(seconds=1),
    "decimal": Decimal("1.0"),
    "decimal, more digits": Decimal("1.00"),
    "decimal nan": Decimal("nan"),
    "fraction": Fraction(1, 3),
    "uuid": uuid.UUID(int=1),
    "range": range(3),
    "other range": range(0, 3, 2),
    "slice": slice(3),
    "other slice": slice(0, 3),
    "bytearray": bytearray(b"a"),
    "dtype": np.dtype("float32"),
    "other dtype": np.dtype("float64"),
    "dtype, big-endian": np.dtype(">f4"),
    "dtype, text": np.dtype("U3"),
    "dtype, wider text": np.dtype("U4"),
    "dtype, days": np.dtype("M8[D]"),
    "scalar type": np.float32,
    "ufunc": np.tanh,
    "other ufunc": np.sin,
    "partial": functools.partial(halve, 1),
    "partial of another": functools.partial(double, 1),
    "partial, other argument": functools.partial(halve, 2),
    "partial, named": functools.partial(halve, x=1),
}


def test_values_with_a_canonical_form_are_told_apart():
    assert len({digest(value) for value in CANONICAL.values()}) == len(CANONICAL)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (range(0, 5, 2), range(0, 6, 2)),
        (range(3, 3), range(0)),
        (Fraction(2, 6), Fraction(1, 3)),
        (dt.timedelta(minutes=1), dt.timedelta(seconds=60)),
        (functools.partial(halve, x=1), functools.partial(halve, x=1)),
        (np.dtype("f4"), np.dtype(np.float32)),
    ],
)
def test_equal_values_share_a_key_however_they_are_written(one, other):
    assert digest(one) == digest(other)


def test_keys_of_canonical_forms_are_pinned():
    days = {"d": dt.date(2020, 1, 2), "r": range(3)}
    numbers = {"t": np.dtype("f4"), "n": Decimal("0.1"), "u": np.tanh}
    assert result_key("f", None, days) == ("14c4a63faa120c0862dfaa5bc21704056c21ca76")
    assert result_key("f", None, numbers) == ("c7f544b601caae3e13746f456aebc9f4f3a2984c")


@pytest.mark.parametrize(
    "value",
    [
        functools.partial(lambda x: x, 1),
        np.dtype([("a", int)]),
        np.vectorize(halve),
        type("Day", (dt.date,), {})(2020, 1, 1),
    ],
    ids=["partial of a lambda", "structured dtype", "vectorized", "subclass of date"],
)
def test_what_has_no_canonical_form_is_refused(value):
    with pytest.raises(UsageError, match=r"cannot be keyed|leads to another"):
        result_key("f", None, {"x": value})


# -- functions and classes as settings


@dj.cachable(table_name="apply_function")
def apply(f, x):
    return f(x)


LOOP = []
for k in (1, 2, 3):

    def scale(x, k=k):
        return k * x

    LOOP.append(scale)


def act(x):  # pyright: ignore[reportRedeclaration]
    return x


first_act = act


def act(x):
    return -x


def test_functions_of_a_loop_are_refused_and_the_one_with_the_name_is_keyed(tmp_path):
    with pytest.raises(UsageError, match=r"point 0.*scale.*leads to another function.*name of its own"):
        dj.run(dj.split([{}], "f", LOOP), apply, cache_dir=tmp_path)("{f}", 10)
    assert not list(tmp_path.iterdir())
    assert dj.run(dj.split([{}], "f", LOOP[2:]), apply, cache_dir=tmp_path)("{f}", 10) == [30]


def test_a_function_that_was_defined_again_is_refused(tmp_path):
    with pytest.raises(UsageError, match="act, but that is no lasting name"):
        dj.run([{"f": first_act}], apply, cache_dir=tmp_path)("{f}", 10)
    assert dj.run([{"f": act}], apply, cache_dir=tmp_path)("{f}", 10) == [-10]


def test_executed_functions_and_dynamic_classes_have_no_lasting_name():
    space = {"__name__": "nowhere_to_be_found"}
    exec("def f(x): return x\nclass Net: pass", space)
    for value in (space["f"], space["Net"], type("Net", (), {"__module__": __name__})):
        with pytest.raises(UsageError, match="leads to another"):
            result_key("f", None, {"x": value})


def test_classes_of_the_interpreter_keep_their_names():
    assert digest(type(None)) != digest(types.FunctionType)
    assert digest(int) != digest(float)


# -- enums


def net(value):
    return enum.Enum("Net", {"SMALL": value}, module=__name__, qualname="Net").SMALL


def test_a_key_names_the_member_and_the_record_its_value():
    one, omitted = key_and_omitted("f", None, {"n": net(8)})
    other, of_other = key_and_omitted("f", None, {"n": net(64)})
    assert one == other
    assert (omitted, of_other) == ({f"{__name__}:Net.SMALL": [8]}, {f"{__name__}:Net.SMALL": [64]})


# -- state beyond fields and items


@dataclass
class Sgd:
    lr: float


class Momentum(Sgd):
    def __init__(self, lr, beta):
        super().__init__(lr)
        self.beta = beta


class Nesterov(Sgd):
    pass


class Slotted(Sgd):
    __slots__ = ("beta",)

    def __init__(self, lr, beta):
        super().__init__(lr)
        self.beta = beta


@dataclass
class Remembering:
    lr: float

    @functools.cached_property
    def half(self):
        return self.lr / 2


@dataclass
class Derived:
    lr: float

    def __post_init__(self):
        self.half = self.lr / 2


@dataclass
class Table(dict):
    strict: bool = False

    def __hash__(self):  # pyright: ignore
        return 0


class Conf(dict):
    strict = False


class Pair(namedtuple("Pair", "a b")):
    pass


def with_state(value, **state):
    vars(value).update(state)
    return value


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Momentum(1.0, 0.0), Momentum(1.0, 0.5)),
        (Slotted(1.0, 0.0), Slotted(1.0, 0.5)),
        (Conf(x=1), with_state(Conf(x=1), strict=True)),
        (Pair(1, 2), with_state(Pair(1, 2), c=3)),
        (with_state(Table(), x=1), with_state(Table(), x=2)),
    ],
    ids=["dataclass", "slots", "dict", "named tuple", "dataclass and dict"],
)
def test_state_that_a_subclass_adds_tells_values_apart(one, other):
    grid = dj.split([{}], "v", [one, other, one])
    assert len(dj.make_unique(grid)) == 2
    assert dj.query(grid, "v", group_by="v", reduction=len) == ([one, other], [2, 1])
    assert key_and_omitted("f", None, {"v": one})[1] != key_and_omitted("f", None, {"v": other})[1]


def test_a_dataclass_that_is_a_dict_too_is_keyed_with_its_items():
    full = Table()
    full["x"] = 1
    assert digest(full) != digest(Table())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Sgd(1.0), Sgd(1.0)),
        (Nesterov(1.0), Nesterov(1.0)),
        (Derived(1.0), Derived(1.0)),
        (OrderedDict(a=1, b=2), {"b": 2, "a": 1}),
        (Counter("aab"), {"a": 2, "b": 1}),
        (Conf(x=1), {"x": 1}),
    ],
)
def test_equal_state_stays_one_result(one, other):
    assert digest(one) == digest(other)
    assert result_key("f", None, {"x": one}) == result_key("f", None, {"x": other})


def test_what_a_cached_property_keeps_is_no_state():
    read = Remembering(1.0)
    assert read.half == 0.5
    assert digest(read) == digest(Remembering(1.0))


def test_state_that_has_no_key_is_refused():
    with pytest.raises(UsageError, match=r"opt\.beta is of type builtins\.object"):
        result_key("f", None, {"opt": Momentum(1.0, object())})


# -- dicts that answer to any attribute


class Attributes(dict):
    def __getattr__(self, name):
        return self[name]


class Growing(dict):
    def __getattr__(self, name):
        return self.setdefault(name, Growing())


class Absent(dict):
    __getattr__ = dict.get


class Mirrored(dict):
    def __init__(self, **items):
        super().__init__(**items)
        self.__dict__ = self


class Copied(dict):
    def __init__(self, **items):
        super().__init__(**items)
        self.__dict__.update(items)


@pytest.mark.parametrize("kind", [Attributes, Growing, Absent, Mirrored, Copied])
def test_attribute_dicts_are_keyed_as_dicts_and_never_written_to(kind, tmp_path):
    value, beside = kind(x=1), kind(y=2)

    @dj.cachable(table_name="reads")
    def reads(c):
        return c["x"] * beside["y"] // 2

    assert dj.run([{"c": value}], reads, cache_dir=tmp_path)("{c}") == [1]
    assert dict(value) == {"x": 1}
    assert digest(value) == digest({"x": 1}) != digest(kind(x=2))
    assert dj.Grid([{"c": value}])._repr_html_()
    assert (dict(value), dict(beside)) == ({"x": 1}, {"y": 2})


def test_identity_tells_redefined_functions_apart_that_keys_refuse():
    assert identity({"f": first_act}) != identity({"f": act})
    assert identity({"f": first_act}) == identity({"f": first_act})


def test_canonical_forms_are_the_same_in_another_process():
    program = (
        "import datetime, functools, operator, numpy as np\nfrom datajuicer.keys import digest\n"
        "values = [datetime.date(2020, 1, 2), range(3), np.dtype('f4'), functools.partial(operator.add, 1)]\n"
        "print(digest(values))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    here = digest([dt.date(2020, 1, 2), range(3), np.dtype("f4"), functools.partial(operator.add, 1)])
    assert done.stdout.strip() == here
