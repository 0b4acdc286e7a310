"""The tests that docs/clusters.md names exist, and its table has every state."""

import re
from pathlib import Path

from datajuicer.running.states import State

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "clusters.md"


def test_the_tests_that_the_page_names_exist():
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| F")]
    numbers = [number for row in rows for number in re.findall(r"F(\d+)", row.split(" | ")[0])]
    assert sorted(map(int, numbers)) == list(range(1, 18))
    for row in rows:
        module, names = "", []
        for word in re.findall(r"`(\w+)`", row.split(" | ", 2)[2]):
            if word.startswith("test_"):
                module = word
                continue
            names.append(word)
            places = [folder / f"{module}.py" for folder in (HERE, HERE.parent / "datajuicer")]
            text = "".join(path.read_text() for path in places if path.exists())
            assert f"def test_{word}(" in text, (module, word)
        assert names, row


def test_the_table_of_states_has_every_state():
    section = PAGE.read_text().split("## What each state means\n")[1].split("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == {state.value for state in State}
