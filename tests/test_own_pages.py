"""The code of the pages on users' own data, networks and methods, from top to bottom in an empty folder."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest

from jaxrobust.data.own import registry as datasets
from jaxrobust.networks.own import registry as networks
from jaxrobust.training.methods import METHODS

DOCS = Path(__file__).resolve().parent.parent / "docs"
pytestmark = pytest.mark.usefixtures("quick_compilation")


def run_page(name: str, tmp_path: Path, monkeypatch) -> dict:
    """Write blocks that begin with the name of a file, run the others."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(datasets, "_ids", {})
    monkeypatch.setattr(networks, "_networks", {})
    monkeypatch.setattr(METHODS, "named", dict(METHODS.named))
    names: dict = {"__name__": "page"}
    written = []
    for block in re.findall(r"```python\n(.*?)```", (DOCS / name).read_text(), re.DOTALL):
        if file := re.match(r"# (\w+)\.py\n", block):
            (tmp_path / f"{file[1]}.py").write_text(block)
            written.append(file[1])
        else:
            exec(compile(block, name, "exec"), names)
    for module in written:
        sys.modules.pop(module, None)
    return names


@pytest.mark.slow
def test_own_data(tmp_path, monkeypatch):
    names = run_page("own_data.md", tmp_path, monkeypatch)
    assert {path.suffix for path in names["files"]} == {".png", ".pdf", ".txt", ".md", ".tex", ".csv"}
    assert len(names["points"]) == 4
    assert {point["dataset"].partition("@")[0] for point in names["points"]} == {"series"}
    assert np.mean(names["points"][0]["accuracies"]) > 0.5  # of three classes
    assert np.mean(names["rows"][0]["accuracies"]) > 0.5  # of seven classes
    assert (tmp_path / "figures" / "images.png").exists()
    assert (tmp_path / "figures" / "series.png").stat().st_size > 10_000
    assert "drawn from the training data" in (tmp_path / "figures" / "series.txt").read_text()


@pytest.mark.slow
def test_own_network(tmp_path, monkeypatch):
    names = run_page("own_network.md", tmp_path, monkeypatch)
    assert [point["validation_accuracy"] > 0.5 for point in names["grid"]] == [True, True]
    assert "norm/mean" in "".join(map(str, _names_in(names["grid"][1])))
    assert len(names["point"]["accuracies"]) == 5


@pytest.mark.slow
def test_own_method(tmp_path, monkeypatch):
    names = run_page("own_method.md", tmp_path, monkeypatch)
    clean, perturbed = (np.mean(point["accuracies"]) for point in names["points"])
    assert 0 > clean > perturbed  # of the regression
    assert (tmp_path / "figures" / "mine.png").exists()


def _names_in(point) -> list[str]:
    from safetensors.numpy import load_file

    return list(load_file(point["parameters"].path()))
