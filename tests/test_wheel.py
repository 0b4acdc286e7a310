"""The wheel in a fresh environment, outside the repository: the console script from start to figure."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.slow
def test_new_train_and_figures_outside_of_the_repository(tmp_path):
    def run(*words: str | Path, **environment: str) -> str:
        done = subprocess.run(
            list(map(str, words)),
            cwd=tmp_path,
            env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
            | {"JAX_PLATFORMS": "cpu", "XDG_CACHE_HOME": str(tmp_path / "cache"), **environment},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", "wheel", ROOT)
    run(sys.executable, "-m", "venv", "own")
    (wheel,) = (tmp_path / "wheel").glob("jaxrobust-*.whl")
    run("own/bin/python", "-m", "pip", "install", "--quiet", "--no-deps", wheel)
    # The libraries are those of this environment: a path alone, so that what is editable there stays out.
    (packages,) = (tmp_path / "own" / "lib").glob("python*/site-packages")
    there = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "libraries.pth").write_text("\n".join(there))
    assert str(packages) in run("own/bin/python", "-c", "import jaxrobust; print(jaxrobust.__file__)")
    assert "jaxrobust train -exp=mine" in run("own/bin/jaxrobust", "new", "mine")
    said = run("own/bin/jaxrobust", "train", "-exp=mine", "-n_threads=2", "-schedule.n_epochs=2")
    assert "mine: 2 models trained and evaluated" in said
    assert "next: jaxrobust figures -exp=mine -schedule.n_epochs=2" in said
    said = run("own/bin/jaxrobust", "figures", "-exp=mine", "-schedule.n_epochs=2")
    assert "1 of 1 experiments drawn" in said
    assert (tmp_path / "figures" / "mine.png").stat().st_size > 10_000
