"""Results of many types come back equal and of the same type; nothing is imported or unpickled."""

import collections
import datetime as dt
import decimal
import enum
import fractions
import json
import sys
import types
import uuid
import zoneinfo
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pytest

import datajuicer as dj
from datajuicer import Artifact, RunError, UsageError
from datajuicer.store import codecs
from datajuicer.store.arrays import arrays_from_bytes, arrays_to_bytes
from datajuicer.store.values import decode, encode


def there_and_back(value):
    tree, arrays = encode(value)
    return decode(
        json.loads(json.dumps(tree)), arrays_from_bytes(arrays_to_bytes(arrays)) if arrays else {}, Artifact
    )


Fit = collections.namedtuple("Fit", "slope offset")


class Kind(enum.Enum):
    SMALL = 8
    LARGE = "x"


class Level(enum.IntEnum):
    HIGH = 3


class Options(enum.Flag):
    A = 1
    B = 2


@dataclass(frozen=True)
class Point:
    x: float
    rest: tuple = ()
    hidden: int = field(default=0, init=False)

    def __post_init__(self):
        raise_if_told()

    @cached_property
    def double(self):
        return 2 * self.x


def raise_if_told():
    if raise_if_told.told:
        raise AssertionError("no code of the class runs when a result is read")


raise_if_told.told = False


@dataclass
class Renamed:
    __key_name__ = "lasting.name:Renamed"
    a: int


EXACT = [
    dt.date(2026, 11, 27),
    dt.datetime(2026, 11, 27, 3, 4, 5, 6),
    dt.datetime(2026, 11, 27, 3, 4, tzinfo=dt.UTC),
    dt.datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=zoneinfo.ZoneInfo("Europe/Zurich")),
    dt.datetime(2026, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=-5), "EST")),
    dt.time(3, 4, 5),
    dt.timedelta(days=-1, microseconds=7),
    decimal.Decimal("1.10"),
    decimal.Decimal("-Infinity"),
    fractions.Fraction(1, 3),
    range(1, 10, 3),
    slice(None, 3),
    uuid.UUID(int=7),
    bytearray(b"ab"),
    collections.OrderedDict([("b", 1), (2, "a")]),
    collections.Counter({"a": 0, "b": 2}),
    collections.deque([1, 2], maxlen=2),
    Fit(1.5, [2]),
    Kind.SMALL,
    Kind.LARGE,
    Level.HIGH,
    Options.A | Options.B,
    Point(1.0, (dt.date(1, 1, 1), Kind.SMALL)),
    Renamed(3),
    {"nested": [Fit(Point(2.0), {Kind.SMALL}), {dt.date(1, 1, 1): range(3)}]},
    np.longdouble(1) / 3,
    np.void(b"ab"),
    {1, 2.5},
]


@pytest.mark.parametrize("value", EXACT, ids=repr)
def test_results_come_back_equal_and_of_the_same_type(value):
    back = there_and_back(value)
    assert type(back) is type(value)
    assert back == value
    if isinstance(value, dt.datetime):
        assert (back.fold, back.tzname(), back.utcoffset()) == (value.fold, value.tzname(), value.utcoffset())


def test_no_code_of_a_class_runs_when_it_is_read(monkeypatch):
    value = Point(1.0)
    value.double
    tree, _ = encode(value)
    monkeypatch.setattr(raise_if_told, "told", True)
    assert decode(tree, {}, Artifact) == value


def test_extended_precision_is_stored_without_its_padding():
    array = np.array([1, 2], np.longdouble) / 3
    if array.itemsize == 16 and np.finfo(array.dtype).nmant == 63:
        array.view(np.uint8)[10:16] = 7
        assert encode(array)[1]["0"].reshape(2, 16)[:, 10:].max() == 0
    assert (there_and_back(array) == array).all()


@dataclass
class Sub(Renamed):
    pass


class Plain(Renamed):
    pass


@dataclass
class DictLike(dict):
    a: int = 0


def with_attribute():
    value = Renamed(1)
    value.more = 2
    return value


def of_a_class_in_a_function():
    @dataclass
    class Inner:
        a: int = 1

    return Inner()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (Plain(1), "no place in a record"),
        (with_attribute(), "the attribute 'more'"),
        (of_a_class_in_a_function(), "defined inside a function"),
        (object(), "no place in a record"),
        (dt.datetime(1, 1, 1, tzinfo=type("Zone", (dt.tzinfo,), {"utcoffset": lambda *_: None})()), "zone"),
    ],
    ids=["subclass", "attribute", "inner", "object", "zone"],
)
def test_what_would_be_lost_is_refused(value, message):
    with pytest.raises(UsageError, match=message):
        encode([value])


def test_a_result_that_would_come_back_as_another_is_refused(monkeypatch):
    class Odd:
        pass

    monkeypatch.setitem(codecs._BY_KIND, Odd, codecs.Codec("odd", Odd, id, lambda c: Odd()))
    monkeypatch.setitem(codecs._BY_NAME, "odd", codecs._BY_KIND[Odd])
    with pytest.raises(UsageError, match="would not come back"):
        encode(Odd())


def test_a_class_moves_with_its_key_name_and_not_without(monkeypatch):
    tree, _ = encode([Renamed(3)])
    plain, _ = encode([Sub(3)])
    here = sys.modules[__name__]
    elsewhere = types.ModuleType("elsewhere_now")
    elsewhere.Renamed, elsewhere.Sub = Renamed, Sub
    monkeypatch.setitem(sys.modules, "elsewhere_now", elsewhere)
    monkeypatch.delattr(here, "Renamed")
    monkeypatch.delattr(here, "Sub")
    (back,) = decode(tree, {}, Artifact)
    assert type(back) is elsewhere.Renamed
    with pytest.raises(UsageError, match="is not imported here"):
        decode(plain, {}, Artifact)


@pytest.mark.parametrize(
    "name", ["antigravity:Flight", "subprocess:Popen", "os:system", "no.such:Thing", "builtins:eval", "x"]
)
def test_a_record_cannot_make_us_import_or_call_what_it_names(name):
    before = set(sys.modules)
    for kind in ("dataclass", "enum", "namedtuple"):
        content = {"class": name, "fields": {"args": "touch /tmp/x"}, "member": "a", "value": 1}
        with pytest.raises(UsageError, match=r"not imported here|something else now"):
            decode({"$value": [kind, content]}, {}, Artifact)
    assert set(sys.modules) == before


def test_fields_and_members_that_changed_are_told():
    tree, _ = encode(Renamed(3))
    tree["$value"][1]["fields"]["b"] = 1
    with pytest.raises(UsageError, match=r"fields have changed since \(b\)"):
        decode(tree, {}, Artifact)
    tree, _ = encode(Kind.SMALL)
    tree["$value"][1]["value"] = 9
    with pytest.raises(UsageError, match="does not have any more"):
        decode(tree, {}, Artifact)


def test_an_unknown_codec_is_told():
    with pytest.raises(UsageError, match="registers its codec"):
        decode({"$value": ["celsius", 3]}, {}, Artifact)


class Celsius:
    def __init__(self, degrees):
        self.degrees = degrees


def test_codecs_can_be_added_once(monkeypatch):
    monkeypatch.setattr(codecs, "_BY_KIND", dict(codecs._BY_KIND))
    monkeypatch.setattr(codecs, "_BY_NAME", dict(codecs._BY_NAME))
    codec = codecs.Codec("celsius", Celsius, lambda v: v.degrees, Celsius)
    codecs.register(codec)
    assert there_and_back([Celsius(3)])[0].degrees == 3
    for again in (codec, codecs.Codec("frame", Odd := type("Odd", (), {}), str, Odd)):
        with pytest.raises(UsageError, match="already"):
            codecs.register(again)


def frames():
    pd = pytest.importorskip("pandas")
    index = pd.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["k", None])
    frame = pd.DataFrame(
        {
            "f": [1.5, np.nan],
            "i": np.array([1, 2], np.int16),
            "t": ["a", None],
            "o": np.array([1, "b"], object),
            "d": pd.to_datetime(["2026-01-01", None]),
            "z": pd.to_datetime(["2026-01-01", "2026-07-01"]).tz_localize("Europe/Zurich"),
            "c": pd.Categorical(["u", None], categories=["v", "u"], ordered=True),
            "n": pd.array([1, None], dtype="Int64"),
            "b": pd.array([True, None], dtype="boolean"),
        }
    )
    twice = pd.DataFrame([[1, 2]], columns=["a", "a"])
    return pd, [frame, frame.set_index(index), twice, frame.iloc[:0], pd.DataFrame()]


def test_data_frames_come_back():
    pd, values = frames()
    for frame in values:
        pd.testing.assert_frame_equal(there_and_back(frame), frame)
        for name in set(frame.columns) - {"a"}:
            pd.testing.assert_series_equal(there_and_back({"s": frame[name]})["s"], frame[name])
        pd.testing.assert_index_equal(there_and_back(frame.index), frame.index)


def test_a_column_that_cannot_be_stored_is_named():
    pd = pytest.importorskip("pandas")
    with pytest.raises(UsageError, match=r"the result\['p'\].*period"):
        encode(pd.DataFrame({"p": pd.period_range("2026", periods=2, freq="Y")}))


def test_tables_show_fields_and_import_nothing(tmp_path):
    @dj.cachable(table_name="shown")
    def shown(n):
        return [Point(n, (np.zeros(2),)), Kind.SMALL, dt.date(2026, 1, n), range(n)][n - 1]

    dj.run(dj.split([{}], "n", [1, 2, 3, 4]), shown, cache_dir=tmp_path)("{n}")
    frame = dj.to_dataframe(tmp_path / "shown").sort_values("n")
    expected = [{"x": 1, "rest": ("float64[2]",), "hidden": 0}, "Kind.SMALL", dt.date(2026, 1, 3), range(4)]
    assert frame["value"].tolist() == expected


# -- told in time


@pytest.mark.parametrize("workers", [1, 2])
def test_a_result_that_cannot_be_stored_stops_its_function_and_is_handed_over(tmp_path, workers):
    @dj.cachable(table_name="odd")
    def odd(n):
        with open(tmp_path / "ran", "a") as file:
            file.write("x")
        return memoryview(b"x") if n < 0 else {"n": n, "gen": iter([n])}

    grid = dj.split([{}], "n", range(60))
    with pytest.raises(RunError, match="no place in a record") as caught:
        dj.run(grid, odd, workers, cache_dir=tmp_path / "s", progress=False)("{n}")
    ran = len((tmp_path / "ran").read_text())
    assert 3 <= ran <= 3 + 2 * workers
    values = [value for value in caught.value.results if value is not None]
    assert [value["n"] for value in values] == list(range(len(values)))
    assert 3 <= len(values) <= ran
    assert len(caught.value.failures) == 60
    assert not any(failure.recorded for failure in caught.value.failures)
    assert "not computed, since results of odd cannot be stored" in caught.value.failures[-1].error
    assert dj.verify(dj.Store(tmp_path / "s")).sound == 0


def test_a_single_odd_value_stops_nobody(tmp_path):
    @dj.cachable(table_name="odd")
    def odd(n):
        return object() if n == 1 else n

    with pytest.raises(RunError, match="1 of 6 points failed") as caught:
        dj.run(dj.split([{}], "n", range(6)), odd, cache_dir=tmp_path)("{n}")
    assert type(caught.value.results[1]) is object
    assert caught.value.results[2:] == [2, 3, 4, 5]


def test_what_a_saver_cannot_save_is_handed_over_too(tmp_path):
    def save(folder, value):
        raise TypeError("cannot save")

    @dj.cachable(table_name="saved", saver=save, loader=lambda folder: None)
    def saved(n):
        return [n]

    with pytest.raises(RunError, match="cannot save") as caught:
        dj.run(dj.split([{}], "n", range(9)), saved, cache_dir=tmp_path)("{n}")
    assert caught.value.results == [[0], [1], [2], *[None] * 6]
    with pytest.raises(RunError) as caught:
        dj.cached(saved, tmp_path)(7)
    assert caught.value.results == [[7]]


def test_dataclasses_of_a_script_come_back_from_workers(run_script):
    out = run_script(
        """
import collections, dataclasses, enum
import datajuicer as dj
Fit = collections.namedtuple("Fit", "a b")
class Kind(enum.Enum):
    ONE = 1
@dataclasses.dataclass
class Config:
    n: int
    kind: Kind
@dj.cachable()
def fit(n):
    return Fit(Config(n, Kind.ONE), n)
for workers in (2, 1):
    results = dj.run(dj.split([{}], "n", [1, 2]), fit, workers, progress=False)("{n}")
    print(results == [Fit(Config(n, Kind.ONE), n) for n in (1, 2)], len(dj.to_dataframe("sessions/fit")))
"""
    )
    assert out.split() == ["True", "2", "True", "2"]
