"""The notebook teaches what works: it is run from start to end, as a program of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import datajuicer as dj

ROOT = Path(dj.__file__).parents[1]
NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "datajuicer.ipynb"


def cells():
    content = json.loads(NOTEBOOK.read_text())
    assert content["nbformat"] == 4
    return [c for c in content["cells"] if c["cell_type"] == "code"]


def test_the_notebook_runs(tmp_path):
    code = "\n\n".join("".join(cell["source"]) for cell in cells())
    (tmp_path / "notebook.py").write_text(code)
    done = subprocess.run(
        [sys.executable, "notebook.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("fitting {'degree'") == 17  # each point once, the larger grid only its new one
    assert "0 done, 0 failed, 0 running, 16 missing" in done.stdout
    assert "[0.5, None, 0.25]" in done.stdout
    assert "wanted 1.0, stored 1" in done.stdout
    assert "1 were corrupt and are quarantined" in done.stdout


def test_the_notebook_is_stored_with_its_outputs_and_without_traces_of_a_machine():
    for cell in cells():
        shown = json.dumps(cell["outputs"])
        assert "Traceback" not in shown
        assert "/tmp" not in shown
        assert "/home" not in shown
    assert sum(bool(c["outputs"]) for c in cells()) > 8
