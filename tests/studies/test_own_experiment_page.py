"""docs/own_experiment.md as it stands, and the class of experiments as it was published."""

import re
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "own_experiment.md"
# As published: static, no evaluate, and a visualize that does everything itself.
PUBLISHED = """
from pathlib import Path
import datajuicer as dj
from experiments.toys._parts import Method, learn


class published:
    @staticmethod
    def train_grid():
        return dj.split([{"method": Method(), "train": learn}], "seed", [0, 1])

    @staticmethod
    def visualize():
        grid = dj.run(published.train_grid(), "train", store_key="*")("{*}")
        Path("drawn").write_text(str(len(dj.query(grid, "weights"))))
"""


def test_the_published_class_trains_and_draws(typed, tmp_path):
    typed("train.py", "-exp=pairs", "-status")  # the toys are written
    (tmp_path / "experiments" / "published.py").write_text(PUBLISHED)
    (tmp_path / "sessions").mkdir()
    assert "missing: published: 2 of 2 points" in typed("make_figures.py", "-exp=published", status=1).err
    said = typed("train.py", "-exp=published").out
    assert "published: 2 models trained\n  next: python make_figures.py -exp=published" in said
    assert "1 of 1 experiments drawn" in typed("make_figures.py", "-exp=published").out
    assert (tmp_path / "drawn").read_text() == "2"


@pytest.mark.parametrize("chained", [False, True])
def test_the_page(chained, typed, tmp_path):
    _, _, stitching, rounds = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    typed("train.py", "-exp=pairs", "-status")
    code = stitching + (f"{rounds}\nstitching.stages = stages\n" if chained else "")
    (tmp_path / "experiments" / "stitching.py").write_text(code)
    n = 2 + (6 if chained else 1)
    assert f"stitching: {n} models trained" in typed("train.py", "-exp=stitching").out
    assert f"{n - 2 + 2} done" in typed("train.py", "-exp=stitching", "-status").out
    drawn = typed("make_figures.py", "-exp=stitching").out
    assert ("8\n" in drawn) != chained
    assert "experiments.stitching" in sys.modules
    said = typed("train.py", "-exp=stitching", "-method.rat=1", status=2)
    assert "Method has no setting 'rat', only rate, n_rounds. Did you mean 'rate'?" in said.err
