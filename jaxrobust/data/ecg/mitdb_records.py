"""Reading and checking the 48 records of the MIT-BIH Arrhythmia Database."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Int64

from jaxrobust.errors import InputError

SAMPLING_RATE = 360  # Hz
SAMPLES = 650_000  # in every record: 30 minutes and 5.6 seconds

# Annotations of each record in version 1.0.0: .atr files carry no checksum that would tell a cut one.
# fmt: off
ANNOTATIONS: Mapping[str, int] = MappingProxyType({
    "100": 2274, "101": 1874, "102": 2192, "103": 2091, "104": 2311, "105": 2691, "106": 2098, "107": 2140,
    "108": 1824, "109": 2535, "111": 2133, "112": 2550, "113": 1796, "114": 1890, "115": 1962, "116": 2421,
    "117": 1539, "118": 2301, "119": 2094, "121": 1876, "122": 2479, "123": 1519, "124": 1634, "200": 2792,
    "201": 2039, "202": 2146, "203": 3108, "205": 2672, "207": 2385, "208": 3040, "209": 3052, "210": 2685,
    "212": 2763, "213": 3294, "214": 2297, "215": 3400, "217": 2280, "219": 2312, "220": 2069, "221": 2462,
    "222": 2634, "223": 2643, "228": 2141, "230": 2466, "231": 2011, "232": 1816, "233": 3152, "234": 2764,
})
# fmt: on
RECORDS = tuple(ANNOTATIONS)

# Beat annotations of the WFDB standard that occur here; everything else marks rhythm, quality or waves.
_BEATS = frozenset("NLR/VAafFjJEeSQ!")
# Beats during these rhythms get another class in the published preparation (Bauer et al. 2019).
_PUBLISHED_OTHER_RHYTHMS = ("(AFIB", "(AFL", "(PREX")


@dataclass(frozen=True)
class Record:
    """One patient's recording and its annotated beats.

    Attributes:
        name: as in "100".
        signals: float32, `(time, leads)`, millivolt at 360 Hz; the limb lead MLII first where there is one.
        starts: int64, `(beats,)`: the sample of each beat's annotation, which lies at the R peak.
        symbols: the annotation symbol of each beat, as in "N".
        clean: `(beats,)`: False for a beat that starts or ends where a lead is marked noisy or unreadable.
        relabelled: `(beats,)`: True where the published preparation gives the beat another class: an artefact
            or blocked P wave before the next beat, atrial fibrillation or flutter, pre-excitation.
    """

    name: str
    signals: Float32[np.ndarray, "time leads"]
    starts: Int64[np.ndarray, " beats"]
    symbols: tuple[str, ...]
    clean: Bool[np.ndarray, " beats"]
    relabelled: Bool[np.ndarray, " beats"]

    def ends(self) -> Int64[np.ndarray, " beats"]:
        """Where each beat ends: at the next one's annotation, or at the end of the recording."""
        return np.append(self.starts[1:], len(self.signals)).astype(np.int64)


def read_record(folder: Path, name: str) -> Record:
    """Record `name` from `folder`, in WFDB format 212 (as published) or 516 (FLAC).

    Raises:
        InputError: a file is missing, cut short, or does not have the signal checksum of its header.
    """
    for suffix in ("hea", "dat", "atr"):
        if not (folder / f"{name}.{suffix}").is_file():
            raise InputError(
                f"record {name} is incomplete: {name}.{suffix} is missing in {folder}; "
                "put it there, or get the database again from physionet.org/content/mitdb."
            )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # wfdb 4.3.1 under pandas 3
        import wfdb
    path = str(folder / name)
    try:
        wave: Any = wfdb.rdrecord(path, physical=False)
    except Exception as error:  # wfdb and its decoders raise whatever the damage leads them to
        raise _damaged(folder, f"{name}.dat", f"it cannot be decoded: {error}") from error
    try:
        marks: Any = wfdb.rdann(path, "atr")
    except Exception as error:
        raise _damaged(folder, f"{name}.atr", f"it cannot be decoded: {error}") from error
    digital = wave.d_signal
    if wave.fs != SAMPLING_RATE or digital is None or digital.shape != (SAMPLES, 2):
        shape = None if digital is None else digital.shape
        raise _damaged(folder, f"{name}.dat", f"shape {shape} at {wave.fs} Hz, not {(SAMPLES, 2)} at 360")
    # Headers state the sum of all samples as a signed or an unsigned 16-bit number.
    sums = zip(digital.sum(0), wave.checksum, strict=True)
    if any((int(found) - int(stated)) % 65536 for found, stated in sums):
        raise _damaged(folder, f"{name}.dat", f"its signals do not have the checksums in {name}.hea")
    if len(marks.sample) != ANNOTATIONS[name]:
        found = f"{len(marks.sample)} annotations instead of {ANNOTATIONS[name]}"
        raise _damaged(folder, f"{name}.atr", found)
    # Record 114 has its leads swapped; 102 and 104 have no MLII and stay as they are.
    order = np.argsort([lead != "MLII" for lead in wave.sig_name], kind="stable")
    millivolt = (digital - np.asarray(wave.baseline)) / np.asarray(wave.adc_gain)
    return _with_beats(name, millivolt[:, order].astype(np.float32), marks)


def _damaged(folder: Path, file: str, what: str) -> InputError:
    return InputError(
        f"{file} in {folder} is damaged ({what}): "
        "delete it and get it again from physionet.org/content/mitdb."
    )


def _with_beats(name: str, signals: np.ndarray, marks: Any) -> Record:
    starts: list[int] = []
    symbols: list[str] = []
    clean: list[bool] = []
    relabelled: list[bool] = []
    noisy, other_rhythm = False, False
    for sample, symbol, subtype, note in zip(
        marks.sample, marks.symbol, marks.subtype, marks.aux_note, strict=True
    ):
        if symbol == "~":
            noisy = subtype != 0  # 0: both leads clean; 1, 2, 3: which are noisy; -1: unreadable
        elif symbol == "+":
            other_rhythm = note.rstrip("\0") in _PUBLISHED_OTHER_RHYTHMS
        elif symbol in _BEATS:
            starts.append(int(sample))
            symbols.append(symbol)
            clean.append(not noisy)
            relabelled.append(other_rhythm)
        elif symbol in "|x" and symbols and symbols[-1] == "N":
            relabelled[-1] = True
        if noisy and clean:
            clean[-1] = False  # noise that begins inside a beat spoils it
    return Record(
        name, signals, np.array(starts, np.int64), tuple(symbols), np.array(clean), np.array(relabelled)
    )
