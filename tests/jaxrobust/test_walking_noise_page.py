"""The examples of docs/walking_noise.md, run as they stand."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "walking_noise.md"


@pytest.mark.usefixtures("quick_compilation")
def test_the_page_runs(capsys):
    names = {}
    exec("\n".join(re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)), names)
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in printed[:3]] == ["input", "relu1", "logits"]
    assert "[" in printed[0]
    assert sum(eval(printed[3]).values()) == 15
    assert printed[4].startswith("Plan(executions={'input': ")
    assert f"`{printed[5]}`" in PAGE.read_text()
