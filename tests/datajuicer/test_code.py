"""What code a result was made with: every kind of change is told, and what changes nothing is not."""

import subprocess
import sys
import warnings

import pytest

import datajuicer as dj
from datajuicer.errors import StoreWarning

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


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_change_is_computed_again_or_told(kind, tmp_path, load, result):
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
def test_what_changes_nothing_is_no_change(kind, tmp_path, quiet, load, result):
    before = f"def h(x): return 2 * x\n{MARK}def f(x): return h(x)\n"
    assert result(load(tmp_path, before, "one"), tmp_path) == [2]
    after = load(tmp_path, SAME[kind].format(mark=MARK), "one")
    assert dj.status({}, after["f"], tmp_path / "s")(1).done
    assert dj.run({}, after["f"], run_mode="load", cache_dir=tmp_path / "s")(1) == [2]


def test_a_module_that_only_moved_is_no_change(tmp_path, quiet, load, result):
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
def test_the_other_forms_of_a_function_count(form, tmp_path, load, result):
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


def test_depends_on_adds_functions_modules_and_values(tmp_path, load):
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


def test_lists_that_functions_fill_and_counters_are_no_code(tmp_path, quiet, load, result):
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


def test_the_warning_comes_once_and_names_what_changed(tmp_path, load):
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


def test_the_data_frame_tells_versions_and_codes_apart(tmp_path, load):
    for version, factor in ((1, 10), (1, 10), (2, 1)):
        source = f"@dj.cachable(table_name='acc', version={version})\ndef f(lr): return {factor} * lr\n"
        space = load(tmp_path, source, "one")
        dj.run(dj.split([{}], "lr", [0.1, 0.2]), space["f"], cache_dir=tmp_path / "s")("{lr}")
    frame = dj.to_dataframe(tmp_path / "s" / "acc")
    assert sorted(frame["version"]) == [1, 1, 2, 2]
    assert frame.groupby("version")["code"].nunique().tolist() == [1, 1]
    assert frame["code"].nunique() == 2
    assert frame[(frame.lr == 0.1) & (frame.version == 2)]["value"].mean() == 0.1
