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
