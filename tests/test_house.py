"""The rules of the house (README, "How the code is laid out"), checked on the code itself."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# Lower floors first; a module may import from its own floor and those below.
FLOORS = {
    "jaxrobust.errors": 0,
    "jaxrobust.settings": 1,
    "jaxrobust.products": 1,
    "jaxrobust.numerics": 2,
    "jaxrobust.trees": 2,
    "jaxrobust.path_rules": 3,
    "jaxrobust.registry": 3,
    "jaxrobust.losses": 3,
    "jaxrobust.criteria": 3,
    "jaxrobust.layers": 4,
    "jaxrobust.perturbations": 4,
    "jaxrobust.pruning": 4,
    "jaxrobust.networks": 5,
    "jaxrobust.attacks": 5,
    "jaxrobust.measures": 6,
    "jaxrobust.certificates": 7,
    "jaxrobust.training": 7,
    "jaxrobust.stitching": 7,
    "jaxrobust.studies": 8,
    "jaxrobust.figures": 8,
    "experiments": 9,
    "jaxrobust.cli": 10,
    "datajuicer.errors": 0,
    "datajuicer.template": 1,
    "datajuicer.keys": 2,
    "datajuicer.store": 3,
    "datajuicer.grids": 4,
    "datajuicer.workers": 4,
    "datajuicer.running": 5,
    "datajuicer.clusters": 6,
}
SIDE = "jaxrobust.data"  # stands at the side: imports only errors, and anybody above it may import it
JOINERS = ("jaxrobust.studies", "jaxrobust.cli")


def modules(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def floor(name: str) -> int | None:
    fitting = [prefix for prefix in FLOORS if f"{name}.".startswith(f"{prefix}.")]
    return FLOORS[max(fitting, key=len)] if fitting else None


@pytest.mark.parametrize("path", modules("jaxrobust", "datajuicer", "experiments"), ids=name_of)
def test_arrows_point_down(path):
    here = name_of(path)
    for target in imports(path):
        if here.startswith(SIDE):
            is_ours_or_jax = target.split(".")[0] in {"jaxrobust", "datajuicer", "experiments", "jax"}
            allowed = target == "jaxrobust" or target.startswith((SIDE, "jaxrobust.errors"))
            assert allowed or not is_ours_or_jax, f"{here} imports {target}"
        elif floor(target) is not None and floor(here) is not None:
            assert floor(target) <= floor(here), f"{here} imports {target}, which stands above it"


@pytest.mark.parametrize("path", modules("jaxrobust"), ids=name_of)
def test_only_the_joiners_know_the_engine(path):
    joins = any(target.split(".")[0] == "datajuicer" for target in imports(path))
    assert not joins or name_of(path).startswith(JOINERS)


@pytest.mark.parametrize("path", modules("datajuicer"), ids=name_of)
def test_the_engine_knows_no_jax(path):
    for target in imports(path):
        assert target.split(".")[0] not in {"jax", "jaxlib", "flax", "optax", "jaxrobust"}


def test_importing_the_engine_loads_nothing_heavy():
    heavy = "{'jax', 'jaxrobust', 'pandas', 'rich', 'matplotlib'}"
    code = f"import sys, datajuicer; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"


def test_a_network_knows_nothing_of_attacks():
    for path in modules("jaxrobust/networks", "jaxrobust/layers"):
        forbidden = ("jaxrobust.attacks", "jaxrobust.measures", "jaxrobust.training")
        assert not any(target.startswith(forbidden) for target in imports(path)), path


@pytest.mark.parametrize("path", modules("jaxrobust", "datajuicer", "experiments"), ids=name_of)
def test_modules_stay_readable(path):
    assert len(path.read_text().splitlines()) <= 400, "one concept a module: divide it"


@pytest.mark.parametrize("package", ["jaxrobust", "datajuicer"])
def test_there_are_no_circles(package):
    names = {name_of(path): path for path in modules(package) if path.name != "__init__.py"}
    arrows = {name: imports(path) & names.keys() - {name} for name, path in names.items()}
    while free := [name for name, targets in arrows.items() if not targets & arrows.keys()]:
        for name in free:
            del arrows[name]
    tied = {name: sorted(targets & arrows.keys()) for name, targets in arrows.items()}
    assert not tied, f"these import each other in a circle: {tied}"
