"""Stores in layers: reads fall through, all else happens in the first; those below stay as they are."""

import errno
import os
import pickle
import subprocess
import sys
import warnings
from hashlib import blake2b, sha256
from pathlib import Path

import numpy as np
import pytest

import datajuicer as dj
from datajuicer import Store, StoreWarning, UsageError
from datajuicer.running.lookup import RunMode
from datajuicer.store import claims, layers, reading
from datajuicer.store.record import LAYER, format_record, parse_record

GRID = dj.split([{}], "n", range(3))


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """What seems corrupt is looked at again at once."""
    monkeypatch.setattr(reading, "SECOND_LOOK_YOUNG", (0.01,))
    monkeypatch.setattr(reading, "SECOND_LOOK", (0.01,))


@pytest.fixture(autouse=True)
def made_by(monkeypatch):
    """Says who computes: it stands in each result, so that a test sees where one comes from."""
    monkeypatch.setenv("MADE_BY", "below")
    return lambda who: monkeypatch.setenv("MADE_BY", who)


@dj.cachable(table_name="plain")
def plain(n):
    by = os.environ["MADE_BY"]
    if by.startswith("fails") and n == 1:
        raise ValueError(f"planted {by}")
    return {"n": n, "by": by}


@dj.cachable(table_name="trained")
def trained(n, job):
    (job.folder / "weights.bin").write_bytes(bytes([n] * 5))
    return {"weights": job.artifact("weights.bin"), "arrays": np.full(3, n), "by": os.environ["MADE_BY"]}


@dj.cachable(table_name="pickled", saver="pickle", loader="pickle")
def pickled(n):
    return {n, os.environ["MADE_BY"]}


@dj.cachable(table_name="evaluated")
def evaluated(model):
    return [int(model["arrays"].sum()), model["weights"].path().read_bytes()[0], os.environ["MADE_BY"]]


FUNCTIONS = [plain, trained, pickled]


def tree(root: Path) -> dict[str, tuple[int, int, str]]:
    """Every file and folder of a store, with its mode, time and content."""
    return {
        path.relative_to(root).as_posix(): (
            path.stat().st_mode,
            path.stat().st_mtime_ns,
            sha256(path.read_bytes()).hexdigest() if path.is_file() else "",
        )
        for path in [root, *root.rglob("*")]
    }


def change_modes(root: Path, mode: int) -> None:
    for path in [root, *root.rglob("*")]:
        path.chmod(path.stat().st_mode & 0o555 if mode == 0o555 else path.stat().st_mode | 0o200)


class Stack:
    """A store over another one that is only read, and that must be the same at the end."""

    def __init__(self, folder: Path):
        self.above, self.below = folder / "above", folder / "below"

    def seal(self) -> None:
        change_modes(self.below, 0o555)
        self.sealed = tree(self.below)

    def store(self) -> Store:
        return Store(self.above, below=[self.below])

    def run(self, function, *numbers, mode: RunMode = "normal", **how):
        grid = [{"n": n} for n in numbers] or GRID
        return dj.run(grid, function, run_mode=mode, cache_dir=self.store(), progress=False, **how)("{n}")

    def count(self, function) -> str:
        return str(dj.status(GRID, function, self.store())("{n}"))

    def records(self, root: Path) -> list[Path]:
        return [
            path for path in root.glob("*/??/*.json") if path.parts[-3] not in ("quarantine", "campaigns")
        ]


@pytest.fixture
def unsealed(tmp_path):
    """Three results of each function below, which a test may still damage."""
    stack = Stack(tmp_path)
    for function in FUNCTIONS:
        dj.run(GRID, function, cache_dir=stack.below)("{n}")
    yield stack
    assert tree(stack.below) == stack.sealed
    change_modes(stack.below, 0o755)


@pytest.fixture
def stack(unsealed, made_by):
    unsealed.seal()
    made_by("above")
    return unsealed


# -- reading


def test_what_the_first_does_not_have_is_read_from_below(stack, quiet):
    assert [one["by"] for one in stack.run(plain)] == ["below"] * 3
    for n, one in enumerate(stack.run(trained, mode="load")):
        np.testing.assert_array_equal(one["arrays"], np.full(3, n))
        assert one["weights"].path().read_bytes() == bytes([n] * 5)
        assert one["weights"].path().is_relative_to(stack.below)
    assert stack.run(pickled, 2) == [{2, "below"}]
    assert stack.count(plain) == "3 done, 0 failed, 0 running, 0 missing"
    assert dj.cached(plain, stack.store())(1)["by"] == "below"
    assert not stack.above.exists()  # nothing was computed, nothing is written


def test_what_is_computed_goes_to_the_first(stack, quiet):
    grid = [*GRID, {"n": 3}]
    assert dj.missing(grid, plain, stack.store())("{n}") == [{"n": 3}]
    assert "nearest result" in str(dj.explain(grid, plain, stack.store())("{n}")[0])
    assert [one["by"] for one in stack.run(plain, 0, 1, 2, 3)] == ["below"] * 3 + ["above"]
    assert len(stack.records(stack.above)) == 1
    assert len(list(stack.store().records("plain"))) == 4
    assert stack.store().functions() == ["pickled", "plain", "trained"]
    assert sorted(dj.to_dataframe(stack.store(), plain)["value.by"]) == ["above", *["below"] * 3]
    with pytest.raises(UsageError, match="not cachable; give the function whose results are in"):
        dj.to_dataframe(stack.store())


def test_a_result_above_counts_before_one_below(stack, quiet):
    stack.run(plain, 1, mode="force")
    assert [one["by"] for one in stack.run(plain, mode="load")] == ["below", "above", "below"]
    assert len(list(stack.store().records("plain"))) == 3
    (record,) = Store(stack.above).records("plain")
    assert stack.store().read("plain", record["key"])["value"]["by"] == "above"
    assert Store(stack.below).read("plain", record["key"])["value"]["by"] == "below"
    stack.run(trained, 1, mode="force", n_threads=2)
    (one,) = stack.run(trained, 1, mode="load")
    assert (one["by"], one["weights"].path().is_relative_to(stack.above)) == ("above", True)


def test_three_layers_are_read_from_the_first_down(stack, tmp_path, made_by, quiet):
    stack.run(plain, 1, mode="force")
    made_by("top")
    top = Store(tmp_path / "top", below=[stack.store()])
    assert top.below == (stack.above, stack.below)
    dj.run([{"n": 0}], plain, run_mode="force", cache_dir=top)("{n}")
    found = dj.run(GRID, plain, run_mode="load", cache_dir=top)("{n}")
    assert [one["by"] for one in found] == ["top", "above", "below"]


# -- failures


def test_a_failure_above_hides_no_result_below(stack, made_by):
    made_by("fails above")
    with pytest.raises(dj.RunError, match="planted fails above"):
        stack.run(plain, 1, mode="force")
    assert list(Store(stack.above).records("plain", "failed"))
    assert stack.count(plain) == "3 done, 0 failed, 0 running, 0 missing"
    assert [one["by"] for one in stack.run(plain)] == ["below"] * 3


def test_a_failure_below_is_reported_and_tried_again_above(tmp_path, made_by):
    stack = Stack(tmp_path)
    made_by("fails below")
    with pytest.raises(dj.RunError):
        dj.run(GRID, plain, cache_dir=stack.below)("{n}")
    stack.seal()
    made_by("fails above")
    with pytest.raises(dj.RunError, match="planted fails below"):
        stack.run(plain)
    with pytest.raises(dj.RunError, match="planted fails above"):
        stack.run(plain, mode="retry")
    with pytest.raises(dj.RunError, match="planted fails above"):
        stack.run(plain)
    assert stack.count(plain) == "2 done, 1 failed, 0 running, 0 missing"
    made_by("above")
    assert [one["by"] for one in stack.run(plain, mode="retry")] == ["fails below", "above", "fails below"]
    assert stack.count(plain) == "3 done, 0 failed, 0 running, 0 missing"
    assert tree(stack.below) == stack.sealed
    change_modes(stack.below, 0o755)


def test_a_result_below_of_other_code_is_replaced_above(tmp_path, load, result):
    source = "@dj.cachable(on_code_change='recompute', table_name='f')\ndef f(x):\n    return "
    result(load(tmp_path, f"{source}'old'\n", "layered"), tmp_path)
    stack = Stack(tmp_path)
    (tmp_path / "s").rename(stack.below)
    stack.seal()
    new = load(tmp_path, f"{source}'new'\n", "layered")["f"]
    assert str(dj.status({}, new, stack.store())(1)).startswith("0 done")
    assert dj.run({}, new, cache_dir=stack.store())(1) == ["new"]
    assert dj.run({}, new, cache_dir=stack.store(), run_mode="load")(1) == ["new"]
    assert tree(stack.below) == stack.sealed
    change_modes(stack.below, 0o755)


# -- damage below


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])


@pytest.mark.parametrize(
    ("function", "files"),
    [(plain, "plain/??/*.json"), (trained, "trained/??/*/value-*"), (pickled, "pickled/??/*/*/value.pickle")],
    ids=["records", "arrays", "pickles"],
)
def test_what_is_damaged_below_counts_as_missing_and_is_computed_above(unsealed, made_by, function, files):
    for path in unsealed.below.glob(files):
        cut(path)
    unsealed.seal()
    made_by("above")
    with pytest.warns(StoreWarning, match="its store is only read") as caught:
        assert unsealed.run(function, mode="load_any") == []
    assert len(caught) == 3
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # once
        assert unsealed.count(function) == "0 done, 0 failed, 0 running, 3 missing"
        assert not any(
            unsealed.store().has(function.table_name, path.stem) for path in unsealed.records(unsealed.below)
        )
        unsealed.run(function)
        assert unsealed.count(function) == "3 done, 0 failed, 0 running, 0 missing"
        assert ["above" in str(one) for one in unsealed.run(function, mode="load")] == [True] * 3
    assert (unsealed.above / ".gitignore").exists()


def test_damage_below_is_computed_above_in_the_run_that_meets_it(unsealed, made_by):
    cut(next(unsealed.below.glob("trained/??/*/value-*")))
    unsealed.seal()
    made_by("above")
    with pytest.warns(StoreWarning, match="its store is only read"):
        assert sorted(one["by"] for one in unsealed.run(trained, n_threads=2)) == ["above", "below", "below"]


def test_a_damaged_artifact_below_is_told_and_computed_again(unsealed, made_by):
    for path in unsealed.below.rglob("weights.bin"):
        path.write_bytes(b"other")
    unsealed.seal()
    made_by("above")
    (one,) = unsealed.run(trained, 1)
    with (
        pytest.warns(StoreWarning, match="only read"),
        pytest.raises(UsageError, match="counts as missing now"),
    ):
        one["weights"].path()
    assert unsealed.count(trained) == "2 done, 0 failed, 0 running, 1 missing"
    assert unsealed.run(trained, 1)[0]["weights"].path().read_bytes() == bytes([1] * 5)


def test_a_record_that_is_repaired_below_counts_again(unsealed, made_by):
    (path, *_) = unsealed.below.glob("plain/??/*.json")
    whole = path.read_bytes()
    cut(path)
    with pytest.warns(StoreWarning, match="only read"):
        assert len(unsealed.run(plain, mode="load_any")) == 2
    path.write_bytes(whole)
    unsealed.seal()
    assert unsealed.count(plain).startswith("3 done")
    assert [one["by"] for one in unsealed.run(plain)] == ["below"] * 3


def test_a_result_above_that_is_damaged_gives_way_to_the_one_below(stack):
    stack.run(plain, 1, mode="force")
    stack.run(trained, 1, mode="force")
    for path in (*stack.above.glob("plain/??/*.json"), *stack.above.glob("trained/??/*/value-*")):
        cut(path)
    with pytest.warns(StoreWarning, match="moved to"):
        assert [one["by"] for one in stack.run(plain)] == ["below"] * 3
    with pytest.warns(StoreWarning, match="moved to"):
        assert [one["by"] for one in stack.run(trained, 1)] == ["below"]


def test_where_nothing_can_be_noted_damage_below_is_still_told(unsealed, monkeypatch):
    cut(next(unsealed.below.glob("plain/??/*.json")))
    unsealed.seal()

    def refuse(*_):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(layers, "write_file", refuse)
    for _ in range(2):
        with pytest.warns(StoreWarning, match="cannot be noted: Read-only file system"):
            assert len(list(unsealed.store().records("plain"))) == 2


def test_a_record_cannot_say_where_it_lies(stack):
    stack.run(plain, 5)
    (path,) = stack.records(stack.above)
    record = parse_record(path.read_bytes())
    assert isinstance(record, dict)
    forged = format_record(record | {"LAYER": str(stack.below)}).replace(b'"LAYER"', f'"{LAYER}"'.encode())
    body = forged.rpartition(b',\n"checksum"')[0]
    path.write_bytes(sealed(body))
    with pytest.warns(StoreWarning, match=f"its field '{LAYER}'"):
        assert stack.store().read("plain", path.stem) is None


def sealed(body: bytes) -> bytes:
    """A record with the checksum that fits."""
    return body + b',\n"checksum": "' + blake2b(body, digest_size=20).hexdigest().encode() + b'"\n}\n'


# -- who else works on it


def test_claims_are_made_above_and_those_below_do_not_count(unsealed, made_by):
    (one, *_) = unsealed.records(unsealed.below)
    key, function = one.stem, one.parts[-3]
    assert claims.claim(Store(unsealed.below), function, "f" * 40) is not None
    unsealed.seal()
    store = unsealed.store()
    assert not claims.is_claimed(store, function, "f" * 40)
    assert "f" * 40 not in store.outcomes(function)
    held = claims.claim(store, function, key)
    assert held is not None
    assert held.path.is_relative_to(unsealed.above)
    assert store.outcomes(function)[key] == "done"
    held.release()


WORKER = """
import sys
from pathlib import Path
sys.path.insert(0, {here!r})
import datajuicer as dj
import points

store = dj.Store({above!r}, below=[{below!r}])
grid = dj.split([{{}}], "n", [n for n in range(20) if n not in (3, 7, 11, 15)])
print(sum(dj.run(grid, points.twenty, n_threads=2, cache_dir=store, progress=False)("{{n}}")))
"""


def test_two_processes_compute_each_point_that_is_nowhere_once(tmp_path, importable, starts):
    import points

    stack = Stack(tmp_path)
    dj.run(dj.split([{}], "n", [0, 1, 2]), points.twenty, cache_dir=stack.below)("{n}")
    stack.seal()
    before = starts()
    code = WORKER.format(
        here=str(Path(points.__file__).parent), above=str(stack.above), below=str(stack.below)
    )
    both = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    said = {process.communicate(timeout=120)[0].strip() for process in both}
    wanted = [n for n in range(20) if n not in (3, 7, 11, 15)]
    assert said == {str(sum(n * n for n in wanted))}
    assert starts() == before | {n: 1 for n in wanted if n > 2}
    assert len(stack.records(stack.above)) == len(wanted) - 3
    assert tree(stack.below) == stack.sealed
    change_modes(stack.below, 0o755)


def test_parents_below_are_read_where_their_children_are_computed(stack, quiet):
    models = dj.planned(GRID, trained, cache_dir=stack.store())("{n}")
    grid = [{"model": model} for model in models]
    found = dj.run(grid, evaluated, n_threads=2, cache_dir=stack.store(), progress=False)("{model}")
    assert found == [[3 * n, n, "above"] for n in range(3)]
    assert {path.parts[-3] for path in stack.records(stack.above)} == {"evaluated"}


# -- looking after it


def test_looking_after_a_store_leaves_those_below_alone(stack):
    stack.run(plain, 0, mode="force")
    stack.run(plain, 5)
    store = stack.store()
    assert dj.verify(store).sound == 2
    assert dj.gc(store, dry_run=False, older_than=0) == []
    assert len(dj.prune(store, function="plain", dry_run=False)) == 2
    assert [one["by"] for one in stack.run(plain, 0, mode="load")] == ["below"]  # it counts again
    assert len(dj.restore(store)) == 2
    assert [one["by"] for one in stack.run(plain, 0, mode="load")] == ["above"]


def test_a_copy_of_a_layered_store_has_all_that_it_shows(stack, tmp_path):
    stack.run(plain, 0, mode="force")
    stack.run(trained, 5)
    with pytest.warns(StoreWarning, match="3 results were left out"):
        copied = dj.copy_results(stack.store(), Store(tmp_path / "copy"))
    assert (len(copied.new), len(copied.pickled)) == (7, 3)
    found = dj.run(GRID, plain, run_mode="load", cache_dir=tmp_path / "copy")("{n}")
    assert [one["by"] for one in found] == ["above", "below", "below"]
    one = dj.run([{"n": 5}, {"n": 2}], trained, run_mode="load", cache_dir=tmp_path / "copy")("{n}")
    assert [len(it["weights"].path().read_bytes()) for it in one] == [5, 5]
    back = dj.copy_results(Store(tmp_path / "copy"), Store(tmp_path / "over", below=[stack.below]))
    assert (len(back.new), len(back.same), len(back.different)) == (1, 5, 1)


# -- opening


def test_a_store_is_a_store_and_travels(stack):
    store = stack.store()
    assert Store(store) == store == pickle.loads(pickle.dumps(store))
    assert Store(stack.above) != store
    assert Store(stack.above, stack.below) == Store(stack.above, str(stack.below)) == store
    fast = pickle.loads(pickle.dumps(dj.cached(plain, store)))
    assert fast(2)["by"] == "below"


@pytest.mark.parametrize(("below", "says"), [("nowhere", "there is no store"), ("here", "below itself")])
def test_what_cannot_lie_below_is_one_sentence(tmp_path, below, says):
    (tmp_path / "here").mkdir()
    with pytest.raises(UsageError, match=says):
        Store(tmp_path / "here", below=[tmp_path / below])


def test_a_pickle_below_that_others_can_write_is_refused(unsealed):
    folder = next(unsealed.below.glob("pickled/??"))
    folder.chmod(0o777)
    unsealed.sealed = tree(unsealed.below)
    with pytest.raises(UsageError, match="can be written by others"):
        unsealed.run(pickled)
