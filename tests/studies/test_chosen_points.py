"""Some models of an experiment (-only), named protocols, and a limit in seconds (-stop_after)."""

import pytest

from jaxrobust import data
from jaxrobust.cli.chosen_points import only
from jaxrobust.errors import InputError
from jaxrobust.studies import availability

PROTOCOLS = """
from experiments.toys._parts import Method, dj, learn
from jaxrobust.studies.parameter_noise.protocols import Protocol


class EveryOther(Protocol):
    def applied(self, grid):
        return grid[::2]


class several:
    every_other = EveryOther()

    def train_grid(self):
        return dj.split([{"method": Method(), "train": learn}], "seed", [0, 1, 2, 3])

    def visualize(self, grid, folder):
        return []
"""
SLOW = """
import time
import datajuicer as dj


@dj.cachable(dependencies=["model:seed"], on_code_change="ignore")
def wait(model):
    time.sleep(60 * model["seed"])
    return {}


class slow:
    def train_grid(self):
        return dj.split([{"train": wait}], "seed", [0, 1])

    def visualize(self, grid, folder):
        return []
"""


@pytest.fixture
def own(typed, tmp_path):
    """Types a command after an experiment of the test's own was written beside the toys."""
    typed("train.py", "-exp=chain", "-status")  # writes the toys

    def write(name, code):
        (tmp_path / "experiments" / "toys" / f"{name}.py").write_text(code)

    return write


def test_only_some_models_are_trained_and_what_comes_from_them(typed):
    assert typed("train.py", "-exp=pairs", "-only=seed=1", "-status", status=2).err.count("empty") == 1
    assert "chain: 3 models trained and evaluated" in typed("train.py", "-exp=chain", "-only=seed=1").out
    assert typed("train.py", "-exp=chain", "-status").out.startswith("3 done, 0 running, 0 failed, 1 missing")
    assert typed("train.py", "-exp=chain", "-only=seed=0,seed=1", "-status").out.startswith("3 done")
    typed("make_figures.py", "-exp=chain", "-only=method.attack.size=0.10,seed=1")
    typed("make_figures.py", "-exp=chain", "-only=seed=0", status=1)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("seed=7", "no model is left with seed=7; there are 0, 1."),
        ("sed=1", "no model has a setting 'sed'. Did you mean 'seed'?"),
        ("seed", "must name a setting and its value, as in -only=architecture=cnn"),
        ("method.attack.sise=1", "no model has a setting 'method.attack.sise'"),
    ],
)
def test_a_wrong_choice_is_one_sentence(words, says, typed):
    assert says in typed("train.py", "-exp=chain", f"-only={words}", status=2).err


def test_choices_compare_numbers_words_and_classes():
    grid = [{"rate": 0.1, "method": "Forward noise + beta", "net": InputError}, {"rate": 1, "method": "Beta"}]
    assert only(grid, ["rate=1e-1"]) == only(grid, ["method=Forward noise + beta"]) == grid[:1]
    assert only(grid, ["rate=1.0", "rate=0.1"]) == grid
    assert only(grid, ["net=type"]) == grid[:1]


def test_an_experiment_may_name_protocols_of_its_own(typed, own):
    own("several", PROTOCOLS)
    assert "0 failed, 2 missing" in typed("train.py", "-exp=several", "-protocol=every_other", "-status").out
    assert "0 failed, 4 missing" in typed("train.py", "-exp=several", "-status").out
    said = typed("train.py", "-exp=several", "-protocol=every_othr", status=2).err
    assert "several has no protocol 'every_othr'" in said
    assert "Did you mean 'every_other'?" in said
    assert "has no protocol" in typed("train.py", "-exp=chain", "-protocol=every_other", status=2).err


def test_time_that_is_up_ends_the_command_and_says_what_is_left(typed, own):
    own("slow", SLOW)
    said = typed("train.py", "-exp=slow", "-stop_after=3", status=124).err
    assert "Stopped after 3 s: 1 of 2 models are left" in said
    assert typed("train.py", "-exp=slow", "-only=seed=0", "-stop_after=30").out.startswith(
        "slow: 1 model trained"
    )
    assert "must be seconds" in typed("train.py", "-exp=slow", "-stop_after=-1", status=2).err


def test_the_full_protocol_takes_real_data_and_nothing_generated(monkeypatch):
    held = {"arabic_speech"}

    def dataset_of(point):
        if point["dataset"] not in held:
            raise data.DataNotFound(f"no {point['dataset']}")

    monkeypatch.setattr(availability, "dataset_of", dataset_of)
    point = {"dataset": "speech_commands", "split": "official", "data_folder": ""}
    told = []

    def found():
        (one,) = availability.with_available_data([point], told.append, stand_ins=data.REAL_STAND_INS)
        return one["dataset"]

    assert found() == "arabic_speech"
    assert "real stand-in 'arabic_speech'" in told[0]
    held.clear()
    with pytest.raises(data.DataNotFound, match="no arabic_speech"):
        found()
    held.add("speech_commands")
    assert found() == "speech_commands"
