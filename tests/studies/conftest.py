"""The toys, importable for tests of stages."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def typed(tmp_path, monkeypatch, capsys):
    """Types a command in an empty folder with the toys beside it; gives output and errors."""
    import toys

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
