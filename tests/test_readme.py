"""README.md and the first examples of docs/own_experiment.md, run as they stand, on built-in data."""

import importlib.metadata
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
SECTION = (ROOT / "docs" / "own_experiment.md").read_text().split("\n## One file, one class\n")[1]
EXPERIMENT, NOTEBOOK = re.findall(r"```python\n(.*?)```", SECTION.split("\n## ")[0], re.DOTALL)
OWN_LOOP, OWN_DATA = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
DRIVE = """
from pathlib import Path
import datajuicer as dj

if __name__ == "__main__":
    mine = my_experiment()
    how = {"cache_dir": "sessions", "progress": False}
    trained = dj.run(mine.train_grid(), "train", store_key="*", **how)("{*}")
    print(*mine.visualize(mine.evaluate(trained, **how), Path("figures")))
"""


def test_the_experiment_trains_evaluates_and_draws(tmp_path, run_script):
    (tmp_path / "figures").mkdir()
    assert "my_experiment.png" in run_script(EXPERIMENT + DRIVE)
    assert "| 0.3 |" in (tmp_path / "figures" / "my_experiment.md").read_text()


@pytest.mark.slow
def test_the_notebook_cell_gives_accuracies(run_script):
    accuracies = NOTEBOOK.rstrip().splitlines()
    accuracies[-1] = f"print({accuracies[-1]})"
    (of_one_point,) = eval(run_script("\n".join(accuracies)))
    assert len(of_one_point) == 100
    assert 0.5 < min(of_one_point) <= max(of_one_point) <= 1


def test_the_own_training_loop_makes_a_network_that_works_on_devices(run_script):
    said = run_script(OWN_LOOP)
    mean, worst = map(float, re.fullmatch(r"([\d.]+) on 100 devices, the worst ([\d.]+)\n", said).groups())
    assert 0.6 < worst < mean < 1


@pytest.mark.slow
def test_own_data_train_by_the_command_beside_them(tmp_path, run_script):
    run_script(OWN_DATA)
    (line,) = [line for line in README.splitlines() if "-dataset=mine.npz" in line]
    done = jaxrobust(line.partition("#")[0], tmp_path)
    assert "validation accuracy: " in done
    assert "weights: my_sessions/train_speech_lsnn/" in done
    assert "next: jaxrobust new " in done


@pytest.mark.slow
def test_the_comparison_in_one_command(tmp_path):
    (line,) = [line for line in README.splitlines() if line.startswith("jaxrobust new first")]
    for command in line.partition("#")[0].split("&&"):
        done = jaxrobust(command, tmp_path)
    assert "first: 2 models trained and evaluated" in done
    assert "next: jaxrobust figures -exp=first" in done
    assert "figures/first.png" in jaxrobust("jaxrobust figures -exp=first", tmp_path)


def jaxrobust(command: str, folder: Path) -> str:
    """What a command of the console script prints."""
    name, *words = shlex.split(command)
    assert name == "jaxrobust"
    code = "import sys; sys.argv[0] = 'jaxrobust'; from jaxrobust.cli.console import run; run()"
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(folder / "cache")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_is_read_in_five_minutes():
    assert len(README.splitlines()) <= 150
    assert "```bibtex\n@inproceedings{" in README


def test_every_extra_that_is_named_can_be_resolved():
    """The GPU comes with an extra of JAX, which the installed JAX must have."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = {
        name for words in re.findall(r"pip install '\.\[([\w,]+)\]'", README) for name in words.split(",")
    }
    assert {"data", "figures", "cuda"} <= named <= set(extras)
    for requirement in extras["cuda"]:
        name, extra = re.match(r"(\w+)\[(\w+)\]", requirement).groups()
        assert extra in importlib.metadata.metadata(name).get_all("Provides-Extra")
