"""Grids written for seml: YAML files with fixed, grid and named sub-configurations.

What the file means is what seml 0.5.7 makes of it (tests/datajuicer/test_seml.py compares where seml is
installed):

* ``fixed`` holds constants, ``grid`` parameters with a ``type``: ``choice`` (``options``), ``range``
  (``min``, ``max``, ``step``; the maximum is left out), ``uniform`` and ``loguniform`` (``min``, ``max``,
  ``num``; both ends are in). Parameters with one ``zip_id`` are swept together; all others make the Cartesian
  product.
* Every other top-level entry but ``seml`` and ``slurm`` is a sub-configuration, which inherits what stands
  above it; a parameter that it defines again replaces that one, in whatever block it stood. With
  sub-configurations, only the innermost ones make points.
* ``noise.std`` and ``noise: {std: ...}`` are the same. Text that is a Python literal is its value: ``1e-3``
  is a float and ``None`` is None, though YAML reads both as text.

``random`` blocks are refused: seeds of another program's draws would be promised.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from datajuicer.errors import UsageError
from datajuicer.grids.grid import Grid

BLOCKS = ("fixed", "grid", "random")
# Settings of seml itself and of its jobs, of which no point depends.
LEFT_OUT = ("seml", "slurm")
TYPES = {
    "choice": ("options",),
    "range": ("min", "max", "step"),
    "uniform": ("min", "max", "num"),
    "loguniform": ("min", "max", "num"),
}
# A parameter by its dotted name: the block it stands in, and its value or definition.
Parameters = dict[str, tuple[str, Any]]


def grid_from_seml(path: str | Path) -> Grid:
    """Read a YAML file of seml as a grid: one point per experiment, nested as its dotted names say.

    Args:
        path: The file.

    Raises:
        UsageError: The file is missing or no such file, or two definitions clash; with the place.
    """
    path = Path(path)
    try:
        import yaml
    except ImportError as error:
        raise UsageError("files of seml are YAML: install PyYAML (pip install pyyaml)") from error
    if not path.is_file():
        raise UsageError(f"there is no file {path}")
    try:
        content = yaml.load(path.read_text(), Loader=_unique_loader(yaml))
    except yaml.YAMLError as error:
        raise UsageError(f"{path} cannot be read as YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise UsageError(f"{path} holds no experiments, but {type(content).__name__}")
    return expand({key: value for key, value in content.items() if key not in LEFT_OUT}, where=str(path))


def expand(config: Mapping[str, Any], *, where: str = "the configuration") -> Grid:
    """Expand the content of such a file, as dicts, into a grid.

    Args:
        config: ``fixed``, ``grid`` and sub-configurations.
        where: Its name in errors.

    Example:
        >>> expand({"fixed": {"seed": 0}, "grid": {"opt.lr": {"type": "choice", "options": ["1e-3", 1]}}})
        [{'seed': 0, 'opt': {'lr': 0.001}}, {'seed': 0, 'opt': {'lr': 1}}]
    """
    points = Grid()
    for name, parameters in _leaves(_literals(config), {}, where):
        points += _points(parameters, name)
    return points


def _unique_loader(yaml: Any) -> Any:
    class Loader(yaml.SafeLoader):
        """Refuses a key that stands twice, of which YAML would silently take the last."""

    def construct(loader: Any, node: Any) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            key = loader.construct_object(key_node, deep=True)
            if key in found:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands twice", key_node.start_mark
                )
            found[key] = loader.construct_object(value_node, deep=True)
        return found

    Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, construct)
    return Loader


def _literals(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _literals(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_literals(inner) for inner in value]
    if isinstance(value, str):
        try:
            return ast.literal_eval(value)
        except (ValueError, SyntaxError):
            return value
    return value


def _leaves(config: Mapping[str, Any], above: Parameters, where: str) -> Iterator[tuple[str, Parameters]]:
    """Yield the innermost configurations with everything that they inherit."""
    own = _level(config, where)
    if not own:
        raise UsageError(f"{where} defines no parameters under fixed or grid")
    _check_prefixes(own, where)
    parameters = {name: entry for name, entry in above.items() if name not in own} | own
    _check_prefixes(parameters, where)
    inner = {key: value for key, value in config.items() if key not in BLOCKS and isinstance(value, Mapping)}
    if not inner:
        yield where, parameters
    for name, child in inner.items():
        yield from _leaves(child, parameters, f"{where}, {name}")


def _level(config: Mapping[str, Any], where: str) -> Parameters:
    if config.get("random"):
        raise UsageError(f"{where} draws parameters at random, which is not read: list them under grid")
    found: Parameters = {}
    for block in ("fixed", "grid"):
        entries = config.get(block) or {}
        if not isinstance(entries, Mapping):
            raise UsageError(f"{where}: {block} must hold named parameters, not {entries!r}")
        for name, value in _flat(entries, is_grid=block == "grid"):
            if name in found:
                raise UsageError(f"{where} defines {name!r} twice, under {found[name][0]} and {block}")
            found[name] = (block, value)
    return found


def _flat(entries: Mapping[Any, Any], *, is_grid: bool, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in entries.items():
        name = f"{prefix}{key}"
        is_definition = is_grid and isinstance(value, Mapping) and isinstance(value.get("type"), str)
        if is_definition and value["type"] == "parameter_collection":
            yield from _flat(value.get("params", {}), is_grid=True, prefix=f"{name}.")
        elif isinstance(value, Mapping) and value and not is_definition:
            yield from _flat(value, is_grid=is_grid, prefix=f"{name}.")
        else:
            yield name, value


def _check_prefixes(parameters: Parameters, where: str) -> None:
    for name in parameters:
        parts = name.split(".")
        for depth in range(1, len(parts)):
            outer = ".".join(parts[:depth])
            if outer in parameters:
                raise UsageError(f"{where} defines both {outer!r} and {name!r}, a part of it: remove one")


def _points(parameters: Parameters, where: str) -> list[dict[str, Any]]:
    bundles: dict[Any, dict[str, list[Any]]] = {}
    for name, (block, definition) in parameters.items():
        if block == "grid":
            values, zip_id = _values(name, definition, where)
            bundles.setdefault(name if zip_id is None else ("zip", zip_id), {})[name] = values
    for key, bundle in bundles.items():
        if len({len(values) for values in bundle.values()}) > 1:
            sizes = ", ".join(f"{name} has {len(values)}" for name, values in bundle.items())
            raise UsageError(f"{where}: parameters with zip_id {key[1]!r} differ in number: {sizes}")
    axes = [list(zip(*bundle.values(), strict=True)) for bundle in bundles.values()]
    names = [name for bundle in bundles.values() for name in bundle]
    fixed = {name: value for name, (block, value) in parameters.items() if block == "fixed"}
    build = _builder([*fixed, *names])
    head = tuple(fixed.values())
    return [build((*head, *itertools.chain.from_iterable(row))) for row in itertools.product(*axes)]


def _builder(names: Sequence[str]) -> Any:
    """Make the function from values to a nested point; compiled once, as a grid has many points."""
    tree: dict[str, Any] = {}
    for place, name in enumerate(names):
        *outer, last = name.split(".")
        node = tree
        for part in outer:
            node = node.setdefault(part, {})
        node[last] = place

    def build(node: dict[str, Any], values: tuple[Any, ...]) -> dict[str, Any]:
        return {
            key: build(inner, values) if isinstance(inner, dict) else values[inner]
            for key, inner in node.items()
        }

    return lambda values: build(tree, values)


def _values(name: str, definition: Any, where: str) -> tuple[list[Any], Any]:
    import numpy as np  # not at the top: importing the engine stays quick

    kind = definition.get("type") if isinstance(definition, Mapping) else None
    if kind not in TYPES:
        raise UsageError(
            f"{where}: the parameter {name!r} under grid needs a type ({', '.join(TYPES)}), but is "
            f"{definition!r}"
        )
    wrong = set(TYPES[kind]) ^ (set(definition) - {"type", "zip_id"})
    if wrong:
        raise UsageError(
            f"{where}: {name!r} of type {kind} takes {', '.join(TYPES[kind])}; missing or unexpected are "
            f"{', '.join(sorted(map(str, wrong)))}"
        )
    if kind == "choice":
        values = list(definition["options"])
    else:
        numbers = [definition[key] for key in TYPES[kind]]
        if not all(isinstance(number, int | float) for number in numbers):
            raise UsageError(f"{where}: {name!r} of type {kind} needs numbers, not {numbers}")
        first, last, third = numbers
        if kind == "range":
            values = np.arange(first, last, third).tolist()
        elif kind == "uniform":
            values = np.linspace(first, last, int(third)).tolist()
        else:
            values = np.logspace(np.log10(first), np.log10(last), int(third)).tolist()
    return values, definition.get("zip_id")
