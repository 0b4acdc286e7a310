"""The examples of docs/networks.md, run as they stand."""

import re
from pathlib import Path

import numpy as np

PAGE = Path(__file__).resolve().parents[2] / "docs" / "networks.md"


def test_the_page_runs(capsys):
    names = {}
    exec("\n".join(re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)), names)
    positions = re.findall(r"positions\)\) +# (.*)", PAGE.read_text())
    printed = capsys.readouterr().out.splitlines()
    assert printed == [str(line.split(", ")) for line in positions]
    assert names["hidden"].shape == (5, 64)
    assert names["logits"].shape == (5, 10)
    np.testing.assert_allclose(names["logits"], names["read"].logits, rtol=1e-5, atol=1e-6)
    assert names["curve"].shape == (3, 5, 10)
    assert np.abs(names["curve"][2] - names["curve"][0]).max() > 0.1
    assert names["outputs"].logits.shape == (2, 10)
