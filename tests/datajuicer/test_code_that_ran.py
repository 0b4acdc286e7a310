"""What is done with results and failures of other code, and what a record says of the code that ran."""

import importlib
import json
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

import datajuicer as dj
from datajuicer.errors import RunError, StoreWarning, UsageError
from datajuicer.running.code.digests import facts_of
from datajuicer.running.code.provenance import Codes

MARK = "@dj.cachable(table_name='f', on_code_change='recompute')\n"

# -- records from before


def test_records_of_before_are_hits_while_the_function_is_the_same(tmp_path, load, result):
    from datajuicer.store.record import format_record, parse_record

    before = "def h(x): return 2 * x\n@dj.cachable(table_name='f')\ndef f(x):\n    return h(x)\n"
    space = load(tmp_path, before, "one")
    result(space, tmp_path)
    (path,) = (tmp_path / "s" / "f").glob("*/*.json")
    record = parse_record(path.read_bytes())
    assert isinstance(record, dict)
    del record["reached"]
    path.write_bytes(format_record(record | {"code": "c2ed836cb26c4443c31a"}))  # as commit e67a440 wrote it
    changed = load(tmp_path, before.replace("2 *", "3 *").replace("return h", "# why\n    return h"), "one")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert result(changed, tmp_path) == [2]
    assert len(dj.status({}, changed["f"], tmp_path / "s")(1).earlier) == 1
    with pytest.warns(StoreWarning, match="changed: f itself"):
        result(load(tmp_path, before.replace("h(x)\n", "h(x) + 1\n"), "one"), tmp_path)


# -- failures


def test_a_failure_of_earlier_code_is_tried_again_or_told_as_old(tmp_path, load):
    def make(body, mode):
        return load(
            tmp_path, f"@dj.cachable(table_name='f', on_code_change={mode!r})\ndef f(n): return {body}\n", "m"
        )["f"]

    def run(function):
        return dj.run({}, function, cache_dir=tmp_path / "s")(0)

    with pytest.raises(RunError, match="ZeroDivisionError"):
        run(make("1 / n", "warn"))
    with pytest.raises(RunError) as same:  # the twin: the same code fails as it did
        run(make("1 / n  # why?", "recompute"))
    assert "earlier code" not in str(same.value)
    with pytest.raises(
        RunError, match=r"ZeroDivisionError.*a failure of earlier code; since then changed: f itself"
    ):
        run(make("1 / (n + 1)", "warn"))
    with pytest.raises(RunError) as ignored:
        run(make("1 / (n + 1)", "ignore"))
    assert "earlier code" not in str(ignored.value)
    fixed = make("1 / (n + 1)", "recompute")
    assert dj.status({}, fixed, tmp_path / "s")(0).missing
    assert run(fixed) == [1.0]


def test_a_recomputation_that_failed_is_told_not_repeated_and_the_old_result_stays(tmp_path, load):
    calls = tmp_path / "calls"

    def make(body):
        text = f"@dj.cachable(table_name='f', on_code_change='recompute')\ndef f(n):\n    return {body}\n"
        return load(tmp_path, f"CALLS = {str(calls)!r}\n{text}", "m")["f"]

    def run(function, mode: Any = "normal"):
        return dj.run({}, function, 1, mode, cache_dir=tmp_path / "s")(0)

    assert run(make("n + 7")) == [7]
    broken = make("open(CALLS, 'a').write('x') / n")
    for _ in range(2):
        with pytest.raises(RunError, match="ZeroDivisionError"):
            run(broken)
    with pytest.raises(RunError, match="ZeroDivisionError") as told:
        run(broken)
    assert calls.read_text() == "x"
    assert told.value.failures[0].recorded
    assert "run_mode='load'" in str(told.value)
    assert dj.status({}, broken, tmp_path / "s")(0).failed
    with pytest.warns(StoreWarning, match="changed: f itself"):
        assert run(broken, "load") == [7]
    with pytest.raises(RunError, match="ZeroDivisionError"):
        run(broken, "retry")
    assert calls.read_text() == "xx"
    fixed = make("n + 8")  # the twins: other code is tried, and the old code is a hit still
    assert dj.status({}, fixed, tmp_path / "s")(0).missing
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert run(make("n + 7  # again")) == [7]
        assert run(fixed) == [8]


# -- what ran


def edited(folder, monkeypatch, mode="warn", name="edited_module"):
    """A module that was imported and then edited, and the grid and store to run it with."""
    source = (
        f"import datajuicer as dj\n@dj.cachable(on_code_change={mode!r})\ndef f(x):\n    return x * {{}}\n"
    )
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.delitem(sys.modules, name, raising=False)
    path = folder / f"{name}.py"
    path.write_text(source.format(1))
    importlib.invalidate_caches()
    module = importlib.import_module(name)
    path.write_text("\n\n" + source.format(1000))
    return module


def codes_in(folder):
    return {json.loads(path.read_text())["code"] for path in Path(folder).glob("f/*/*.json")}


def test_the_record_tells_the_code_that_ran(tmp_path, monkeypatch):
    module = edited(tmp_path, monkeypatch)
    assert dj.run({}, module.f, cache_dir=tmp_path / "s")(1) == [1]
    importlib.reload(module)
    with pytest.warns(StoreWarning, match="source of f has changed"):
        assert dj.run({}, module.f, cache_dir=tmp_path / "s")(1) == [1]
    assert dj.run({}, module.f, cache_dir=tmp_path / "s")(2) == [2000]
    assert len(codes_in(tmp_path / "s")) == 2


def test_a_worker_that_runs_other_code_than_planned_says_so(tmp_path, monkeypatch):
    module = edited(tmp_path, monkeypatch)
    grid = dj.split([{}], "x", [3, 4])
    assert dj.run([{"x": 2}], module.f, cache_dir=tmp_path / "s")("{x}") == [2]
    with pytest.warns(StoreWarning, match="other code than the one that planned it"):
        found = dj.run(grid, module.f, 2, cache_dir=tmp_path / "s", progress=False)("{x}")
    assert found == [3000, 4000]
    assert len(codes_in(tmp_path / "s")) == 2


def test_with_recompute_a_worker_with_other_code_is_refused(tmp_path, monkeypatch):
    module = edited(tmp_path, monkeypatch, "recompute")
    with pytest.raises(RunError, match="a file was edited since it was imported"):
        dj.run([{"x": 3}], module.f, 2, cache_dir=tmp_path / "s", progress=False)("{x}")
    importlib.reload(module)
    assert dj.run([{"x": 3}], module.f, 2, cache_dir=tmp_path / "s", progress=False)("{x}") == [3000]


def test_workers_give_the_digests_of_this_process(tmp_path, run_script):
    """Functions of a script travel without their source."""
    code = """
import datajuicer as dj, json, pathlib, warnings
warnings.simplefilter("error")
C, LEVELS = 2, [1, 2]
def h(x): return C * LEVELS[1] * x
@dj.cachable()
def f(x): return h(x)
if __name__ == "__main__":
    grid = dj.split([{}], "x", [1, 2])
    dj.run(grid, f, 1, cache_dir="one")("{x}")
    dj.run(grid, f, 2, cache_dir="two", progress=False)("{x}")
    told = [{(json.loads(p.read_text())["code"], str(json.loads(p.read_text())["reached"]))
             for p in pathlib.Path(s).glob("f/*/*.json")} for s in ("one", "two")]
    print(told[0] == told[1], len(told[0]), "'C'" in str(told), "LEVELS" in str(told), "b3." in str(told))
"""
    assert run_script(code).split() == ["True", "1", "True", "True", "False"]


def test_a_helper_in_a_module_beside_the_script_counts(tmp_path, in_new_process):
    main = f"from near import h\n{MARK}def f(x): return h(x)\n"
    run = "print(dj.cached(f)(1))"
    for k, right in ((2, "2"), (2, "2"), (30, "30")):
        (tmp_path / "near.py").write_text(f"def h(x): return {k} * x\n")
        assert in_new_process(tmp_path, main, run)[0] == right


def test_a_helper_that_is_imported_inside_counts(tmp_path, in_new_process):
    main = f"{MARK}def f(x):\n    from near import h\n    return h(x)\n"
    for k, right in ((2, "2"), (30, "30")):
        (tmp_path / "near.py").write_text(f"def h(x): return {k} * x\n")
        assert in_new_process(tmp_path, main, "print(dj.cached(f)(1))")[0] == right


# -- code_of


def test_code_of_lists_what_counts_for_a_call(tmp_path, load):
    def make(factor, unused=1):
        source = f"""
from dataclasses import dataclass
def rate(): return {factor}
def check(): return {unused}
@dataclass(frozen=True)
class A:
    size: float = 1.0
    def go(self, x):
        check()
        return rate() * self.size * x
@dataclass(frozen=True)
class B:
    def go(self, x): return 7 * x
def kind(name): return A(2.0) if name == "a" else B()
@dj.cachable(code_of=lambda name, x: [kind(name), rate], code_within=[], table_name="f")
def f(name, x):
    return kind(name).go(x)
"""
        return load(tmp_path, source, "listed")["f"]

    grid = dj.split([{"x": 1}], "name", ["a", "b"])

    def run(function):
        return dj.run(grid, function, cache_dir=tmp_path / "s")("{name}", "{x}")

    assert run(make(1)) == [2.0, 7]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(make(1, unused=2))  # what is not listed does not count
        assert not dj.status(grid, make(1, unused=2), tmp_path / "s")("{name}", "{x}").earlier
    with pytest.warns(StoreWarning, match="changed: rate"):
        run(make(5))
    records = [json.loads(path.read_text()) for path in (tmp_path / "s").glob("f/*/*.json")]
    assert sorted(sorted(record["reached"]) for record in records) == [["A", "rate"], ["B", "rate"]]


def test_code_of_that_does_not_work_is_told(tmp_path):
    function = dj.cachable(code_of=lambda x: [1 / 0], table_name="f")(lambda x: x)
    with pytest.raises(UsageError, match="code_of of f must return functions"):
        dj.run({}, function, cache_dir=tmp_path / "s")(1)


def test_digests_are_found_out_once(tmp_path, load):
    space = load(tmp_path, "def h(x): return x\n@dj.cachable()\ndef f(x): return h(x)\n", "one")
    codes = Codes()
    assert codes.of(space["f"], {"x": 1}) is codes.of(space["f"], {"x": 2})
    assert facts_of(space["h"]) is facts_of(space["h"])
