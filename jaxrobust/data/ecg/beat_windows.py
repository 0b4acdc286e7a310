"""Fixed windows around heartbeats: 100 samples at 180 Hz of all z-scored leads, two in MIT-BIH."""

import numpy as np
from jaxtyping import Float, Float32

from jaxrobust.data.ecg.mitdb_records import Record
from jaxrobust.errors import InputError

WINDOW = 100  # samples at 180 Hz: 0.56 s
SHAPE = WINDOW, 2  # both leads
CLASSES = ("normal", "LBBB", "RBBB", "PVC")
SYMBOLS = ("N", "L", "R", "V")  # the annotation of each class
_STEP = 2  # every second sample of 360 Hz; the recordings hold nothing above 100 Hz
_SHORTEST = 50  # samples at 180 Hz; a shorter beat is an artefact of the annotation
_PEAK_FROM, _PEAK_TO = 30, 70  # samples at 180 Hz after the annotation: 0.17 to 0.39 s
_PADDING = 150


def r_peak_windows(record: Record) -> tuple[Float32[np.ndarray, "beats time leads"], np.ndarray]:
    """Windows centred on the annotated R peak: from 0.28 s before it to 0.27 s after it.

    The record has any number of leads. A window shows the P wave, the QRS complex and the beginning of the T
    wave of one beat. Each lead is z-scored over the window. Left out: other classes, noisy beats, beats at
    the ends of the recording, flat leads, gaps (NaN).

    Returns:
        The windows, and the class of each as int32.
    """
    n_leads, windows, labels = _leads(record), [], []
    before = _STEP * WINDOW // 2
    for start, symbol, clean in zip(record.starts, record.symbols, record.clean, strict=True):
        if symbol not in SYMBOLS or not clean or not before <= start <= len(record.signals) - before:
            continue
        window = z_score(record.signals[start - before : start + before : _STEP])
        if window is not None:
            windows.append(window)
            labels.append(SYMBOLS.index(symbol))
    return _stack(windows, labels, n_leads)


def published_windows(record: Record) -> tuple[Float32[np.ndarray, "beats time leads"], np.ndarray]:
    """Windows as in the published preparation, centred on the highest peak 0.17 to 0.39 s after R.

    That peak is usually the T wave. Each lead is z-scored from its annotation to the next beat's, and
    continued with its first and last values where the window is longer than the beat. Source: the published
    `ecg_gen_dataset.py`; docs/data.md lists what is mended here.

    Returns:
        The windows, and the class of each as int32.
    """
    n_leads, windows, labels = _leads(record), [], []
    for start, end, symbol, clean, relabelled in zip(
        record.starts, record.ends(), record.symbols, record.clean, record.relabelled, strict=True
    ):
        if symbol not in SYMBOLS or not clean or relabelled:
            continue
        beat = record.signals[start:end:_STEP]
        scored = z_score(beat) if len(beat) >= _SHORTEST else None
        peak = None if scored is None else _highest_peak(scored[:, 0])
        if scored is not None and peak is not None:
            padded = np.pad(scored, ((_PADDING, _PADDING), (0, 0)), mode="edge")
            first = _PADDING + peak - WINDOW // 2
            windows.append(padded[first : first + WINDOW])
            labels.append(SYMBOLS.index(symbol))
    return _stack(windows, labels, n_leads)


def z_score(signal: Float[np.ndarray, "time leads"]) -> Float32[np.ndarray, "time leads"] | None:
    """Each lead with mean 0 and standard deviation 1; None if a lead is flat, hence not connected."""
    spread = signal.std(axis=0, dtype=np.float64)
    if not (spread >= 1e-6).all():  # NaN, from a gap in the signal, is not connected either
        return None
    return ((signal - signal.mean(axis=0, dtype=np.float64)) / spread).astype(np.float32)


def _highest_peak(lead: np.ndarray) -> int | None:
    """The highest local maximum between `_PEAK_FROM` and `_PEAK_TO`, at the left end of a plateau."""
    last = min(_PEAK_TO, len(lead) - 2)
    at = np.arange(_PEAK_FROM, last + 1)
    peaks = at[(lead[at] > lead[at - 1]) & (lead[at] >= lead[at + 1])]
    return int(peaks[np.argmax(lead[peaks])]) if len(peaks) else None


def _stack(windows: list[np.ndarray], labels: list[int], n_leads: int) -> tuple[np.ndarray, np.ndarray]:
    stacked = np.stack(windows) if windows else np.empty((0, WINDOW, n_leads), np.float32)
    return stacked.astype(np.float32), np.array(labels, np.int32)


def _leads(record: Record) -> int:
    """How many leads a record has.

    Raises:
        InputError: Its signals are not `(time, leads)`.
    """
    if record.signals.ndim != 2 or not record.signals.shape[1]:
        raise InputError(
            f"The signals of record {record.name} have shape {record.signals.shape}: give (time, leads), one "
            "column per lead."
        )
    return record.signals.shape[1]
