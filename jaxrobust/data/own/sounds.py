"""Recordings of any sampling rate, number of channels and length, as MFCC of one second each."""

from math import gcd
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from jaxrobust.data.speech.mfcc import CLIP, SAMPLING_RATE, fit_length, mfcc
from jaxrobust.errors import InputError


def frames_of(path: Path) -> list[Float32[np.ndarray, "98 40"]]:
    """The MFCC of every second of a recording; a last window shorter than half a second is left out.

    Raises:
        InputError: The file cannot be read, or is empty.
    """
    return [mfcc(window) for window in windows_of(read_mono(path))]


def read_mono(path: Path) -> Float32[np.ndarray, " time"]:
    """A recording as the mean of its channels at 16 kHz.

    Raises:
        InputError: The file cannot be read, is empty, or holds numbers that are not finite.
    """
    import soundfile

    try:
        audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError) as error:
        raise InputError(f"{path} is not what its name says ({error}): delete or replace it.") from error
    if not len(audio) or not np.isfinite(audio).all():
        raise InputError(f"{path} is empty or not finite: delete or replace it.")
    return resampled(audio.mean(axis=1), rate, SAMPLING_RATE)


def resampled(signal: np.ndarray, rate: float, new_rate: float) -> np.ndarray:
    """A signal, time first, at another sampling rate, by a polyphase filter against aliasing."""
    from scipy.signal import resample_poly

    if rate == new_rate:
        return signal
    # Rates such as 128.5 Hz as a ratio of whole numbers, exact to a thousandth of a hertz.
    up, down = round(new_rate * 1000), round(rate * 1000)
    common = gcd(up, down)
    return resample_poly(signal, up // common, down // common, axis=0).astype(signal.dtype)


def windows_of(audio: Float32[np.ndarray, " time"]) -> list[Float32[np.ndarray, " 16000"]]:
    """Windows of one second, one after the other; the last is filled with zeros."""
    starts = range(0, max(len(audio), 1), CLIP)
    return [fit_length(audio[start:]) for start in starts if start == 0 or len(audio) - start >= CLIP // 2]
