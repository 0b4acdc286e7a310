"""The examples of docs/lipschitz.md, run as they stand."""

import re
from pathlib import Path

import numpy as np

PAGE = Path(__file__).resolve().parents[3] / "docs" / "lipschitz.md"


def test_the_page_runs(capsys):
    names = {}
    exec("\n".join(re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)), names)
    assert capsys.readouterr().out == "1.0000\n"
    assert names["logits"].shape == (5, 3)
    assert np.all(names["certificate"].radii > 0)
    assert names["curve"][0] == 1
