"""train.py -verify: some stored models are computed again and every number is compared."""

import shutil

import pytest

STEADY = """
import datajuicer as dj


@dj.cachable(dependencies=["model:seed"], on_code_change="ignore")
def learn(model):
    return {"accuracy": 0.5 + model["seed"] / 8}


@dj.cachable(dependencies=["model:seed"], on_code_change="ignore")
def look(model):
    with open("looks.txt", "a") as file:
        file.write("look ")
    return CHANGE


class steady:
    def train_grid(self):
        return dj.split([{"train": learn}], "seed", [0, 1, 2])

    def evaluate(self, grid, **how):
        return dj.run(grid, look, store_key="seen", **how)("{*}")

    def visualize(self, grid, folder):
        return []
"""


@pytest.fixture
def steady(typed, tmp_path):
    """Writes the experiment, whose evaluation gives what an expression says, and computes it."""
    typed("train.py", "-exp=chain", "-status")  # writes the toys

    def write(change):
        code = STEADY.replace("CHANGE", change)
        (tmp_path / "experiments" / "toys" / "steady.py").write_text(code)
        typed("train.py", "-exp=steady")

    return write


def test_the_same_numbers_again(typed, steady):
    steady('{"all": [1.0, 2.0]}')
    said = typed("train.py", "-exp=steady", "-verify=2").out
    assert "steady: 2 of 3 stored models computed again; 4 of 4 results are the same to the last bit" in said
    assert "computed again; 6 of 6" in typed("train.py", "-exp=steady", "-verify=99").out


def test_numbers_that_changed_are_named_and_the_stored_ones_stay(typed, steady):
    steady('{"count": [len(open("looks.txt").read())]}')
    for _ in range(2):
        said = typed("train.py", "-exp=steady", "-verify=3", status=1)
        assert "3 of 6 results are the same" in said.out
        assert said.err.count("differs (again, stored): look/") == 3
        assert "value.count[0]: " in said.err
    assert "3 done" in typed("train.py", "-exp=steady", "-status").out


def test_what_is_not_stored_is_told(typed, steady, tmp_path):
    steady('{"all": [1.0, 2.0]}')
    shutil.rmtree(tmp_path / "my_sessions" / "look")
    said = typed("train.py", "-exp=steady", "-verify=2")
    assert "2 of 2 results are the same" in said.out
    assert "not compared: 2 results that are not stored" in said.err


def test_nothing_stored_and_words_that_do_not_fit(typed, steady):
    assert "has no stored models to verify" in typed("train.py", "-exp=chain", "-verify=1", status=2).err
    assert "to compare or to change" in typed("train.py", "-exp=chain", "-verify=1", "-force", status=2).err
    assert "number of models" in typed("train.py", "-exp=chain", "-verify=-1", status=2).err
