"""Dotted words: read as the types that a dataclass declares."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal

import pytest

from jaxrobust.errors import InputError
from jaxrobust.studies.typed_words import configured, words_of


class Norm(Enum):
    INF = "inf"
    TWO = "2"


@dataclass(frozen=True)
class Attack:
    size: float = 0.1
    n_steps: int = 3
    norm: Norm = Norm.INF
    start: Literal["zero", "random"] = "zero"
    sizes: tuple[float, ...] = (0.1,)
    seed: int | None = None

    def __post_init__(self):
        if self.size < 0:
            raise ValueError("size must be at least 0")


@dataclass(frozen=True)
class Method:
    attack: Attack = field(default_factory=Attack)
    anything: Any = 2.0


def changed(word, text):
    (point,) = configured([{"method": Method(), "seed": 0}], {word: text})
    return point["method"].attack if word.startswith("method.attack") else point


@pytest.mark.parametrize(
    ("word", "text", "expected"),
    [
        ("size", "1", Attack(size=1.0)),
        ("n_steps", "7", Attack(n_steps=7)),
        ("norm", "2", Attack(norm=Norm.TWO)),
        ("norm", "TWO", Attack(norm=Norm.TWO)),
        ("start", "random", Attack(start="random")),
        ("sizes", "0.1,2", Attack(sizes=(0.1, 2.0))),
        ("seed", "4", Attack(seed=4)),
        ("seed", "none", Attack(seed=None)),
    ],
)
def test_a_word_sets_one_field(word, text, expected):
    found = changed(f"method.attack.{word}", text)
    assert found == expected
    assert all(type(a) is type(b) for a, b in zip(vars(found).values(), vars(expected).values(), strict=True))


def test_a_plain_value_and_an_undeclared_one_keep_their_type():
    assert changed("seed", "3")["seed"] == 3
    assert changed("method.anything", "3")["method"].anything == 3.0
    assert configured([{"rates": (0.1, 0.2)}], {"rates": "1,2,3"}) == [{"rates": (1.0, 2.0, 3.0)}]


@pytest.mark.parametrize(
    ("word", "text", "says"),
    [
        ("method.attack.norm", "3", "must be one of INF, TWO"),
        ("method.attack.start", "rand", "must be one of zero, random"),
        ("method.attack.sizes", "a,b", "must be values separated by commas"),
        ("method.attack.n_steps", "1e3", "must be a whole number"),
        ("method.attack.seed", "x", "must be a whole number or none"),
        ("method.attack.size", "-1", "size must be at least 0"),
        ("method.attack.sise", "1", "Did you mean 'size'?"),
        ("sed", "1", "Did you mean 'seed'?"),
        ("seed", "a", "seed must be a whole number"),
        ("method", "1", "set one of its settings"),
    ],
)
def test_what_cannot_be_set_is_one_sentence(word, text, says):
    with pytest.raises(InputError, match=says.replace("?", r"\?")) as raised:
        changed(word, text)
    assert "\n" not in str(raised.value)


def test_a_setting_that_some_points_lack_is_set_in_the_others():
    grid = [{"method": Method(), "n": 0}, {"n": 1}]
    first, other = configured(grid, {"method.attack.size": "0.5"})
    assert first["method"].attack.size == 0.5
    assert other == {"n": 1}


def test_words_of_a_point_can_be_typed_again():
    words = list(words_of({"method": Method(), "seed": 0}))
    assert "-method.attack.size=0.1" in words
    assert "-method.attack.sizes=0.1" in words
    assert "-seed=0" in words
