"""The twelve defects of the published engine and its examples, as tests."""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import datajuicer as dj
from datajuicer import RunError, UsageError, cachable, configure, run, split


@cachable()
def echo(value):
    return {"got": value}


# -- the published examples
# ---------------------------------------------------------------------------------------


def test_templates_fill_in_arguments(capsys):
    grid = [{"text": "hi", "number": 1}, {"text": "hello", "number": 2}]
    assert run(grid, print)("{text} {number}") == [None, None]
    assert capsys.readouterr().out == "hi 1\nhello 2\n"


def test_functions_live_in_points(capsys):
    grid = [
        {"text": "hi", "number": 1, "func": lambda x: print("logging", x)},
        {"text": "hello", "number": 2, "func": print},
    ]
    run(grid, "func")("{text} {number}")
    assert capsys.readouterr().out == "logging hi 1\nhello 2\n"


def say(mood, msg):
    return "Today is a great day! I just want to say: " + msg if mood == "good" else msg


def test_templates_call_functions(capsys):
    grid = [
        {"mood": "good", "topic": "food", "fav_food": "cheese"},
        {"mood": "lousy", "topic": "drink", "fav_drink": "juice"},
    ]
    grid = configure(grid, {"say": say, "favorites": "{say({mood},My favorite {topic} is {fav_{topic}}.)}"})
    run(grid, print)("{favorites}")
    assert capsys.readouterr().out == (
        "Today is a great day! I just want to say: My favorite food is cheese.\nMy favorite drink is juice.\n"
    )


@cachable()
def add(a, b):
    print("calculating...")
    return a + b


def test_only_what_is_new_is_calculated(tmp_path, capsys):
    grid = split(split([{}], "a", [2, 3, 4]), "b", [2, 3, 4])
    assert run(grid, add, cache_dir=tmp_path)("{a}", "{b}") == [4, 5, 6, 5, 6, 7, 6, 7, 8]
    assert capsys.readouterr().out.count("calculating...") == 9
    assert run([*grid, {"a": 1, "b": 1}], add, cache_dir=tmp_path)("{a}", "{b}")[-1] == 2
    assert capsys.readouterr().out.count("calculating...") == 1


# -- the defects
# --------------------------------------------------------------------------------------------------


def test_1_keyword_arguments_are_filled_in_for_each_point():
    assert run(split([{}], "n", [1, 2, 3]), lambda *, n: n)(n="{n}") == [1, 2, 3]


def test_2_arrays_that_print_alike_are_different(tmp_path):
    one, other = np.zeros(5000), np.zeros(5000)
    other[2500] = 1e-9
    assert str(one) == str(other)
    grid = [{"w": one}, {"w": other}]
    results = run(grid, echo, cache_dir=tmp_path)("{w}")
    assert [r["got"][2500] for r in results] == [0.0, 1e-9]


def test_3_types_have_entries_of_their_own_and_odd_values_work(tmp_path):
    values = [1, 1.0, True, "1", float("nan"), None, 'a "quoted" text', "it's", -0.0, 0.0]
    grid = split([{}], "value", values)
    for _ in range(2):
        results = run(grid, echo, cache_dir=tmp_path)("{value}")
        assert [(type(r["got"]), repr(r["got"])) for r in results] == [(type(v), repr(v)) for v in values]
    assert len(list(tmp_path.rglob("*.json"))) == len(values)


def test_4_a_dependency_added_later_keeps_the_old_entries(tmp_path):
    calls = []

    def f(model):
        calls.append(model)
        return len(calls)

    old = cachable(["model:seed"], table_name="f")(f)
    new = cachable(["model:seed", "model:warmup?=0"], table_name="f")(f)
    run([{"seed": 1}], old, cache_dir=tmp_path)("{*}")
    assert run([{"seed": 1, "warmup": 0}, {"seed": 1, "warmup": 5}], new, cache_dir=tmp_path)("{*}") == [1, 2]
    assert run([{"seed": 1}], old, cache_dir=tmp_path)("{*}") == [1]


def test_5_a_failed_or_killed_call_is_no_result(tmp_path):
    program = (
        "import os, sys, datajuicer as dj\n"
        "def f(n, job):\n"
        "    (job.folder / 'params').write_text('half trained')\n"
        "    os.kill(os.getpid(), 9)\n"
        "dj.run([{'n': 1}], dj.cachable()(f), cache_dir=sys.argv[1])('{n}')\n"
    )
    killed = subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)
    assert killed.returncode == -9
    f = cachable(["n"], table_name="f")(lambda n, job: (job.folder / "params").read_text())
    assert dj.missing([{"n": 1}], f, cache_dir=tmp_path)("{n}") == [{"n": 1}]
    assert run([{"n": 1}], f, cache_dir=tmp_path)("{n}") == [
        "half trained"
    ]  # what it left is there to go on from


def test_6_one_failing_point_does_not_lose_the_others():
    with pytest.raises(RunError) as caught:
        run(split([{}], "n", [1, 0, 2]), lambda n: 2 // n)("{n}")
    assert caught.value.results == [2, None, 1]


def test_7_equal_points_are_computed_once_and_make_unique_removes_them(tmp_path):
    calls = []

    @cachable(table_name="f")
    def f(n):
        calls.append(n)

    grid = [{"n": 1, "f": lambda x: x}, {"n": 1, "f": lambda x: x}]
    run([*grid, *grid], f, cache_dir=tmp_path)("{n}")
    assert calls == [1]
    assert len(dj.make_unique([{"n": 1, "f": make()}, {"n": 1, "f": make()}])) == 1


def make():
    return lambda x: x


def test_8_looking_reads_no_artifact(tmp_path):
    loads = []

    def load(folder):
        loads.append(folder)
        return (folder / "x").read_text()

    def save(folder, value):
        (folder / "x").write_text(value)

    f = cachable(["n"], saver=save, loader=load, table_name="f")(lambda n: str(n + 1))
    grid = split([{}], "n", range(3))
    run(grid, f, cache_dir=tmp_path)("{n}")
    loads.clear()
    assert len(dj.status(grid, f, cache_dir=tmp_path)("{n}").done) == 3
    assert loads == []
    run(grid, f, cache_dir=tmp_path)("{n}")
    assert len(loads) == 3


def test_9_how_a_process_ended_is_not_ignored(tmp_path):
    def f(n):
        sys.exit(n)

    function = cachable(["n"], table_name="f")(f)
    with pytest.raises(RunError, match="SystemExit: 3"):
        run([{"n": 3}], function, n_threads=2, progress=False, cache_dir=tmp_path)("{n}")
    assert len(dj.status([{"n": 3}], function, cache_dir=tmp_path)("{n}").failed) == 1


def test_10_python_code_runs_in_parallel(tmp_path):
    def meet(n):
        """Returns only while the other one runs too; without ever giving the interpreter away."""
        (tmp_path / str(n)).touch()
        deadline = time.monotonic() + 60
        while not (tmp_path / str(1 - n)).exists():
            assert time.monotonic() < deadline
        return n

    assert run(split([{}], "n", [0, 1]), meet, n_threads=2, progress=False)("{n}") == [0, 1]


def test_10_nothing_about_a_result_is_random(tmp_path):
    grid = split([{}], "value", range(3))
    for root in ("one", "other"):
        run(grid, echo, cache_dir=tmp_path / root)("{value}")
    names = [sorted(p.name for p in (tmp_path / root).rglob("*")) for root in ("one", "other")]
    assert names[0] == names[1]


def test_11_templates():
    point = {
        "a": 1,
        "f": lambda *args: "|".join(map(str, args)),
        "loop": "{loop}",
        "json": lambda: '{"x": 1}',
    }
    assert dj.format_template(point, "{f((1,2),{f(3,4)})}") == "(1,2)|3|4"
    assert dj.format_template(point, r"\{a\} is {a}") == "{a} is 1"
    assert dj.format_template(point, "{ a }") == 1
    assert dj.format_template(point, "{json()}") == '{"x": 1}'
    with pytest.raises(UsageError, match="refers to itself"):
        dj.format_template(point, "{loop}")


def test_12_a_new_process_finds_what_another_one_stored(tmp_path):
    program = (
        "import json, sys, datajuicer as dj\n"
        "@dj.cachable()\n"
        "def f(n, names):\n"
        "    return {'n': n}\n"
        "mode = sys.argv[2]\n"
        "names = {'b', 'a', ('c', 1.5)}\n"
        "print(json.dumps(dj.run([{'n': 1}], f, run_mode=mode, cache_dir=sys.argv[1])('{n}', names)))\n"
    )
    for mode, seed in (("normal", "1"), ("load", "2"), ("load", "3")):
        done = subprocess.run(
            [sys.executable, "-c", program, str(tmp_path), mode],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(dj.__file__).parents[1])},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == [{"n": 1}]
