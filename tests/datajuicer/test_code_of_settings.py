"""Functions, classes and instances among the settings: an edit of their code is reported, or recomputed."""

import sys
import types

import pytest

import datajuicer as dj
from datajuicer import StoreWarning

SOURCE = """
import enum
from dataclasses import dataclass

def helper(x):
    return {helper} * x

def loss(x):
    {comment}
    return {loss} * helper(x)

def other_loss(x):
    return {other} * x

@dataclass(frozen=True)
class Scaled:
    size: float

    def go(self, x):
        return {loss} * self.size * x

class Net(enum.Enum):
    SMALL = 1
    {member}

CALLS = []

@dj.cachable(table_name="f", on_code_change={mode!r})
def f(setting, x):
    CALLS.append(x)
    if isinstance(setting, dict):
        setting = setting["inner"][0]
    if hasattr(setting, "value"):
        return setting.value * x
    if isinstance(setting, type):
        setting = setting(1.0)
    return setting.go(x) if hasattr(setting, "go") else setting(x)
"""
PIECES = {"helper": 1, "loss": 2, "other": 3, "comment": "", "member": "", "mode": "recompute"}
SETTINGS = {
    "function": lambda space: space["loss"],
    "class": lambda space: space["Scaled"],
    "instance": lambda space: space["Scaled"](1.0),
    "function inside": lambda space: {"inner": [space["loss"]]},
}


@pytest.fixture
def edited(load, tmp_path, monkeypatch):
    """Runs `f` for 1 on a setting of the source with some pieces; gives the value and the number of calls."""

    def run(setting, **pieces):
        module = types.ModuleType("settings_module")
        monkeypatch.setitem(sys.modules, "settings_module", module)
        vars(module).update(load(tmp_path, SOURCE.format(**{**PIECES, **pieces}), "settings_module"))
        space = vars(module)
        (value,) = dj.run({}, space["f"], cache_dir=tmp_path / "s")(setting(space), 1)
        return value, len(space["CALLS"])

    return run


@pytest.mark.parametrize("kind", SETTINGS)
def test_an_edit_is_computed_again(kind, edited):
    assert edited(SETTINGS[kind]) == (2, 1)
    assert edited(SETTINGS[kind]) == (2, 0)
    assert edited(SETTINGS[kind], loss=30) == (30, 1)


@pytest.mark.parametrize("kind", SETTINGS)
def test_an_edit_is_told(kind, edited):
    edited(SETTINGS[kind], mode="warn")
    name = "Scaled" if kind in ("class", "instance") else "loss"
    with pytest.warns(StoreWarning, match=f"changed: {name}"):
        assert edited(SETTINGS[kind], loss=30, mode="warn") == (2, 0)


def test_what_a_setting_reaches_counts_too(edited):
    assert edited(SETTINGS["function"]) == (2, 1)
    assert edited(SETTINGS["function"], helper=5) == (10, 1)


@pytest.mark.parametrize("piece", [{"comment": "# of no account"}, {"other": 4}])
@pytest.mark.parametrize("kind", SETTINGS)
def test_what_is_no_change_of_a_setting_stays_a_hit(kind, piece, edited, quiet):
    assert edited(SETTINGS[kind]) == (2, 1)
    assert edited(SETTINGS[kind], **piece) == (2, 0)


def test_another_member_of_an_enum_is_no_change(edited, quiet):
    assert edited(lambda space: space["Net"].SMALL) == (1, 1)
    assert edited(lambda space: space["Net"].SMALL, member="LARGE = 2") == (1, 0)


def test_a_nearest_result_with_another_function_is_not_of_earlier_code(load, tmp_path, monkeypatch):
    module = types.ModuleType("settings_module")
    monkeypatch.setitem(sys.modules, "settings_module", module)
    vars(module).update(load(tmp_path, SOURCE.format(**PIECES), "settings_module"))
    space = vars(module)
    dj.run({}, space["f"], cache_dir=tmp_path / "s")(space["loss"], 1)
    (found,) = dj.explain({}, space["f"], tmp_path / "s")(space["other_loss"], 1)
    assert [name for name, *_ in found.differences] == ["setting"]
