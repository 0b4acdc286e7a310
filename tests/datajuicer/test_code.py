"""What code a result was made with: every kind of change is told, and what changes nothing is not."""

import importlib
import json
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import datajuicer as dj
from datajuicer.errors import RunError, StoreWarning, UsageError
from datajuicer.running.code.digests import facts_of
from datajuicer.running.code.provenance import Codes

HEAD = "import functools\nimport datajuicer as dj\n"
MARK = "@dj.cachable(table_name='f', on_code_change='recompute')\n"
TIMES = """
def times(k):
    def decorate(g):
        @functools.wraps(g)
        def w(x):
            return k * g(x)
        return w
    return decorate
"""
OBJECT = """
class Scale:
    def __init__(self, k):
        self.k = k
    def __call__(self, x):
        return {body}
f = dj.cachable(table_name='f', on_code_change='recompute')(Scale({k}))
"""
MADE = "f = dj.cachable(table_name='f', on_code_change='recompute')"
PARTIAL = "def g(k, x):\n    return {body}\n" + MADE + "({made})\n"
EXEC = "space = {{}}\nexec({text!r}, space)\n" + MADE + "(space['g'])\n"

# For x = 1: source that gives 2, source that gives 30.
KINDS = {
    "itself": (MARK + "def f(x): return 2 * x\n", MARK + "def f(x): return 30 * x\n"),
    "helper": tuple(f"def h(x): return {k} * x\n{MARK}def f(x): return h(x)\n" for k in (2, 30)),
    "helper's helper": tuple(
        f"def a(x): return {k} * x\ndef h(x): return a(x)\n{MARK}def f(x): return h(x)\n" for k in (2, 30)
    ),
    "constant": tuple(f"C = {k}\n{MARK}def f(x): return C * x\n" for k in (2, 30)),
    "list of constants": tuple(f"C = [{k}, 1]\n{MARK}def f(x): return C[0] * x\n" for k in (2, 30)),
    "decorator's argument": tuple(f"{TIMES}{MARK}@times({k})\ndef f(x): return x\n" for k in (2, 30)),
    "decorator itself": tuple(
        f"{TIMES.replace('k * g(x)', f'k * g(x) * {k}')}{MARK}@times(1)\ndef f(x): return x\n"
        for k in (2, 30)
    ),
    "partial's argument": tuple(
        PARTIAL.format(body="k * x", made=f"functools.partial(g, {k})") for k in (2, 30)
    ),
    "partial's function": tuple(
        PARTIAL.format(body=f"{k} * x", made="functools.partial(g, 1)") for k in (2, 30)
    ),
    "callable object's state": tuple(OBJECT.format(body="self.k * x", k=k) for k in (2, 30)),
    "callable object's code": tuple(OBJECT.format(body=f"{k} * x", k=1) for k in (2, 30)),
    "exec": tuple(EXEC.format(text=f"def g(x): return {k} * x") for k in (2, 30)),
    "class": tuple(
        f"class M:\n    rate = 1\n    def go(self, x): return {k} * x\n{MARK}def f(x): return M().go(x)\n"
        for k in (2, 30)
    ),
    "class's attribute": tuple(
        f"class M:\n    rate = {k}\n    def go(self, x): return self.rate * x\n"
        f"{MARK}def f(x): return M().go(x)\n"
        for k in (2, 30)
    ),
    "base class": tuple(
        f"class B:\n    def go(self, x): return {k} * x\nclass M(B): pass\n{MARK}def f(x): return M().go(x)\n"
        for k in (2, 30)
    ),
    "helper's default": tuple(
        f"K = {k}\ndef h(x, k=K): return k * x\n{MARK}def f(x): return h(x)\n" for k in (2, 30)
    ),
    "table of functions": tuple(
        f"def h(x): return {k} * x\nTABLE = {{'h': h}}\n{MARK}def f(x): return TABLE['h'](x)\n"
        for k in (2, 30)
    ),
    "library's function": tuple(
        f"from operator import {name} as h\n{MARK}def f(x): return h(x * 8, 6) if h(1, 1) else 0\n"
        for name in ("xor", "or_")
    ),
    "cached helper": tuple(
        f"@functools.cache\ndef h(x): return {k} * x\n{MARK}def f(x): return h(x)\n" for k in (2, 30)
    ),
    "closure": tuple(
        f"def make(k):\n    {MARK}    def f(x): return k * x\n    return f\nf = make({k})\n" for k in (2, 30)
    ),
}
# The library's function gives other numbers; the twins below begin from "helper".
RIGHT = {"library's function": (0, 14)}


def in_new_process(folder: Path, source: str, run: str, name: str = "mod") -> tuple[str, str]:
    """What a script prints that imports some source as a module, and what it warns of."""
    (folder / f"{name}.py").write_text(HEAD + source)
    code = f"import sys; sys.path.insert(0, '.')\nimport datajuicer as dj\nfrom {name} import *\n{run}"
    done = subprocess.run(
        [sys.executable, "-B", "-W", "always", "-c", code],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip(), done.stderr


def load(folder: Path, source: str, name: str):
    """A module from source, in this process; the same name again replaces it."""
    path = folder / f"{name}.py"
    path.write_text(source)
    space = {"__name__": name, "__file__": str(path), "functools": __import__("functools"), "dj": dj}
    exec(compile(source, str(path), "exec"), space)
    return space


def result(space, folder, **how):
    return dj.run({}, space["f"], cache_dir=folder / "s", **how)(1)


@pytest.fixture
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_change_is_computed_again_or_told(kind, tmp_path):
    before, after = KINDS[kind]
    old, new = RIGHT.get(kind, (2, 30))
    assert result(load(tmp_path, before, "one"), tmp_path) == [old]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = load(tmp_path, before, "one")  # the innocent twin: the same source, imported again
        assert dj.run({}, again["f"], run_mode="load", cache_dir=tmp_path / "s")(1) == [old]
        assert str(dj.status({}, again["f"], tmp_path / "s")(1)).startswith("1 done, 0 failed")
    changed = load(tmp_path, after, "one")
    assert dj.status({}, changed["f"], tmp_path / "s")(1).missing
    with pytest.warns(StoreWarning, match="changed: "):
        assert dj.run({}, changed["f"], run_mode="load", cache_dir=tmp_path / "s")(1) == [old]
    assert result(changed, tmp_path) == [new]


SAME = {
    "comments, blank lines, docstrings": """
# a comment
def h(x):
    '''It doubles.'''

    return 2 * x  # another

{mark}
def f(x):
    '''It asks h.'''
    # why not
    return h(x)
""",
    "moved and another order": "A = 1\n\n\n\n{mark}def f(x): return h(x)\n\ndef h(x): return 2 * x\n",
    "type hints": "def h(x: int) -> int: return 2 * x\n{mark}def f(x: float) -> int: return h(x)\n",
    "something beside it": "def other(x): return 9\ndef h(x): return 2 * x\n{mark}def f(x): return h(x)\n",
}


@pytest.mark.parametrize("kind", SAME)
def test_what_changes_nothing_is_no_change(kind, tmp_path, quiet):
    before = f"def h(x): return 2 * x\n{MARK}def f(x): return h(x)\n"
    assert result(load(tmp_path, before, "one"), tmp_path) == [2]
    after = load(tmp_path, SAME[kind].format(mark=MARK), "one")
    assert dj.status({}, after["f"], tmp_path / "s")(1).done
    assert dj.run({}, after["f"], run_mode="load", cache_dir=tmp_path / "s")(1) == [2]


def test_a_module_that_only_moved_is_no_change(tmp_path, quiet):
    source = f"C = 2\nclass M:\n    def go(self, x): return C * x\n{MARK}def f(x): return M().go(x)\n"
    assert result(load(tmp_path, source, "old_place"), tmp_path) == [2]
    moved = load(tmp_path, source, "new_place")
    assert dj.status({}, moved["f"], tmp_path / "s")(1).done


def test_scripts_from_standard_input(tmp_path):
    def run(k):
        code = f"import datajuicer as dj\ndef h(x): return {k} * x\n{MARK}def f(x): return h(x)\n"
        code += "print(dj.cached(f)(1))"
        done = subprocess.run(
            [sys.executable, "-"], input=code, cwd=tmp_path, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    assert [run(2), run(2), run(30)] == ["2", "2", "30"]
    assert len(list((tmp_path / "sessions/f").glob("*/*.json"))) == 1


@pytest.mark.parametrize("form", ["batched", "saver", "checker"])
def test_the_other_forms_of_a_function_count(form, tmp_path):
    source = """
import json
def save(folder, value): (folder / "v.json").write_text({save})
def read(folder): return json.loads((folder / "v.json").read_text())
def together(x): return [{many} for v in x]
def good(folder): return {good}
@dj.cachable(saver=save, loader=read, batched=together, checker=good, table_name="f")
def f(x): return 2 * x
"""
    pieces = {"save": "json.dumps(value)", "many": "2 * v", "good": "True"}
    other = {
        "batched": ("many", "v + v"),
        "saver": ("save", "json.dumps( [value][0])"),
        "checker": ("good", "1 < 2"),
    }
    result(load(tmp_path, source.format(**pieces), "one"), tmp_path)
    name, text = other[form]
    changed = load(tmp_path, source.format(**{**pieces, name: text}), "one")
    with pytest.warns(StoreWarning, match="changed: (together|save|good)"):
        assert result(changed, tmp_path) == [2]


def test_depends_on_adds_functions_modules_and_values(tmp_path):
    def make(value, source):
        helper = load(tmp_path, source, "far")["h"]
        return dj.cachable(table_name="f", depends_on=[helper, value])(lambda x: x)

    dj.run({}, make(1, "def h(x): return 1\n"), cache_dir=tmp_path / "s")(1)
    for function, named in (
        (make(2, "def h(x): return 1\n"), r"depends_on\[1\]"),
        (make(1, "def h(x): return 2\n"), r"changed: h\)"),
    ):
        with pytest.warns(StoreWarning, match=named):
            dj.run({}, function, cache_dir=tmp_path / "s")(1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dj.run({}, make(1, "def h(x): return 1  # as before\n"), cache_dir=tmp_path / "s")(1)


def test_lists_that_functions_fill_and_counters_are_no_code(tmp_path, quiet):
    source = f"""
seen, memo, count = [], {{}}, 0
{MARK}
def f(x):
    global count
    count += 1
    seen.append(x)
    memo[x] = x
    return 2 * x
"""
    space = load(tmp_path, source, "one")
    for grid in ([1, 2], [2, 3]):
        assert dj.run(dj.split([{}], "n", grid), space["f"], cache_dir=tmp_path / "s")("{n}")
    again = load(tmp_path, source, "one")
    assert len(dj.status(dj.split([{}], "n", [1, 2, 3]), again["f"], tmp_path / "s")("{n}").done) == 3


def test_the_warning_comes_once_and_names_what_changed(tmp_path):
    source = "def h(x): return {} * x\n@dj.cachable(table_name='f')\ndef f(x): return h(x)\n"
    grid = dj.split([{}], "n", range(4))
    dj.run(grid, load(tmp_path, source.format(2), "one")["f"], cache_dir=tmp_path / "s")("{n}")
    changed = load(tmp_path, source.format(3), "one")["f"]
    with pytest.warns(StoreWarning) as caught:
        assert dj.run(grid, changed, cache_dir=tmp_path / "s")("{n}") == [0, 2, 4, 6]
    assert len(caught) == 1
    assert "source of f has changed" in str(caught[0].message)
    assert "changed: h)" in str(caught[0].message)
    found = dj.status(grid, changed, tmp_path / "s")("{n}")
    assert str(found).startswith("4 done (4 made by earlier code), 0 failed")
    assert found.earlier == grid
    (told,) = dj.explain([{"n": 9}], changed, tmp_path / "s")("{n}")
    assert "since then changed: h" in str(told)


def test_the_data_frame_tells_versions_and_codes_apart(tmp_path):
    for version, factor in ((1, 10), (1, 10), (2, 1)):
        source = f"@dj.cachable(table_name='acc', version={version})\ndef f(lr): return {factor} * lr\n"
        space = load(tmp_path, source, "one")
        dj.run(dj.split([{}], "lr", [0.1, 0.2]), space["f"], cache_dir=tmp_path / "s")("{lr}")
    frame = dj.to_dataframe(tmp_path / "s" / "acc")
    assert sorted(frame["version"]) == [1, 1, 2, 2]
    assert frame.groupby("version")["code"].nunique().tolist() == [1, 1]
    assert frame["code"].nunique() == 2
    assert frame[(frame.lr == 0.1) & (frame.version == 2)]["value"].mean() == 0.1


# -- records from before


def test_records_of_before_are_hits_while_the_function_is_the_same(tmp_path):
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


def test_a_failure_of_earlier_code_is_tried_again_or_told_as_old(tmp_path):
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
    mended = make("1 / (n + 1)", "recompute")
    assert dj.status({}, mended, tmp_path / "s")(0).missing
    assert run(mended) == [1.0]


def test_a_recomputation_that_failed_is_told_not_repeated_and_the_old_result_stays(tmp_path):
    calls = tmp_path / "calls"

    def make(body):
        text = f"@dj.cachable(table_name='f', on_code_change='recompute')\ndef f(n):\n    return {body}\n"
        return load(tmp_path, f"CALLS = {str(calls)!r}\n{text}", "m")["f"]

    def run(function, mode="normal"):
        return dj.run({}, function, 1, mode, cache_dir=tmp_path / "s")(0)

    assert run(make("n + 7")) == [7]
    broken = make("open(CALLS, 'a').write('x') / n")
    for _ in range(3):
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
    mended = make("n + 8")  # the twins: other code is tried, and the old code is a hit still
    assert dj.status({}, mended, tmp_path / "s")(0).missing
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert run(make("n + 7  # again")) == [7]
        assert run(mended) == [8]


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


def test_a_helper_in_a_module_beside_the_script_counts(tmp_path):
    main = "from near import h\n" + MARK + "def f(x): return h(x)\n"
    run = "print(dj.cached(f)(1))"
    for k, right in ((2, "2"), (2, "2"), (30, "30")):
        (tmp_path / "near.py").write_text(f"def h(x): return {k} * x\n")
        assert in_new_process(tmp_path, main, run)[0] == right


def test_a_helper_that_is_imported_inside_counts(tmp_path):
    main = MARK + "def f(x):\n    from near import h\n    return h(x)\n"
    for k, right in ((2, "2"), (30, "30")):
        (tmp_path / "near.py").write_text(f"def h(x): return {k} * x\n")
        assert in_new_process(tmp_path, main, "print(dj.cached(f)(1))")[0] == right


# -- code_of


def test_code_of_lists_what_counts_for_a_call(tmp_path):
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
    function = dj.cachable(code_of=lambda x: 1 / 0, table_name="f")(lambda x: x)
    with pytest.raises(UsageError, match="code_of of f must return functions"):
        dj.run({}, function, cache_dir=tmp_path / "s")(1)


def test_digests_are_found_out_once(tmp_path):
    space = load(tmp_path, KINDS["helper's helper"][0], "one")
    codes = Codes()
    assert codes.of(space["f"], {"x": 1}) is codes.of(space["f"], {"x": 2})
    assert facts_of(space["h"]) is facts_of(space["h"])
