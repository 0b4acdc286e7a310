"""Grid points of networks by name, users' own and published ones, as ``train.py -arch=name`` makes them."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from jaxrobust import data
from jaxrobust.networks.named import NAMED
from jaxrobust.networks.own.registry import OwnNetwork, registered
from jaxrobust.registry import attribute_helps
from jaxrobust.studies.named import registry_of
from jaxrobust.studies.training_points import training_point
from jaxrobust.studies.typed_words import words_of
from jaxrobust.training.schedule import Phases

# Trained on if no data set is given; the digits come with scikit-learn.
DEFAULT_DATASET = "digits"
DATASET_OF_NAMED = "cifar10"


def typed_networks() -> dict[str, Any]:
    """Every network that typed points hold under a name: published ones, and those that were registered."""
    return {**NAMED, **registered()}


def own_point(name: str, dataset: str = "") -> dict[str, Any]:
    """The grid point of a typed network with every default.

    Args:
        name: One of ``typed_networks()``.
        dataset: Name of the data set; empty for digits, for a published network CIFAR-10.

    Raises:
        InputError: The network does not work for the data.
    """
    network = typed_networks()[name]
    dataset = dataset or (DEFAULT_DATASET if isinstance(network, OwnNetwork) else DATASET_OF_NAMED)
    schedule = Phases(n_epochs=(20.0,), learning_rates=(1e-3,))
    return training_point(network, dataset, schedule=schedule, eval_step_interval=100)


def settings_by_path(name: str, settings: Mapping[str, str]) -> dict[str, str]:
    """Typed words with settings of the network by their path: ``width`` as ``network.width``."""
    network = typed_networks()[name]
    own = dict(network.settings) if isinstance(network, OwnNetwork) else {f.name for f in fields(network)}
    return {f"network.{word}" if word in own else word: text for word, text in settings.items()}


def identified(point: Mapping[str, Any]) -> dict[str, Any]:
    """A grid point whose data set, if it is the user's own, stands there by its digest."""
    dataset = point.get("dataset")
    return {**point, "dataset": data.identify(dataset)} if isinstance(dataset, str) else dict(point)


def described_settings(point: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Every word that can be typed for a typed point, ``-name=value``, with its documented meaning."""
    rows = []
    for name, value in point.items():
        if name in ("method", "criterion", "optimizer"):
            rows += _by_name(name, value)
        rows += [(word, _help(name, value, word)) for word in words_of({name: value})]
    return rows


def _by_name(path: str, value: Any) -> Iterator[tuple[str, str]]:
    """The words in whose place a name can be typed: a method, and its base, attack or perturbation."""
    if not is_dataclass(value):
        return
    if (registry := registry_of(value)) is not None:
        yield f"-{path}", f"by name: {', '.join(registry.named)}"
    for field in fields(value):
        yield from _by_name(f"{path}.{field.name}", getattr(value, field.name))


def _help(name: str, value: Any, word: str) -> str:
    path = word.removeprefix("-").partition("=")[0].split(".")[1:]
    if isinstance(value, OwnNetwork):
        return "setting of the network" if path else ""
    for step in path[:-1]:
        value = getattr(value, step)
    if path:
        return attribute_helps(type(value)).get(path[-1], "")
    return attribute_helps_of_points().get(name, "")


def attribute_helps_of_points() -> dict[str, str]:
    """What each argument of ``training_point`` means."""
    helps, (_, _, section) = {}, (training_point.__doc__ or "").partition("Args:")
    for line in section.partition("Raises:")[0].splitlines():
        name, colon, meaning = line.strip().partition(": ")
        if colon and name.isidentifier():
            helps[name] = meaning
    return helps
