"""Heartbeats from WFDB records of any name, sampling rate, number of leads and format."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxrobust.data.own.arrays import Given
from jaxrobust.data.own.sounds import resampled
from jaxrobust.errors import InputError


def read_beats(
    folder: Path,
    records: Sequence[str],
    symbols: Mapping[str, str],
    *,
    rate: float,
    n_steps: int,
    annotator: str,
    leads: Sequence[int] | None,
) -> Given:
    """Windows around annotated beats of some records; the group of a beat is the place of its record.

    Args:
        folder: Where the records lie.
        records: Their names, without ending.
        symbols: Annotated symbol → class, such as ``{"N": "normal", "V": "PVC"}``; others are left out.
        rate: Sampling rate in Hz to which signals are resampled.
        n_steps: Time steps of a window, which is centred on the annotation and z-scored.
        annotator: Ending of the annotation files.
        leads: Which signals; None for all.

    Raises:
        InputError: A record is missing or unreadable, has other leads, or no record has a beat.
    """
    inputs, labels, groups = [], [], []
    for place, name in enumerate(records):
        signal, at, found = _read(folder / name, rate, annotator, leads)
        for sample, symbol in zip(at, found, strict=True):
            start = int(sample) - n_steps // 2
            window = signal[start : start + n_steps] if start >= 0 else signal[:0]
            if symbol not in symbols or len(window) < n_steps or not np.isfinite(window).all():
                continue
            if inputs and window.shape != inputs[0].shape:
                raise InputError(
                    f"{name} has {window.shape[1]} leads, {records[0]} {inputs[0].shape[1]}: choose some by "
                    f"place, as leads=(0,)."
                )
            spread = window.std(axis=0)
            inputs.append((window - window.mean(axis=0)) / np.where(spread > 0, spread, 1))
            labels.append(symbols[symbol])
            groups.append(place)
    if not inputs:
        raise InputError(
            f"No record of {', '.join(records)} in {folder} has a whole beat of {', '.join(symbols)}: check "
            f"the symbols, the annotator and n_steps."
        )
    return Given(np.stack(inputs).astype(np.float32), np.array(labels), None, np.array(groups))


def _read(
    path: Path, rate: float, annotator: str, leads: Sequence[int] | None
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    import wfdb

    try:
        record: Any = wfdb.rdrecord(str(path))
        beats: Any = wfdb.rdann(str(path), annotator)
    except Exception as error:  # wfdb raises whatever its parsing meets
        raise InputError(
            f"The WFDB record {path} with annotations .{annotator} cannot be read ({error}): check that its "
            f".hea, signal and annotation files are complete."
        ) from error
    signal = np.asarray(record.p_signal)
    if leads is not None:
        if max(leads) >= signal.shape[1]:
            raise InputError(
                f"{path.name} has {signal.shape[1]} leads, but leads={tuple(leads)} asks for more."
            )
        signal = signal[:, list(leads)]
    at = np.round(np.asarray(beats.sample) * rate / record.fs).astype(int)
    return resampled(signal, float(record.fs), rate), at, list(beats.symbol)
