"""What every data set is once it has been loaded: labelled arrays and where they come from."""

from dataclasses import dataclass

import numpy as np

from jaxrobust.errors import InputError


@dataclass(frozen=True)
class Examples:
    """Labelled samples of one part (training, validation or test).

    Attributes:
        inputs: float32, `(n, h, w, c)` in [0, 1] for images, `(n, time, features)` for sequences.
            Memory-mapped and read-only after `load`.
        labels: int32, `(n,)` or `(n, time)`, each an index into the data set's `classes`; or float32
            `(n, ...)`, targets of a regression or of another network. At the padding of sequences with a
            label per time step -1, or NaN.
        groups: int64, `(n,)`: the patient or speaker each sample comes from; None where nobody is known.

    Raises:
        InputError: the three do not have the same length, or have other types than these.
    """

    inputs: np.ndarray
    labels: np.ndarray
    groups: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.inputs.dtype != np.float32 or self.inputs.ndim < 2:
            raise InputError(
                f"Inputs are {self.inputs.dtype} of shape {self.inputs.shape}: "
                "give a float32 array with one row a sample."
            )
        is_target = self.labels.dtype == np.float32
        n_axes = self.labels.ndim if is_target else min(self.labels.ndim, 2)
        if (
            not (is_target or self.labels.dtype == np.int32)
            or self.labels.shape[:1] != self.inputs.shape[:1]
            or self.labels.ndim != n_axes
        ):
            raise InputError(
                f"Labels are {self.labels.dtype} of shape {self.labels.shape} for {len(self.inputs)} inputs: "
                "give one int32 per sample (or per time step), or float32 targets, one row per sample."
            )
        if self.groups is not None and self.groups.shape != self.labels.shape[:1]:
            raise InputError(
                f"Groups have shape {self.groups.shape} for {len(self.labels)} samples: "
                "give one number a sample."
            )

    def __len__(self) -> int:
        return len(self.labels)

    def at_even_distances(self, n_samples: int) -> "Examples":
        """Return `n_samples` of them at even distances; all for 0, or if there are no more."""
        n_all = len(self)
        if not 0 < n_samples < n_all:
            return self
        chosen = np.arange(n_samples) * n_all // n_samples
        groups = None if self.groups is None else self.groups[chosen]
        return Examples(self.inputs[chosen], self.labels[chosen], groups)

    def counts(self, classes: int) -> tuple[int, ...]:
        """How many samples each of the first `classes` classes has."""
        labels = self.labels.ravel()
        return tuple(int(count) for count in np.bincount(labels[labels >= 0], minlength=classes))


@dataclass(frozen=True)
class Parts:
    """What a data set's `build` hands over for storage: three parts and a phrase for their source."""

    source: str
    classes: tuple[str, ...]
    train: Examples
    validation: Examples
    test: Examples
    needs_every_class: bool = True  # in every part


@dataclass(frozen=True)
class Dataset:
    """A data set, ready for training.

    Attributes:
        name: what it is called in `DATASETS`, as in "mitdb".
        source: one phrase for captions and tables, as in "MIT-BIH Arrhythmia Database 1.0.0".
        split: how the samples were divided, as in "patients".
        classes: the name of each label.
        train, validation, test: the three parts; no sample lies in two of them.
        synthetic: True where a generator made the samples. Never mix these with real ones in a table.
        fingerprint: a digest of all arrays: equal fingerprints mean equal numbers.
        has_lengths: True if the last feature of sequences is 1 at valid time steps and 0 at padding.
    """

    name: str
    source: str
    split: str
    classes: tuple[str, ...]
    train: Examples
    validation: Examples
    test: Examples
    synthetic: bool
    fingerprint: str
    has_lengths: bool = False

    @property
    def n_outputs(self) -> int:
        """How many outputs a network for these data has: one per class, or one per target of a regression."""
        return len(self.classes)

    @property
    def is_regression(self) -> bool:
        """True if labels are floating-point targets."""
        return self.train.labels.dtype == np.float32

    @property
    def has_steps(self) -> bool:
        """True if there is one label per time step."""
        return self.train.labels.dtype == np.int32 and self.train.labels.ndim == 2

    def __repr__(self) -> str:
        shape = "x".join(map(str, self.train.inputs.shape[1:]))
        sizes = " / ".join(str(len(part)) for part in (self.train, self.validation, self.test))
        what = f"{len(self.classes)} {'targets' if self.is_regression else 'classes'}"
        return (
            f"Dataset({self.name!r}, split={self.split!r}: {sizes} samples of {shape}, {what}, "
            f"{self.source!r})"
        )
