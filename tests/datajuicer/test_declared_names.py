"""Names that classes declare for their keys, so that they can move."""

import enum
from dataclasses import dataclass

import pytest

from datajuicer import UsageError
from datajuicer.keys import digest, lasting_name


@dataclass
class Moved:
    __key_name__ = "old_module:Moved"
    x: int


@dataclass
class Heir(Moved):
    pass


class Mode(enum.Enum):
    __key_name__ = "old_module:Mode"
    A = 1


def test_a_declared_name_stands_for_module_and_class():
    assert lasting_name(Moved) == "old_module:Moved"
    assert lasting_name(Mode) == "old_module:Mode"
    assert list(Mode) == [Mode.A]
    here = dataclass(type("Moved", (), {"__annotations__": {"x": int}, "__module__": "old_module"}))
    assert digest(Moved(1)) == digest(here(1))


def test_a_declared_name_is_not_inherited():
    assert lasting_name(Heir) == f"{__name__}:Heir"
    assert digest(Heir(1)) != digest(Moved(1))


def test_two_classes_that_declare_one_name_are_an_error():
    digest(Moved(1))
    other = dataclass(type("Other", (), {"__key_name__": "old_module:Moved", "__annotations__": {"x": int}}))
    with pytest.raises(UsageError, match=r"Moved and .*Other both declare __key_name__.*change one"):
        digest(other(1))


def test_a_class_may_be_defined_again_under_its_declared_name():
    again = dataclass(
        type("Moved", (), {n: v for n, v in vars(Moved).items() if n not in ("__dict__", "__weakref__")})
    )
    assert digest(again(1)) == digest(Moved(1))


def test_a_declared_name_must_be_text():
    with pytest.raises(UsageError, match=r"__key_name__ = 3; it must be text"):
        lasting_name(type("Odd", (), {"__key_name__": 3}))
