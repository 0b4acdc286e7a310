"""The notebook on the shipped results: it runs without data, and shows what the results say."""

import json
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK = ROOT / "notebooks" / "from_grid_to_figure.ipynb"


def code_cells():
    return [cell for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"]


def test_the_notebook_prints_what_it_shows(run_script):
    printed = run_script("\n\n".join("".join(cell["source"]) for cell in code_cells()))
    shown = [output for cell in code_cells() for output in cell["outputs"]]
    assert printed == "".join("".join(output["text"]) for output in shown if "text" in output)
    assert any("image/png" in output.get("data", {}) for output in shown)


def test_the_notebook_holds_no_traces_of_a_machine():
    text = NOTEBOOK.read_text()
    assert not [trace for trace in ("Traceback", "/tmp", "/home", str(ROOT)) if trace in text]
