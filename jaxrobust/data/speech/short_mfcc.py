"""Ten cepstral coefficients of 49 frames per second of speech, as keyword CNNs ("Hello Edge") take them."""

from functools import lru_cache

import numpy as np
from jaxtyping import Float, Float32, Float64

from jaxrobust.data.speech.mfcc import CLIP, SAMPLING_RATE
from jaxrobust.errors import InputError

FRAMES, COEFFICIENTS = SHAPE = 49, 10
_FRAME, _HOP, _FFT = 480, 320, 512
_BANDS, _LOWEST, _HIGHEST = 40, 20, 4000
_FLOOR = 1e-6
SETTINGS = {
    "rate": SAMPLING_RATE,
    "frame": _FRAME,
    "hop": _HOP,
    "fft": _FFT,
    "mel": [_BANDS, _LOWEST, _HIGHEST],
    "coefficients": COEFFICIENTS,
}


def short_mfcc(audio: Float32[np.ndarray, "..."]) -> Float32[np.ndarray, "49 10"]:
    """The first ten coefficients of 49 frames of audio that is scaled to a largest magnitude of 1.

    Frames of 480 samples every 320 under a periodic Hann window, 512-point magnitude spectrum, 40 triangles
    from 20 to 4000 Hz that are straight in mel, natural logarithm of the sum plus 1e-6, DCT-II scaled by
    1/sqrt(2*40): TensorFlow's audio operators by their definition. (The published code divides by the largest
    signed sample, which turns around and amplifies audio that is mostly negative.)

    Args:
        audio: `(16000,)`: one second at 16 kHz.

    Raises:
        InputError: another length, or samples that are not finite.
    """
    if audio.shape != (CLIP,) or not np.isfinite(audio).all():
        raise InputError(
            f"short_mfcc got audio of shape {audio.shape}: give {CLIP} finite samples, one second at 16 kHz."
        )
    window, filters, transform = _tables()
    scaled = audio.astype(np.float64) / (np.abs(audio).max() or 1.0)
    frames = np.lib.stride_tricks.sliding_window_view(scaled, _FRAME)[::_HOP] * window
    mel = np.abs(np.fft.rfft(frames, _FFT)) @ filters
    return (np.log(mel + _FLOOR) @ transform).astype(np.float32)


def _mel(hertz: Float[np.ndarray, "..."]) -> Float64[np.ndarray, "..."]:
    return 1127 * np.log1p(np.asarray(hertz, np.float64) / 700)


@lru_cache(maxsize=1)
def _tables() -> tuple[
    Float64[np.ndarray, "480"], Float64[np.ndarray, "257 40"], Float64[np.ndarray, "40 10"]
]:
    window = np.hanning(_FRAME + 1)[:-1]
    lowest, highest = _mel(np.array([_LOWEST, _HIGHEST]))
    edges = np.linspace(lowest, highest, _BANDS + 2)
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    bins = _mel(np.linspace(0, SAMPLING_RATE / 2, _FFT // 2 + 1))[:, None]
    filters = np.maximum(0, np.minimum((bins - low) / (middle - low), (high - bins) / (high - middle)))
    band, order = np.arange(_BANDS)[:, None], np.arange(COEFFICIENTS)
    transform = 2 * np.cos(np.pi * order * (2 * band + 1) / (2 * _BANDS))
    return window, filters, transform / np.sqrt(2 * _BANDS)
