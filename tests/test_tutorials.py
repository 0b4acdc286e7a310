"""The tutorials in notebooks/: they run with tiny sizes, and show what is stored as they stand (slow)."""

import importlib.util
import json
import re
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

from jaxrobust.networks.own import registry as networks

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "notebooks"
# What is smaller in the quick run of each tutorial.
SMALLER = {
    "1_the_idea": {"(key, 300)": "(key, 2)", "n_draws=100": "n_draws=2"},
    "2_choosing": {
        "n_updates=300": "n_updates=2",
        "n_draws=50": "n_draws=2",
        "[0.1, 0.5, 2.0]": "[0.1, 0.5]",
        "[0.05, 0.1, 0.2, 0.4]": "[0.05]",
        "(1, 3, 10)": "(3,)",
    },
    "3_own_data_and_network": {"(20.0,)": "(1.0,)", "[0, 1]": "[0]", '"n_draws": 50': '"n_draws": 2'},
    "4_a_pytorch_network": {"n_draws=100": "n_draws=2"},
    "5_from_noise_to_a_plan": {"n_draws=10": "n_draws=3", "2.5, 12": "2.5, 8"},
    "6_a_certified_network": {
        "(300, 100)": "(2, 10)",
        "n_steps=20": "n_steps=2",
        "digits.test.": "digits.validation.",
    },
}
_spec = importlib.util.spec_from_file_location("run_notebooks", FOLDER / "run.py")
run_notebooks = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(run_notebooks)


def notebook(name: str) -> dict:
    return json.loads((FOLDER / f"{name}.ipynb").read_text())


def smaller(name: str) -> dict:
    made = notebook(name)
    used = set()
    for cell in made["cells"]:
        code = "".join(cell["source"])
        if cell["cell_type"] == "code":
            for old, new in SMALLER[name].items():
                used |= {old} if old in code else set()
                code = code.replace(old, new)
            cell["source"] = code
    assert used == set(SMALLER[name])
    return made


def printed(made: dict) -> list[str]:
    """The lines that the cells of a notebook print."""
    outputs = [output for cell in made["cells"] for output in cell.get("outputs", [])]
    return [line for output in outputs for line in "".join(output.get("text", [])).splitlines()]


def kinds(made: dict) -> list[list[str]]:
    """What each cell shows: text, tables, figures."""
    return [
        sorted(key for o in cell.get("outputs", []) for key in o.get("data", ())) for cell in made["cells"]
    ]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder from which files can be imported, and a back end that needs no screen."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(networks, "_networks", {})
    plt.switch_backend("agg")
    plt.close("all")  # what other tests left open
    yield tmp_path
    sys.modules.pop("mine", None)


# Those whose subject has a page, or a block of the README, that another test runs.
SLOW = ("1_the_idea", "3_own_data_and_network", "5_from_noise_to_a_plan", "6_a_certified_network")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in SMALLER]
)
def test_a_tutorial_runs(name, here):
    made = run_notebooks.run(smaller(name))
    assert kinds(made) == kinds(notebook(name))
    assert printed(made)


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALLER)
def test_a_tutorial_shows_what_is_stored(name, here):
    made, stored = printed(run_notebooks.run(notebook(name))), printed(notebook(name))
    for line, wanted in zip(made, stored, strict=True):
        assert re.sub(r"[\d.,]+", "#", line) == re.sub(r"[\d.,]+", "#", wanted)
        for one, other in zip(percents(line), percents(wanted), strict=True):
            assert one == pytest.approx(other, abs=5)


def percents(line: str) -> list[float]:
    return [float(number) for number in re.findall(r"([\d.]+)%", line)]


def test_every_tutorial_is_tested_and_stored_with_its_outputs_and_no_traces_of_a_machine():
    assert {path.stem for path in FOLDER.glob("[0-9]*.ipynb")} == set(SMALLER)
    for name in SMALLER:
        made, text = notebook(name), (FOLDER / f"{name}.ipynb").read_text()
        assert printed(made)
        assert not [trace for trace in ("Traceback", "/tmp", "/home", str(ROOT)) if trace in text]


def test_the_page_on_choosing_shows_what_the_tutorial_prints():
    page, lines = (ROOT / "docs" / "choosing.md").read_text(), "\n".join(printed(notebook("2_choosing")))
    rows = re.findall(r"^\| β = [\d.]+ \|(.*)\|$", page, re.MULTILINE)
    wanted = re.findall(r"^  β = [\d.]+ +(.*)$", lines, re.MULTILINE)
    assert len(rows) == 3
    for row, line in zip(rows, wanted, strict=True):
        assert re.findall(r"\d+\.\d", row) == re.findall(r"\d+\.\d", line)
    steps = re.findall(r"^ *\d+ steps: ([\d.]+)%$", lines, re.MULTILINE)
    assert f"| devices at 0.4 | {' | '.join(steps)} |" in page
