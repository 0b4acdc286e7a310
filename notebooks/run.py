"""Run notebooks and store their outputs: python notebooks/run.py notebooks/1_the_idea.ipynb …

Text, tables and figures are stored as a notebook server would store them, without Jupyter and IPython.
"""

import ast
import base64
import contextlib
import io
import json
import sys
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt


def run(notebook: dict[str, Any]) -> dict[str, Any]:
    """Return a notebook with the outputs of its cells, run from the first to the last in one namespace."""
    names: dict[str, Any] = {"__name__": "notebook"}
    cells, count = [], 0
    for cell in notebook["cells"]:
        new = dict(cell)
        if cell["cell_type"] == "code":
            count += 1
            new |= {"execution_count": count, "outputs": outputs("".join(cell["source"]), names, count)}
        cells.append(new)
    return {**notebook, "cells": cells}


def outputs(code: str, names: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """Run one cell; return what it prints, its figures, and the value of its last line if that is one."""
    tree = ast.parse(code)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    printed, value = io.StringIO(), None
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, "cell", "exec"), names)
        if last is not None:
            value = eval(compile(ast.Expression(last.value), "cell", "eval"), names)
    found: list[dict[str, Any]] = []
    if text := printed.getvalue():
        found.append({"output_type": "stream", "name": "stdout", "text": text.splitlines(keepends=True)})
    found += [
        {"output_type": "display_data", "metadata": {}, "data": {"image/png": picture}}
        for picture in figures()
    ]
    if value is not None:
        found.append(
            {"output_type": "execute_result", "execution_count": count, "metadata": {}, "data": shown(value)}
        )
    return found


def figures() -> list[str]:
    """The open figures as PNG in base 64; they are closed."""
    found = []
    for number in plt.get_fignums():
        buffer = io.BytesIO()
        plt.figure(number).savefig(buffer, format="png", dpi=80, bbox_inches="tight")
        found.append(base64.b64encode(buffer.getvalue()).decode())
    plt.close("all")
    return found


def shown(value: Any) -> dict[str, list[str]]:
    """A value as text and, if it has one, as HTML."""
    data = {"text/plain": repr(value).splitlines(keepends=True)}
    if hasattr(value, "_repr_html_"):
        data["text/html"] = value._repr_html_().splitlines(keepends=True)
    return data


if __name__ == "__main__":
    plt.switch_backend("agg")
    sys.path.insert(0, "")  # files that a notebook writes can be imported, as in a kernel
    for name in sys.argv[1:]:
        path = Path(name)
        path.write_text(json.dumps(run(json.loads(path.read_text())), indent=1, ensure_ascii=False) + "\n")
