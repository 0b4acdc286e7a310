"""MIT-BIH Arrhythmia Database: heartbeats of four classes, two leads, 100 samples at 180 Hz."""

import contextlib
import io
import warnings
from pathlib import Path

import numpy as np

from jaxrobust.data.dataset import Examples, Parts
from jaxrobust.data.ecg.beat_windows import CLASSES, SHAPE, SYMBOLS, WINDOW, published_windows, r_peak_windows
from jaxrobust.data.ecg.mitdb_records import RECORDS, read_record
from jaxrobust.data.recipe import Files, Progress, Recipe
from jaxrobust.data.sampling import draw_evenly, stratified_parts
from jaxrobust.data.sources import below, reach
from jaxrobust.errors import InputError

_SEED = 42
_PUBLISHED_PER_CLASS = 3350

# P. de Chazal, M. O'Dwyer, R. B. Reilly, IEEE Trans. Biomed. Eng. 51(7):1196-1206, 2004: records divided by
# patient, without the paced 102, 104, 107, 217. Their DS1 also has 201, which is the same patient as 202 in
# DS2, so that it is left out here.
# fmt: off
TEST_RECORDS = (
    "100", "103", "105", "111", "113", "117", "121", "123", "200", "202", "210", "212", "213", "214", "219",
    "221", "222", "228", "231", "232", "233", "234",
)
# Of the DS1 patients only 109 and 207 have left bundle branch block, so one of the two must be
# for validation.
VALIDATION_RECORDS = ("112", "205", "207", "220", "223")
TRAINING_RECORDS = (
    "101", "106", "108", "109", "114", "115", "116", "118", "119", "122", "124", "203", "208", "209", "215",
    "230",
)
# fmt: on
# Bundle branch block occurs in so few patients that no network learns it for new ones (docs/data.md has
# figures); the two classes that many patients share have a split of their own.
_NORMAL_PVC = ("normal", "PVC")
# At most so many beats a class, drawn evenly from the patients: balanced where there are enough.
_PATIENTS_PER_CLASS = {"train": 2500, "validation": 250, "test": 500}


def build(split: str, folder: Path, progress: Progress) -> Parts:
    """The arrays of one split: inputs `(n, 100, 2)`, labels into `CLASSES`, groups = record numbers.

    Raises:
        InputError: a record is missing or damaged, or a class has no beats.
    """
    names = RECORDS if split == "published" else TRAINING_RECORDS + VALIDATION_RECORDS + TEST_RECORDS
    make_windows = published_windows if split == "published" else r_peak_windows
    beats: dict[str, Examples] = {}
    for done, name in enumerate(names):
        progress("reading heartbeats", done, len(names))
        windows, labels = make_windows(read_record(folder, name))
        beats[name] = Examples(windows, labels, np.full(len(labels), int(name), np.int64))
    progress("reading heartbeats", len(names), len(names))
    random = np.random.default_rng(_SEED)
    if split == "published":
        classes = CLASSES
        train, validation, test = _split_by_beat(_join(beats, RECORDS), random)
    else:
        classes = _NORMAL_PVC if split == "patients_normal_pvc" else CLASSES
        train, validation, test = (
            _capped(_join(beats, records), classes, _PATIENTS_PER_CLASS[part], f"the {part} records", random)
            for part, records in (
                ("train", TRAINING_RECORDS),
                ("validation", VALIDATION_RECORDS),
                ("test", TEST_RECORDS),
            )
        )
    return Parts("MIT-BIH Arrhythmia Database 1.0.0", classes, train, validation, test)


def _split_by_beat(beats: Examples, random: np.random.Generator) -> tuple[Examples, Examples, Examples]:
    fewest = min(beats.counts(len(CLASSES)))
    if fewest < _PUBLISHED_PER_CLASS:
        symbol = SYMBOLS[beats.counts(len(CLASSES)).index(fewest)]
        raise InputError(
            f"mitdb has only {fewest} usable beats of class {symbol!r} where the published split takes "
            f"{_PUBLISHED_PER_CLASS}: check that all annotation files are the original ones."
        )
    rows = [
        random.choice(np.flatnonzero(beats.labels == label), _PUBLISHED_PER_CLASS, replace=False)
        for label in range(len(CLASSES))
    ]
    balanced = _take(beats, np.sort(np.concatenate(rows)))
    train, validation, test = stratified_parts(balanced.labels, (0.8, 0.1, 0.1), random)
    return _take(balanced, train), _take(balanced, validation), _take(balanced, test)


def _capped(
    beats: Examples, classes: tuple[str, ...], most: int, where: str, random: np.random.Generator
) -> Examples:
    """At most `most` beats of each of `classes`, evenly from the patients, labelled by place in `classes`."""
    assert beats.groups is not None
    rows = []
    for name in classes:
        members = np.flatnonzero(beats.labels == CLASSES.index(name))
        if not len(members):
            raise InputError(
                f"mitdb has no usable beats of class {name!r} in {where}: "
                "check that all annotation files are the original ones."
            )
        rows.append(members[draw_evenly(beats.groups[members], most, random)])
    chosen = _take(beats, np.sort(np.concatenate(rows)))
    relabel = np.full(len(CLASSES), -1, np.int32)
    relabel[[CLASSES.index(name) for name in classes]] = np.arange(len(classes))
    return Examples(chosen.inputs, relabel[chosen.labels], chosen.groups)


def _join(beats: dict[str, Examples], names: tuple[str, ...]) -> Examples:
    chosen = [beats[name] for name in names]
    return Examples(
        np.concatenate([examples.inputs for examples in chosen]),
        np.concatenate([examples.labels for examples in chosen]),
        np.concatenate([examples.groups for examples in chosen if examples.groups is not None]),
    )


def _take(examples: Examples, rows: np.ndarray) -> Examples:
    groups = None if examples.groups is None else examples.groups[rows]
    return Examples(examples.inputs[rows], examples.labels[rows], groups)


def fetch(folder: Path, progress: Progress) -> None:
    """Download all records (98 MB) from PhysioNet into `folder`, in format 212, through wfdb.

    Raises:
        OSError: no network.
        InputError: a record came damaged.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import wfdb
        from wfdb.io import download

    reach(download.PN_CONTENT_URL)
    for done, name in enumerate(RECORDS):
        progress("downloading records", done, len(RECORDS))
        with contextlib.redirect_stdout(io.StringIO()):  # wfdb prints; progress is reported here
            wfdb.dl_files("mitdb", str(folder), [f"{name}.{suffix}" for suffix in ("hea", "dat", "atr")])
        read_record(folder, name)
    progress("downloading records", len(RECORDS), len(RECORDS))


RECIPE = Recipe(
    name="mitdb",
    splits=("patients", "patients_normal_pvc", "published"),
    build=build,
    version=1,
    shape=SHAPE,
    classes=CLASSES,
    classes_of={"patients_normal_pvc": _NORMAL_PVC},
    settings={
        "window": WINDOW,
        "seed": _SEED,
        "published_per_class": _PUBLISHED_PER_CLASS,
        "patients_per_class": _PATIENTS_PER_CLASS,
        "validation_records": VALIDATION_RECORDS,
    },
    files=Files(
        locate=below(
            "mitdb",
            "mitdb/flac",
            "mitdb/1.0.0",
            "physionet.org/files/mitdb/1.0.0",
            "ecg_recordings",
            holding=lambda folder: any((folder / f"{record}.hea").is_file() for record in RECORDS),
        ),
        contents=lambda folder: [
            path
            for record in RECORDS
            for suffix in ("hea", "dat", "atr")
            if (path := folder / f"{record}.{suffix}").is_file()
        ],
        fetch=fetch,
        advice="name the folder that holds 100.hea, 100.dat, 100.atr and the other records of "
        "physionet.org/content/mitdb with folder= or in JAXROBUST_DATA",
    ),
)
