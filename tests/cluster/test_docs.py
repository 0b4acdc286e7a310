"""The tests that docs/clusters.md names exist."""

import re
from pathlib import Path

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
