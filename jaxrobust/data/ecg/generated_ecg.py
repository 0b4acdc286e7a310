"""Generated heartbeats: the built-in stand-in for MIT-BIH, of the same shape and classes."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64

from jaxrobust.data.dataset import Examples, Parts
from jaxrobust.data.ecg.beat_windows import CLASSES, SHAPE, WINDOW, z_score
from jaxrobust.data.recipe import Progress, Recipe

_SEED = 7
_RATE = 180  # Hz
_PATIENTS = {"train": 24, "validation": 6, "test": 10}
_BEATS_PER_CLASS = {"train": 1000, "validation": 150, "test": 250}

_MORPHOLOGY = 0.25  # relative standard deviation of every wave's size between patients
_BEAT_TO_BEAT = 0.08  # the same between beats of one patient
_AXIS = 0.35  # radians: how far the heart's axis turns the two leads into each other
_NOISE = (0.03, 0.18)  # millivolt: white noise of a patient, between these
_DRIFT = 0.25  # millivolt: standard deviation of the baseline's sine
_TRIGGER = 0.012  # seconds: standard deviation of the annotation around the R peak


@dataclass(frozen=True)
class Waves:
    """Waves of one beat as Gaussians around the R peak.

    Attributes:
        at: float64, `(waves,)`, seconds after the R peak.
        width: float64, `(waves,)`, seconds.
        size: float64, `(waves, leads)`, millivolt in a limb lead like MLII and in a chest lead like V1.
    """

    at: Float64[np.ndarray, " waves"]
    width: Float64[np.ndarray, " waves"]
    size: Float64[np.ndarray, "waves leads"]


def _waves(*rows: tuple[float, float, float, float]) -> Waves:
    table = np.array(rows)
    return Waves(table[:, 0], table[:, 1], table[:, 2:])


# Typical textbook shapes: seconds after R, width in seconds, millivolt in MLII, millivolt in V1.
_BEATS = {
    "normal": _waves(
        (-0.17, 0.022, 0.14, 0.07),  # P
        (-0.030, 0.009, -0.12, 0.05),  # Q
        (0.000, 0.011, 1.05, 0.28),  # R
        (0.030, 0.011, -0.22, -0.75),  # S
        (0.24, 0.050, 0.28, 0.10),  # T
    ),
    "LBBB": _waves(
        (-0.18, 0.022, 0.14, 0.07),  # P
        (-0.022, 0.018, 0.70, -0.35),  # broad R, notched
        (0.025, 0.022, 0.75, -1.00),
        (0.24, 0.055, -0.24, 0.40),  # T against the QRS
    ),
    "RBBB": _waves(
        (-0.17, 0.022, 0.14, 0.07),  # P
        (-0.010, 0.010, 0.85, 0.30),  # R, and r in V1
        (0.014, 0.012, -0.10, -0.45),  # s
        (0.055, 0.022, -0.42, 0.75),  # slurred S, and R' in V1
        (0.25, 0.050, 0.26, -0.20),  # T
    ),
    "PVC": _waves(  # no P wave
        (-0.015, 0.032, 1.10, 0.60),
        (0.040, 0.034, 0.55, 0.50),
        (0.22, 0.060, -0.55, -0.40),  # T against the QRS
    ),
}


def generate_beats(
    patient: int, counts: dict[str, int]
) -> tuple[Float32[np.ndarray, "beats time leads"], np.ndarray]:
    """Beats of one made-up patient, `counts[class]` of each class; equal numbers give equal beats.

    A patient has an own size of every wave, axis, heart rate, direction of ectopic beats and noise level.
    Around each beat lie the waves of the one before and the one after: an ectopic beat comes early and is
    followed by a pause. Each lead is z-scored over the window.

    Returns:
        The windows, and the class of each as int32.
    """
    random = np.random.default_rng([_SEED, patient])
    shapes = {name: _vary(waves, _MORPHOLOGY, random) for name, waves in _BEATS.items()}
    if random.random() < 0.4:  # an ectopic focus elsewhere in the ventricle turns its beats upside down
        shapes["PVC"] = replace(shapes["PVC"], size=-shapes["PVC"].size)
    turn = random.normal(0, _AXIS)
    axis = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    interval, noise = random.uniform(0.6, 1.0), random.uniform(*_NOISE)
    windows, labels = [], []
    for label, name in enumerate(CLASSES):
        for _ in range(counts[name]):
            window = z_score(_beat(shapes, name, interval, random) @ axis + _disturbance(noise, random))
            assert window is not None  # noise leaves no lead flat
            windows.append(window)
            labels.append(label)
    return np.stack(windows), np.array(labels, np.int32)


def _vary(waves: Waves, spread: float, random: np.random.Generator) -> Waves:
    return Waves(
        waves.at + random.normal(0, 0.03 * spread, waves.at.shape),
        waves.width * np.exp(random.normal(0, spread / 2, waves.width.shape)),
        waves.size * np.exp(random.normal(0, spread, waves.size.shape)),
    )


def _beat(shapes: dict[str, Waves], name: str, interval: float, random: np.random.Generator) -> np.ndarray:
    before, after = interval * np.exp(random.normal(0, 0.07, 2))
    if name == "PVC":
        before, after = before * random.uniform(0.5, 0.75), after * random.uniform(1.2, 1.5)
    neighbour = "normal" if name == "PVC" else name
    time = (np.arange(WINDOW) - WINDOW // 2) / _RATE + random.normal(0, _TRIGGER)
    beats = ((neighbour, -before), (name, 0.0), (neighbour, after))
    voltages = [_voltage(time - at, _vary(shapes[shape], _BEAT_TO_BEAT, random)) for shape, at in beats]
    return np.sum(voltages, axis=0)


def _voltage(time: np.ndarray, waves: Waves) -> np.ndarray:
    return np.exp(-0.5 * ((time[:, None] - waves.at) / waves.width) ** 2) @ waves.size


def _disturbance(noise: float, random: np.random.Generator) -> np.ndarray:
    time = np.arange(WINDOW)[:, None] / _RATE
    drift = np.sin(2 * np.pi * (random.uniform(0.1, 0.6) * time + random.random(2)))
    return random.normal(0, _DRIFT, 2) * drift + random.normal(0, noise, (WINDOW, 2))


def build(split: str, folder: Path, progress: Progress) -> Parts:
    """All three parts, patients disjoint: inputs `(n, 100, 2)`, labels into `CLASSES`, groups = patients."""
    parts, first = {}, 0
    for part, patients in _PATIENTS.items():
        windows, labels, groups = [], [], []
        for patient in range(first, first + patients):
            # Remainders go to the first patients, so that every class gets exactly its number.
            share, extra = divmod(_BEATS_PER_CLASS[part], patients)
            made, classes = generate_beats(patient, dict.fromkeys(CLASSES, share + (patient - first < extra)))
            windows.append(made)
            labels.append(classes)
            groups.append(np.full(len(classes), patient, np.int64))
            progress("generating heartbeats", patient + 1, sum(_PATIENTS.values()))
        first += patients
        parts[part] = Examples(np.concatenate(windows), np.concatenate(labels), np.concatenate(groups))
    return Parts("generated heartbeats (synthetic)", CLASSES, **parts)


RECIPE = Recipe(
    name="generated_ecg",
    splits=("patients",),
    build=build,
    version=1,
    shape=SHAPE,
    classes=CLASSES,
    settings={
        "seed": _SEED,
        "patients": _PATIENTS,
        "beats_per_class": _BEATS_PER_CLASS,
        "variation": [_MORPHOLOGY, _BEAT_TO_BEAT, _AXIS, _NOISE, _DRIFT, _TRIGGER],
    },
    synthetic=True,
)
