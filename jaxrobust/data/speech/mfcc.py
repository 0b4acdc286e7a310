"""Mel-frequency cepstral coefficients of one second of speech, as in the published experiments."""

from functools import lru_cache

import numpy as np
from jaxtyping import Float32, Float64

from jaxrobust.errors import InputError

SAMPLING_RATE = 16_000  # Hz
CLIP = 16_000  # samples: one second
FRAMES, COEFFICIENTS = SHAPE = 98, 40
_FRAME, _HOP, _FFT = 480, 160, 512
_LOWEST, _HIGHEST = 125, 3800  # Hz
SETTINGS = {
    "rate": SAMPLING_RATE,
    "frame": _FRAME,
    "hop": _HOP,
    "fft": _FFT,
    "mel": [COEFFICIENTS, _LOWEST, _HIGHEST],
}


def mfcc(audio: Float32[np.ndarray, "..."]) -> Float32[np.ndarray, "98 40"]:
    """All 40 coefficients of 98 frames, without any normalisation.

    Frames of 480 samples every 160 under a periodic Hann window, 512-point magnitude spectrum, 40 mel filters
    from 125 to 3800 Hz, natural logarithm of the sum plus 1e-12, DCT-II scaled by 1/sqrt(2*40). Frames,
    spectrum and filters are those of python_speech_features; they differ from TensorFlow's audio operators,
    which the published features come from, in the edges of the filters, which this library rounds down to FFT
    bins.

    Args:
        audio: `(16000,)`: one second at 16 kHz, in -1..1.

    Raises:
        InputError: another length, or samples that are not finite.
    """
    from python_speech_features import sigproc

    if audio.shape != (CLIP,) or not np.isfinite(audio).all():
        raise InputError(
            f"mfcc got audio of shape {audio.shape}: give {CLIP} finite samples, one second at 16 kHz."
        )
    window, filters, transform = _tables()
    frames = sigproc.framesig(audio, _FRAME, _HOP, winfunc=lambda length: window)
    mel = sigproc.magspec(frames, _FFT) @ filters
    return (np.log(mel + 1e-12) @ transform).astype(np.float32)


def fit_length(audio: Float32[np.ndarray, " time"]) -> Float32[np.ndarray, " 16000"]:
    """Audio of one second: cut at the end, or filled with zeros there."""
    return np.pad(audio[:CLIP], (0, max(0, CLIP - len(audio))))


@lru_cache(maxsize=1)
def _tables() -> tuple[
    Float64[np.ndarray, "480"], Float64[np.ndarray, "257 40"], Float64[np.ndarray, "40 40"]
]:
    from python_speech_features import get_filterbanks

    window = np.hanning(_FRAME + 1)[:-1]
    filters = get_filterbanks(COEFFICIENTS, _FFT, SAMPLING_RATE, _LOWEST, _HIGHEST).T
    band, order = np.arange(COEFFICIENTS)[:, None], np.arange(COEFFICIENTS)
    transform = 2 * np.cos(np.pi * order * (2 * band + 1) / (2 * COEFFICIENTS))
    return window, filters, transform / np.sqrt(2 * COEFFICIENTS)
