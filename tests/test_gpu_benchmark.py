"""benchmarks/gpu.py runs on any machine, one line per row, whatever becomes of a row."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def printed(monkeypatch, capsys):
    """Runs the script in this process; gives the rows it prints, as cells by name."""
    import jax

    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    for name in ("gpu", "measure", "published_structure"):
        monkeypatch.delitem(sys.modules, name, raising=False)

    def run(*words):
        import gpu

        monkeypatch.setattr(sys, "argv", ["gpu.py", *words])
        is_cached = jax.config.values["jax_enable_compilation_cache"]
        gpu.main()
        jax.config.update("jax_enable_compilation_cache", is_cached)
        lines = [line.strip("| ") for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
        header, *rows = [line.split(" | ") for line in lines]
        assert all(len(row) <= len(header) for row in rows)
        return {row[0]: row[1:] for row in rows}, [row.name for row in gpu.rows(gpu.TINY)]

    return run


@pytest.mark.parametrize("only", ["loop", pytest.param("", marks=pytest.mark.slow)])
def test_every_row_is_measured_in_tiny_size(printed, only):
    found, names = printed("--tiny", f"--only={only}")
    assert list(found) == [name for i, name in enumerate(names) if not i or only in name]
    assert len(found) > 4
    for name, cells in found.items():
        if name.startswith("LSNN") and "kernel" in name:
            assert cells[-1] == "RuntimeError: this machine computes no kernel"
        else:
            assert float(cells[0].replace(",", "")) > 0, (name, cells)


def test_a_row_that_fails_leaves_the_others(printed, monkeypatch):
    import gpu

    monkeypatch.setattr(gpu, "copy", lambda n: 1 / 0)
    found, _ = printed("--tiny", "--only=copy")
    assert found["copy, read and write"][-1] == "ZeroDivisionError: division by zero"
    assert float(found["matrix product 64³"][0].replace(",", "")) > 0


def test_what_the_budget_does_not_reach_is_said(printed):
    found, names = printed("--tiny", "--budget=0")
    assert list(found) == names
    assert {cells[-1] for cells in found.values()} == {"left out: the budget is used up"}
