"""Options of the test suite, and its fixtures: scripts, commands, real data, the engine, clusters."""

import functools
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from jaxtyping import install_import_hook

import datajuicer as dj

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
# Read before any test clears it.
DATA = Path(os.environ.get("JAXROBUST_DATA", ROOT.parent / "shared" / "data"))

# Most programs of the tests run once on tiny arrays, so that compiling them is all that takes time. Processes
# that tests start inherit it; XLA_FLAGS= (empty) tests programs as users compile them.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")


MANY_MAPPINGS = 20_000  # a third of what Linux lets a process have


@pytest.fixture(autouse=True, scope="module")
def _few_compiled_programs() -> Iterator[None]:
    """Let go of compiled programs between modules: each maps memory, and who maps too much is aborted."""
    yield
    mappings = Path("/proc/self/maps")
    if "jax" in sys.modules and mappings.exists() and mappings.read_bytes().count(b"\n") > MANY_MAPPINGS:
        sys.modules["jax"].clear_caches()


# --- scripts, and commands as they are typed ---


@pytest.fixture
def run_script(tmp_path: Path) -> Callable[..., str]:
    """Runs code as a file in the test's folder, with no data unless told; gives what it prints."""

    def run(code: str, **environment: str) -> str:
        (tmp_path / "script.py").write_text(code)
        done = subprocess.run(
            [sys.executable, "script.py"],
            cwd=tmp_path,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "JAX_PLATFORMS": "cpu",
                "JAXROBUST_DATA": str(tmp_path),
                "XDG_CACHE_HOME": str(tmp_path / "cache"),
                **environment,
            },
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="module")
def quick_compilation() -> Iterator[None]:
    """For programs that run once on tiny arrays: compiling them is all that takes time."""
    import jax  # not at the top: the engine's tests need none of it

    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture
def typed(tmp_path, monkeypatch, capsys):
    """Types a command in an empty folder with the toys beside it; gives output and errors."""
    import toys  # tests/studies/toys.py

    from jaxrobust.cli import figures, train

    monkeypatch.chdir(tmp_path)
    _forget_experiments()
    monkeypatch.setattr(sys, "path", list(sys.path))

    def type_(*words: str, status: int = 0, seeds: str = "[0, 1]"):
        folder = tmp_path / "experiments"
        if not folder.exists():
            toys.write(tmp_path, seeds)
        main = figures.main if words[0] == "make_figures.py" else train.main
        found = main(list(words[1:]), folder)
        said = capsys.readouterr()
        assert found == status, said
        return said

    yield type_
    _forget_experiments()  # those of a test have names that the project's have too


def _forget_experiments() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "experiments"]:
        del sys.modules[name]


# --- arrays ---

WITH_OPTAX = {"test_optimizers", "test_training"}
# Code that is younger than the first study: arrays of different ranks never meet without a reshape.
NEW_ROOMS = (HERE / "stitching", HERE / "jaxrobust" / "lipschitz")
NEW_MODULES = {"test_executions", "test_midpoints", "test_overlap", "test_pruning", "test_walking_profile"}


@pytest.fixture(autouse=True)
def _strict_arrays(request: pytest.FixtureRequest) -> Iterator[None]:
    """Where two dtypes (in the contracts) or two ranks (in new rooms) meet without a cast is an error."""
    with ExitStack() as rules:
        if request.path.parent == HERE / "contracts" and request.path.stem not in WITH_OPTAX:
            import jax

            rules.enter_context(jax.numpy_dtype_promotion("strict"))
        if request.path.parent in NEW_ROOMS or request.path.stem in NEW_MODULES:
            import jax

            rules.enter_context(jax.numpy_rank_promotion("raise"))
        yield


# --- data ---


@pytest.fixture
def real_data() -> Path:
    """The folder with the real data sets; skips the test where there is none."""
    if not DATA.is_dir():
        pytest.skip(f"no real data sets in {DATA}: name their folder in JAXROBUST_DATA")
    return DATA


@pytest.fixture
def mnist(real_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MNIST by its name, here and in processes that are started from here; skips the test without."""
    from jaxrobust import data

    if not data.available("mnist", real_data):
        pytest.skip(f"MNIST is not in {real_data}: name the folder of the data in JAXROBUST_DATA")
    monkeypatch.setenv("JAXROBUST_DATA", str(real_data))


@pytest.fixture(autouse=True)
def _no_places(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests of loading find what they name, and nothing else."""
    if request.path.parent == HERE / "data":
        for name in ("JAXROBUST_DATA", "SCRATCH"):
            monkeypatch.delenv(name, raising=False)


# --- the engine: code that a test edits, in a new process and in this one ---

HEAD = "import functools\nimport datajuicer as dj\n"


@pytest.fixture
def quiet() -> Iterator[None]:
    """Any warning is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.fixture
def in_new_process() -> Callable[..., tuple[str, str]]:
    """Imports source in a new process and runs a line; gives what that prints, and its warnings."""

    def run(folder: Path, source: str, line: str, name: str = "mod") -> tuple[str, str]:
        (folder / f"{name}.py").write_text(HEAD + source)
        code = f"import sys; sys.path.insert(0, '.')\nimport datajuicer as dj\nfrom {name} import *\n{line}"
        done = subprocess.run(
            [sys.executable, "-B", "-W", "always", "-c", code],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip(), done.stderr

    return run


@pytest.fixture
def load() -> Callable[..., dict[str, Any]]:
    """Runs source as a module of this process; the same name again replaces it."""

    def run(folder: Path, source: str, name: str) -> dict[str, Any]:
        path = folder / f"{name}.py"
        path.write_text(source)
        space = {"__name__": name, "__file__": str(path), "functools": functools, "dj": dj}
        exec(compile(source, str(path), "exec"), space)
        return space

    return run


@pytest.fixture
def result() -> Callable[..., Any]:
    """Runs the function `f` of a module for 1, with the store in a folder."""
    return lambda space, folder, **how: dj.run({}, space["f"], cache_dir=folder / "s", **how)(1)


# --- clusters: the stand-in for LSF, and SLURM if it runs here ---

CLUSTER = HERE / "cluster"


@pytest.fixture
def lsf(tmp_path, monkeypatch) -> Path:
    """The folder of an LSF stand-in whose commands are on PATH."""
    folder = tmp_path / "lsf"
    (folder / "faults").mkdir(parents=True)
    monkeypatch.setenv("LSF_STAND_IN", str(folder))
    monkeypatch.setenv("LSF_STAND_IN_PYTHON", sys.executable)
    monkeypatch.setenv("PATH", f"{CLUSTER / 'lsf'}{os.pathsep}{os.environ['PATH']}")
    yield folder
    (folder / "closed").touch()
    for job in (folder / "jobs").glob("*"):
        (job / "killed").touch()


@pytest.fixture
def slurm() -> None:
    """A SLURM that answers; skips without."""
    if (
        not shutil.which("sinfo")
        or subprocess.run(["sinfo", "-h"], capture_output=True, check=False).returncode
    ):
        pytest.skip("no SLURM answers here: make test-cluster installs and starts one")


@pytest.fixture
def starts(tmp_path, monkeypatch):
    """How often each point was started."""
    path = tmp_path / "starts"
    path.touch()
    monkeypatch.setenv("STARTS", str(path))

    def counts() -> dict[int, int]:
        numbers = [int(line) for line in path.read_text().split()]
        return {n: numbers.count(n) for n in numbers}

    return counts


@pytest.fixture
def importable(monkeypatch) -> None:
    """`import points` works here and in every process that is started from here."""
    path = os.pathsep.join([str(CLUSTER), str(ROOT), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", path)
    monkeypatch.syspath_prepend(str(CLUSTER))


# --- options ---


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--lsf",
        action="store_true",
        help="run the tests of the real LSF; on a login node, it submits small jobs",
    )

    parser.addoption(
        "--check-arrays",
        action="store_true",
        help="check the arrays of the rooms below against their annotations at every call, traced ones too",
    )


# What users call with labels, rows and settings of their own checks these itself: verification, training,
# measures, matching.
ROOMS = ["numerics", "losses", "layers", "networks", "perturbations", "attacks"]
BOUNDS = ["intervals", "lipschitz", "lsnn_intervals", "margins", "propagation"]
STITCHES = ["layers", "masks", "objectives", "rank", "stitched"]


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--check-arrays"):
        modules = [
            *ROOMS,
            *(f"certificates.{module}" for module in BOUNDS),
            *(f"stitching.{module}" for module in STITCHES),
        ]
        install_import_hook([f"jaxrobust.{module}" for module in modules], "typechecking.check")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--lsf"):
        return
    for item in items:
        if item.get_closest_marker("lsf"):
            item.add_marker(pytest.mark.skip(reason="needs a real LSF: pytest --lsf on a login node"))
