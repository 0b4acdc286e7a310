"""Users' arrays: checked, brought to the library's dtypes, and divided into three parts."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from jaxrobust.data.dataset import Examples, Parts
from jaxrobust.data.sampling import stratified_parts
from jaxrobust.errors import InputError

# What is drawn from the training data for a part that is not given.
SHARES = {"validation": 0.1, "test": 0.2}
SEED = 0
# The label of time steps behind the end of a sequence; criteria leave these out (``counted_steps``).
NO_CLASS = -1


class Given(NamedTuple):
    """One part as the user gives it.

    Attributes:
        inputs: ``(n, height, width, channels)``, ``(n, time, features)`` or ``(n, features)``.
        labels: ``(n,)`` integers or words, ``(n, time)`` integers, or floating-point targets ``(n, ...)``.
        lengths: ``(n,)`` valid time steps of each sequence; None if all are valid. Labels per time step have
            none behind these.
        groups: ``(n,)`` patient, speaker or file of each sample; None if unknown. No group is divided.
    """

    inputs: Any
    labels: Any
    lengths: Any = None
    groups: Any = None


def make_parts(
    source: str, given: dict[str, Given | None], classes: Sequence[str] | None
) -> tuple[Parts, str]:
    """Check and complete the parts of a data set.

    Args:
        source: A phrase for captions.
        given: ``"train"``, ``"validation"`` and ``"test"``; what is None is drawn from ``"train"``.
        classes: Names of the classes; None for ``"0"``, ``"1"``, … or the words that the labels are.

    Returns:
        The parts, and a sentence on what was drawn, empty if nothing was.

    Raises:
        InputError: Arrays that cannot be used, with the part, the reason and the remedy.
    """
    if given.get("train") is None:
        raise InputError("A data set needs train=(inputs, labels).")
    given = {part: None if each is None else _without_padding(part, each) for part, each in given.items()}
    names = _class_names(given, classes)
    parts = {part: _examples(part, arrays, names) for part, arrays in given.items() if arrays is not None}
    shapes = {part: examples.inputs.shape[1:] for part, examples in parts.items()}
    for part, shape in shapes.items():
        if shape != shapes["train"]:
            raise InputError(
                f"Samples of {part} have shape {shape}, those of train {shapes['train']}: give both the same."
            )
    parts, sentence = _completed(parts)
    if names is None:
        targets = parts["train"].labels
        names = tuple(f"y{i}" for i in range(targets.shape[-1]))
    for part, examples in parts.items():
        if not len(examples):
            raise InputError(f"The {part} part is empty: give it, or more training data to draw it from.")
    source = f"{source} ({sentence})" if sentence else source
    return Parts(source, names, parts["train"], parts["validation"], parts["test"], False), sentence


def with_lengths(inputs: np.ndarray, lengths: Any, part: str) -> np.ndarray:
    """Set padding to 0 and append a channel that is 1 at valid time steps and 0 at padding.

    Raises:
        InputError: No sequences, or lengths that do not fit them.
    """
    is_valid = valid_steps(inputs, lengths, part)[..., None]
    return np.concatenate([np.where(is_valid, inputs, 0), is_valid], axis=-1, dtype=np.float32)


def valid_steps(inputs: np.ndarray, lengths: Any, part: str) -> np.ndarray:
    """Which time steps ``(n, time)`` of sequences ``(n, time, features)`` are no padding.

    Raises:
        InputError: No sequences, or lengths that do not fit them.
    """
    lengths = np.asarray(lengths)
    if inputs.ndim != 3:
        raise InputError(f"lengths of {part} belong to sequences (n, time, features), not {inputs.shape}.")
    if lengths.shape != inputs.shape[:1] or not np.issubdtype(lengths.dtype, np.integer):
        raise InputError(
            f"lengths of {part} are {lengths.dtype} of shape {lengths.shape} for {len(inputs)} samples: "
            f"give one whole number per sample."
        )
    if len(lengths) and not (lengths.min() >= 1 and lengths.max() <= inputs.shape[1]):
        raise InputError(
            f"lengths of {part} reach from {lengths.min()} to {lengths.max()}, but sequences have "
            f"{inputs.shape[1]} time steps: give numbers from 1 to {inputs.shape[1]}."
        )
    return np.arange(inputs.shape[1]) < lengths[:, None]


def _without_padding(part: str, given: Given) -> Given:
    """The same with the first step's labels at padding, as what stands there does not matter."""
    inputs, labels = np.asarray(given.inputs), np.asarray(given.labels)
    if given.lengths is None or inputs.ndim != 3 or not _is_per_step(labels, inputs):
        return given
    if labels.dtype.kind == "f" and labels.ndim == 2:
        raise InputError(
            f"Targets of {part} have shape {labels.shape}: with lengths give (n, time, targets), "
            f"{(*labels.shape, 1)} for one target per time step."
        )
    is_valid = valid_steps(inputs, given.lengths, part).reshape(labels.shape[:2] + (1,) * (labels.ndim - 2))
    return given._replace(labels=np.where(is_valid, labels, labels[:, :1]))


def _is_per_step(labels: np.ndarray, inputs: np.ndarray) -> bool:
    n_axes = (2, 3) if labels.dtype.kind == "f" else (2,)
    return labels.ndim in n_axes and labels.shape[:2] == inputs.shape[:2]


def _class_names(given: dict[str, Given | None], classes: Sequence[str] | None) -> tuple[str, ...] | None:
    """The names of the classes; None for a regression."""
    assert given["train"] is not None
    labels = np.asarray(given["train"].labels)
    if classes is not None:
        if np.issubdtype(labels.dtype, np.floating):
            raise InputError(
                "Labels of train are floating-point numbers, which are targets of a regression: give whole "
                "numbers for classes, or leave classes out."
            )
        if len(set(classes)) != len(classes) or len(classes) < 2:
            raise InputError(f"classes must be at least two different names, not {list(classes)}.")
        return tuple(str(name) for name in classes)
    if labels.dtype.kind in "US":
        return tuple(str(name) for name in np.unique(labels))
    if np.issubdtype(labels.dtype, np.floating):
        return None
    if labels.dtype.kind not in "biu":
        raise InputError(f"Labels of train are {labels.dtype}: give whole numbers, one per sample.")
    largest = max(int(np.max(each.labels)) for each in given.values() if each and np.size(each.labels))
    return tuple(map(str, range(largest + 1)))


def _examples(part: str, given: Given, classes: tuple[str, ...] | None) -> Examples:
    inputs = _inputs(part, given)
    labels = _labels(part, np.asarray(given.labels), inputs, classes)
    if given.lengths is not None:
        inputs = with_lengths(inputs, given.lengths, part)
        if _is_per_step(labels, inputs):
            labels[inputs[..., -1] == 0] = np.nan if classes is None else NO_CLASS
    groups = None if given.groups is None else np.asarray(given.groups, np.int64)
    return Examples(inputs, labels, groups)


def _inputs(part: str, given: Given) -> np.ndarray:
    raw = np.asarray(given.inputs)
    if raw.dtype.kind not in "biuf" or raw.ndim < 2:
        raise InputError(
            f"Inputs of {part} are {raw.dtype} of shape {raw.shape}: give numbers (n, height, width, "
            f"channels) for images, (n, time, features) for sequences or (n, features)."
        )
    inputs = raw.astype(np.float32)
    if raw.dtype == np.uint8 and raw.ndim == 4:
        inputs /= 255
    odd = [i for i, row in enumerate(inputs) if not np.isfinite(row).all()]
    if odd and given.lengths is not None:  # what padding holds does not matter
        is_valid = valid_steps(inputs, given.lengths, part)
        odd = [i for i in odd if not np.isfinite(inputs[i, is_valid[i]]).all()]
    if odd:
        raise InputError(
            f"Inputs of {part} are not finite in {len(odd)} samples, the first is {odd[0]}: "
            f"leave these out or replace what is missing."
        )
    return inputs


def _labels(part: str, labels: np.ndarray, inputs: np.ndarray, classes: tuple[str, ...] | None) -> np.ndarray:
    if labels.shape[:1] != inputs.shape[:1]:
        raise InputError(
            f"There are {len(inputs)} inputs but {len(labels) if labels.ndim else 'no'} labels of {part}: "
            f"give one label per sample."
        )
    if classes is None:
        if labels.dtype.kind == "f" and labels.ndim == 2 and labels.shape[1] > 1 and _is_one_hot(labels):
            raise InputError(_one_hot(part, labels))
        if labels.dtype.kind != "f" or not np.isfinite(labels).all():
            raise InputError(f"Targets of {part} must be finite floating-point numbers, as those of train.")
        targets = labels.astype(np.float32)
        return targets[:, None] if targets.ndim == 1 else targets
    if labels.dtype.kind in "US":
        if odd := sorted(set(labels.ravel().astype(str)) - set(classes)):
            raise InputError(
                f"Labels of {part} name the class {str(odd[0])!r}; the classes are {', '.join(classes)}."
            )
        return _index(labels, classes)
    _check_shape(part, labels, inputs, len(classes))
    if labels.dtype.kind not in "biu":
        raise InputError(f"Labels of {part} are {labels.dtype}: give whole numbers, one per sample.")
    if labels.size and not (labels.min() >= 0 and labels.max() < len(classes)):
        raise InputError(
            f"Labels of {part} reach from {labels.min()} to {labels.max()}, but there are {len(classes)} "
            f"classes: give 0 to {len(classes) - 1}."
        )
    return labels.astype(np.int32)


def _index(labels: np.ndarray, classes: tuple[str, ...]) -> np.ndarray:
    place = {name: i for i, name in enumerate(classes)}
    return np.array([place[str(label)] for label in labels.ravel()], np.int32).reshape(labels.shape)


def _check_shape(part: str, labels: np.ndarray, inputs: np.ndarray, n_classes: int) -> None:
    if labels.ndim == 1:
        return
    if labels.ndim == 2 and labels.shape[1] == 1:
        raise InputError(f"Labels of {part} are a column {labels.shape}: give labels[:, 0].")
    if labels.ndim == 2 and _is_one_hot(labels):
        raise InputError(_one_hot(part, labels))
    if not (labels.ndim == 2 and inputs.ndim == 3 and labels.shape[1] == inputs.shape[1]):
        raise InputError(
            f"Labels of {part} have shape {labels.shape} for inputs {inputs.shape}: give one number per "
            f"sample, or (n, time) for one per time step."
        )


def _is_one_hot(labels: np.ndarray) -> bool:
    return bool(np.isin(labels, (0, 1)).all()) and bool((labels.sum(axis=1) == 1).all())


def _one_hot(part: str, labels: np.ndarray) -> str:
    return f"Labels of {part} are one-hot {labels.shape}: give labels.argmax(axis=1), one number per sample."


def _completed(parts: dict[str, Examples]) -> tuple[dict[str, Examples], str]:
    """Draw missing parts from the training data, each class in the same proportion."""
    missing = [part for part in SHARES if part not in parts]
    if not missing:
        return parts, ""
    train = parts["train"]
    shares = [1 - sum(SHARES[part] for part in missing), *(SHARES[part] for part in missing)]
    # Groups are divided as wholes, by the class of their first sample.
    groups = np.arange(len(train)) if train.groups is None else train.groups
    _, first, member = np.unique(groups, return_index=True, return_inverse=True)
    by_class = train.labels.dtype == np.int32 and train.labels.ndim == 1
    kinds = train.labels[first] if by_class else np.zeros(len(first), np.int32)
    drawn = stratified_parts(kinds, shares, np.random.default_rng(SEED))
    if not all(len(chosen) for chosen in drawn):  # too few samples per class
        drawn = stratified_parts(np.zeros_like(kinds), shares, np.random.default_rng(SEED))
    rows = [np.flatnonzero(np.isin(member, chosen)) for chosen in drawn]
    new = dict(zip(["train", *missing], (_taken(train, chosen) for chosen in rows), strict=True))
    sentence = f"{' and '.join(missing)} drawn from the training data with seed {SEED}"
    return {**parts, **new}, sentence


def _taken(examples: Examples, rows: np.ndarray) -> Examples:
    groups = None if examples.groups is None else examples.groups[rows]
    return replace(examples, inputs=examples.inputs[rows], labels=examples.labels[rows], groups=groups)
