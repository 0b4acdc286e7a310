"""The example of docs/stitching.md, run as it stands."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "stitching.md"


@pytest.mark.usefixtures("quick_compilation")
def test_the_page_runs():
    names = {}
    exec("\n".join(re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)), names)
    assert names["logits"].shape == (200, 10)
    own = names["g"].parameters["w1"]
    assert 0 < names["distance"] < float((own**2).sum())
