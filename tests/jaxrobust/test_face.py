"""What ``import jaxrobust as jr`` gives: every name is there, documented, and its example runs."""

import ast
import dataclasses
import doctest
import inspect
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import jaxrobust as jr

ROOT = Path(__file__).resolve().parent.parent.parent
pytestmark = pytest.mark.usefixtures("quick_compilation")
THINGS = [name for name in jr.__all__ if not isinstance(getattr(jr, name), ModuleType)]


@pytest.mark.parametrize("name", THINGS)
def test_every_name_has_an_example_that_runs(name):
    found = getattr(jr, name)
    assert found.__doc__
    assert ">>>" in found.__doc__, f"jr.{name} has no example"
    examples = doctest.DocTestFinder(recurse=False).find(
        found, name, globs=vars(sys.modules[found.__module__])
    )
    results = [doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example) for example in examples]
    assert sum(result.attempted for result in results) > 0
    assert not sum(result.failed for result in results)


def test_the_names_that_users_of_the_field_look_for_are_there():
    wanted = """
    ParameterAttack attack robust_loss worst_case InputAttack attack_inputs GaussianMismatch
    LogNormalMismatch WeightRangeNoise BoxCorner AdditiveNoise MultiplicativeNoise StuckAt
    BitFlips Quantization PhaseChangeMemory Chain Selected Matching accuracy mismatch_accuracies
    box_around output_bounds lsnn_bounds verified hessian_spectrum LSNN CNN MLP ResNet train
    Training InputError data networks methods figures
    """
    assert set(wanted.split()) <= set(jr.__all__)


@pytest.mark.parametrize("name", THINGS)
def test_every_name_says_what_it_takes_and_what_it_refuses(name):
    found = getattr(jr, name)
    if inspect.isclass(found):
        takes = dataclasses.is_dataclass(found) and bool(dataclasses.fields(found))
        checks = "__post_init__" in vars(found)
    else:
        takes, checks = True, "raise InputError" in inspect.getsource(found)
    text = str(found.__doc__)
    assert not takes or re.search(r"^ +(Args|Attributes):$", text, re.MULTILINE)
    assert not checks or "Raises:\n        InputError: " in text


@pytest.mark.parametrize("name", sorted(set(jr.__all__) - set(THINGS)))
def test_every_package_says_what_it_holds(name):
    assert (getattr(jr, name).__doc__ or "").strip()


def test_editors_see_the_names_that_there_are():
    tree = ast.parse((ROOT / "jaxrobust" / "__init__.py").read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.name for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert seen == set(jr.__all__) == set(dir(jr)) - {name for name in dir(jr) if name.startswith("__")}


def test_a_misspelt_name_is_named():
    with pytest.raises(AttributeError, match=r"'robust_los'.*robust_loss"):
        _ = jr.robust_los


def test_import_loads_nothing_heavy():
    code = "import sys, jaxrobust; print(sorted({'jax', 'numpy', 'flax'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"
