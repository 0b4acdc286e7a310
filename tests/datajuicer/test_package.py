"""The package stands alone, starts at once, and every public name has its place in the reference."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import datajuicer as dj

PACKAGE = Path(dj.__file__).parent
REFERENCE = Path(__file__).parents[2] / "docs" / "datajuicer.md"


def test_importing_it_imports_nothing_heavy():
    program = "import sys, datajuicer; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=PACKAGE.parent
    )
    heavy = {
        "jax",
        "jaxlib",
        "jaxrobust",
        "numpy",
        "pandas",
        "rich",
        "safetensors",
        "cloudpickle",
        "matplotlib",
    }
    assert not heavy & set(done.stdout.split())


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: p.relative_to(PACKAGE).as_posix()
)
def test_it_knows_neither_jax_nor_jaxrobust_and_evaluates_nothing(path):
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        assert not {n.partition(".")[0] for n in names} & {"jax", "jaxlib", "flax", "jaxrobust"}
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in ("eval", "exec", "hash")


@pytest.mark.parametrize("name", dj.__all__)
def test_every_public_name_is_documented(name):
    assert getattr(dj, name).__doc__
    assert re.search(rf"^###? .*`{name}[`(]", REFERENCE.read_text(), re.MULTILINE)


def test_every_name_in_the_reference_is_public():
    headings = re.findall(r"^### `(\w+)", REFERENCE.read_text(), re.MULTILINE)
    assert set(headings) == set(dj.__all__)


def test_the_tests_that_the_reference_names_exist():
    table = REFERENCE.read_text().partition("## Tests of the promises")[2]
    rows = [line for line in table.splitlines() if line.startswith("| F")]
    assert [row.split()[1] for row in rows] == [f"F{n}" for n in range(1, 27) if n != 12]
    for cell in (cell for row in rows for cell in row.split(" | ")[2:]):
        for part in cell.rstrip(" |").split("; "):
            module, *names = re.findall(r"`(\w+)`", part)
            text = (Path(__file__).parent / f"{module}.py").read_text()
            assert names, part
            assert all(f"def test_{name}(" in text for name in names), part


def test_the_examples_of_the_reference_work(tmp_path):
    blocks = re.findall(r"```python\n(.*?)```", REFERENCE.read_text(), re.DOTALL)
    assert len(blocks) > 10
    program = tmp_path / "reference.py"
    program.write_text("\n".join(blocks))
    done = subprocess.run(
        [sys.executable, str(program)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
