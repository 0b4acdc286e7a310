"""Options of the test suite, and scripts in processes of their own."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Most programs of the tests run once on tiny arrays, so that compiling them is all that takes time. Processes
# that tests start inherit it; XLA_FLAGS= (empty) tests programs as users compile them.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")


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


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--lsf",
        action="store_true",
        help="run the tests of the real LSF; on a login node, it submits small jobs",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--lsf"):
        return
    for item in items:
        if item.get_closest_marker("lsf"):
            item.add_marker(pytest.mark.skip(reason="needs a real LSF: pytest --lsf on a login node"))
