"""The examples of README.md, run as they stand, on built-in data."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SECTION = (ROOT / "README.md").read_text().split("\n## An experiment of your own\n")[1].split("\n## ")[0]
EXPERIMENT, NOTEBOOK = re.findall(r"```python\n(.*?)```", SECTION, re.DOTALL)
DRIVE = """
from pathlib import Path
import datajuicer as dj

if __name__ == "__main__":
    mine = my_experiment()
    how = {"cache_dir": "sessions", "progress": False}
    trained = dj.run(mine.train_grid(), "train", store_key="*", **how)("{*}")
    print(*mine.visualize(mine.evaluate(trained, **how), Path("figures")))
"""


def test_the_experiment_trains_evaluates_and_draws(tmp_path, run_script):
    (tmp_path / "figures").mkdir()
    assert "my_experiment.png" in run_script(EXPERIMENT + DRIVE)
    assert "| 0.3 |" in (tmp_path / "figures" / "my_experiment.md").read_text()


def test_the_notebook_cell_gives_accuracies(run_script):
    accuracies = NOTEBOOK.rstrip().splitlines()
    accuracies[-1] = f"print({accuracies[-1]})"
    (of_one_point,) = eval(run_script("\n".join(accuracies)))
    assert len(of_one_point) == 100
    assert 0.5 < min(of_one_point) <= max(of_one_point) <= 1
