"""Numbers of docs/fidelity.md that can be computed."""

import re
from pathlib import Path

import pytest

from jaxrobust.studies.parameter_noise.catalogue import cnn, ecg_lsnn, speech_lsnn
from jaxrobust.studies.parameter_noise.recipes import schedule_of

PAGE = Path(__file__).resolve().parents[2] / "docs" / "fidelity.md"
FAMILIES = {"speech": speech_lsnn, "ECG": ecg_lsnn, "CNN": cnn}
# From "| speech, split ... |": samples and steps, published and ours.
ROWS = re.findall(r"^\| (speech|ECG|CNN), split .*?\| (.*) \|$", PAGE.read_text(), re.MULTILINE)


def test_the_table_of_steps_was_found():
    assert len(ROWS) == 5


@pytest.mark.parametrize(("name", "cells"), ROWS)
def test_steps_are_what_the_schedule_says(name, cells):
    point = FAMILIES[name].make()
    numbers = [[int(n.replace(",", "")) for n in re.findall(r"[\d,]+", cell)] for cell in cells.split(" | ")]
    for (samples,), steps in (numbers[:2], numbers[2:]):
        assert list(schedule_of(point).phase_steps(samples, point["batch_size"])) == steps
