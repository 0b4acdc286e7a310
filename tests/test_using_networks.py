"""The examples of docs/using_networks.md, run as they stand, on the networks that ship."""

import re
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "using_networks.md"
WITHOUT_DATA, WITH_DATA = PAGE.read_text().split("\n## How well it works\n")


@pytest.fixture
def printed(run_script, tmp_path):
    """The lines that the code of a text prints, in a folder that has the shipped results."""

    def lines(text: str, **environment: str) -> list[str]:
        (tmp_path / "sessions").symlink_to(ROOT / "sessions")
        return run_script(
            "\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL)), **environment
        ).splitlines()

    return lines


def number_in(lines: list[str], start: str) -> float:
    line = next(line for line in lines if line.startswith(start))
    return float(line.split()[-1])


def test_networks_are_taken_out_without_data(tmp_path, printed):
    lines = printed(WITHOUT_DATA)
    assert (
        len([line for line in lines if re.match(r"(speech_lsnn|ecg_lsnn|cnn) +(Standard|Forward)", line)])
        == 6
    )
    with np.load(tmp_path / "ecg_robust.npz") as arrays:
        shapes = {name: array.shape for name, array in arrays.items()}
        assert not np.diagonal(arrays["w_rec"]).any()
    assert shapes == {"w_in": (2, 256), "w_rec": (256, 256), "w_out": (256, 4), "b_out": (4,)}
    # One spike that comes a step later, by rounding, moves a logit by about a hundredth.
    assert number_in(lines, "largest difference:") < 0.1


@pytest.mark.data
@pytest.mark.slow
def test_networks_are_measured_on_heartbeats(tmp_path, printed, real_data):
    lines = printed(PAGE.read_text(), JAXROBUST_DATA=str(real_data))
    on_validation_data = number_in(lines, "ecg_lsnn     Forward noise + beta")
    assert number_in(lines, "accuracy:") == pytest.approx(on_validation_data, abs=0.03)
    assert {number_in(lines, f"Standard               {level}") > 0.8 for level in ("0.0", "0.3")} == {True}
    assert len(list((tmp_path / "my_results" / "perturbed_accuracy").glob("*/*.json"))) == 6
