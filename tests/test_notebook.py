"""The notebook on the shipped results: it runs without data, and shows what the results say."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK = ROOT / "notebooks" / "from_grid_to_figure.ipynb"


def code_cells():
    return [cell for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"]


def test_the_notebook_prints_what_it_shows(tmp_path):
    code = "\n\n".join("".join(cell["source"]) for cell in code_cells())
    (tmp_path / "notebook.py").write_text(code)
    done = subprocess.run(
        [sys.executable, "notebook.py"],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "JAX_PLATFORMS": "cpu",
            "JAXROBUST_DATA": str(tmp_path),
            "XDG_CACHE_HOME": str(tmp_path),
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    shown = [output for cell in code_cells() for output in cell["outputs"]]
    assert done.stdout == "".join("".join(output["text"]) for output in shown if "text" in output)
    assert any("image/png" in output.get("data", {}) for output in shown)


def test_the_notebook_holds_no_traces_of_a_machine():
    text = NOTEBOOK.read_text()
    assert not [trace for trace in ("Traceback", "/tmp", "/home", str(ROOT)) if trace in text]
