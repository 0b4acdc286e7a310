"""What computations cost, by the times in the records of a store.

A training that was never made costs what the most similar one in the store took, in proportion to its
gradients: steps, times one plus the steps of its attacks. Similar means the same function on the same data;
among those the one with the most equal settings. Times of accelerators do not count. This is right within a
factor of two or so on one machine, which is what a question before a run of hours needs.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import datajuicer as dj
from datajuicer.running.plan import Call
from datajuicer.store.record import Record
from datajuicer.store.values import describe

DATASET = "model:dataset"
# Settings that change nothing about how long a training takes.
_FREE = {"model:seed", "model:seeds", "model:split", "model:eval_step_interval", "model:learning_rate"}


class Cost(NamedTuple):
    """The time of several computations.

    Attributes:
        seconds: Of those whose time is known.
        known: How many these are.
        unknown: How many are like nothing in the store.
    """

    seconds: float = 0.0
    known: int = 0
    unknown: int = 0


@dataclass
class Costs:
    """The times in a store, read when a function is first asked about."""

    store: dj.Store
    _records: dict[str, list[Record]] = field(default_factory=dict)

    def of(self, calls: Sequence[Call]) -> Cost:
        """The cost of calls: stored times, and estimates for what was never computed."""
        times = [self.seconds(call) for call in calls]
        known = [time for time in times if time is not None]
        return Cost(sum(known), len(known), len(times) - len(known))

    def seconds(self, call: Call) -> float | None:
        """What a call took, or would take; None if it is like nothing in the store."""
        records = self._of_function(call.name)
        for record in records:
            if record["key"] == call.key:
                return record["seconds"]
        described = {name: describe(value) for name, value in call.dependencies.items()}
        similar = [r for r in records if r["dependencies"].get(DATASET) == described.get(DATASET)]
        if not similar:
            return None
        nearest = max(similar, key=lambda record: _n_equal(record["dependencies"], described))
        work, done = _work(described), _work(nearest["dependencies"])
        return nearest["seconds"] * work / done if work and done else nearest["seconds"]

    def _of_function(self, name: str) -> list[Record]:
        if name not in self._records:
            found = [r for r in self.store.records(name) if r.get("seconds") and _is_of_a_core(r)]
            # models that trained side by side share the time of their program
            self._records[name] = [{**r, "seconds": r["seconds"] / r.get("batch", 1)} for r in found]
        return self._records[name]


def _is_of_a_core(record: Record) -> bool:
    return record.get("notes", {}).get("device", "cpu") == "cpu"


def _n_equal(one: Mapping[str, Any], other: Mapping[str, Any]) -> int:
    return sum(one.get(name) == value for name, value in other.items() if name not in _FREE)


def _work(described: Mapping[str, Any]) -> float:
    """The gradients of a training, up to a factor that trainings on the same data share."""
    numbers: dict[str, float] = {}
    for name, value in _numbers(described):
        numbers[name] = numbers.get(name, 0.0) + value
    if "length" in numbers:  # a schedule in steps
        steps = numbers["length"] * numbers.get("batch_size", 1.0)
    else:
        steps = numbers.get("n_epochs", 0.0)
    is_attacked = numbers.get("beta_robustness", 1.0) or numbers.get("awp", 0.0)
    attack = numbers.get("n_attack_steps", 0.0) if is_attacked else 0.0
    return steps * (1.0 + attack + numbers.get("n_steps", 0.0))


def _numbers(value: Any, name: str = "") -> Iterator[tuple[str, float]]:
    """Every number in a described value with the name of its field; probes take no part in training."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key != "model:probes":
                yield from _numbers(inner, name if key.startswith("$") else key.removeprefix("model:"))
    elif isinstance(value, list):
        for inner in value:
            yield from _numbers(inner, name)
    elif isinstance(value, int | float):
        yield name, float(value)
