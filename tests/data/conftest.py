"""Where the real data sets are, and an environment that names none of them."""

import os
from pathlib import Path

import pytest

# Read before any test clears it.
_NAMED = os.environ.get("JAXROBUST_DATA")
_BESIDE = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.fixture
def real_data() -> Path:
    """The folder with the real data sets; skips the test where there is none."""
    folder = Path(_NAMED) if _NAMED else _BESIDE
    if not folder.is_dir():
        pytest.skip(f"no real data sets in {folder}: name their folder in JAXROBUST_DATA")
    return folder


@pytest.fixture(autouse=True)
def _no_places(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("JAXROBUST_DATA", "SCRATCH"):
        monkeypatch.delenv(name, raising=False)
