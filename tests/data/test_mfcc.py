import math

import numpy as np
import pytest

from jaxrobust.data.speech.mfcc import fit_length, mfcc
from jaxrobust.data.speech.short_mfcc import short_mfcc
from jaxrobust.errors import InputError


def tone(frequency: float) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * frequency * np.arange(16000) / 16000)).astype(np.float32)


def mel(hertz: float) -> float:
    return 2595 * math.log10(1 + hertz / 700)


def slow_mfcc(audio: np.ndarray, frame: int) -> list[float]:
    """One frame by the definition, without any library for the features."""
    windowed = [
        float(audio[160 * frame + n]) * (0.5 - 0.5 * math.cos(2 * math.pi * n / 480)) for n in range(480)
    ]
    magnitude = np.abs(np.fft.fft(windowed, 512))[:257]
    step = (mel(3800) - mel(125)) / 41
    edges = [math.floor(513 * (700 * (10 ** ((mel(125) + i * step) / 2595) - 1)) / 16000) for i in range(42)]
    logs = []
    for low, middle, high in zip(edges, edges[1:], edges[2:], strict=False):
        total = sum((k - low) / (middle - low) * magnitude[k] for k in range(low, middle))
        total += sum((high - k) / (high - middle) * magnitude[k] for k in range(middle, high))
        logs.append(math.log(total + 1e-12))
    return [
        2 * sum(v * math.cos(math.pi * c * (2 * b + 1) / 80) for b, v in enumerate(logs)) / math.sqrt(80)
        for c in range(40)
    ]


def test_features_agree_with_the_definition():
    audio = (tone(440) + 0.1 * np.random.default_rng(0).normal(size=16000)).astype(np.float32)
    features = mfcc(audio)
    assert features.shape == (98, 40)
    assert features.dtype == np.float32
    for frame in (0, 31, 97):
        np.testing.assert_allclose(features[frame], slow_mfcc(audio, frame), atol=1e-4)


def slow_short_mfcc(audio: np.ndarray, frame: int) -> list[float]:
    """One frame by the definition: triangles are straight in mel, between frequencies that are no bins."""
    largest = max(abs(float(x)) for x in audio)
    windowed = [
        float(audio[320 * frame + n]) / largest * (0.5 - 0.5 * math.cos(2 * math.pi * n / 480))
        for n in range(480)
    ]
    magnitude = np.abs(np.fft.fft(windowed, 512))[:257]
    step = (mel(4000) - mel(20)) / 41
    logs = []
    for band in range(40):
        low, middle, high = (mel(20) + (band + i) * step for i in range(3))
        total = 0.0
        for k in range(257):
            at = mel(k * 16000 / 512)
            if low < at < high:
                weight = (at - low) / (middle - low) if at <= middle else (high - at) / (high - middle)
                total += weight * magnitude[k]
        logs.append(math.log(total + 1e-6))
    return [
        2 * sum(v * math.cos(math.pi * c * (2 * b + 1) / 80) for b, v in enumerate(logs)) / math.sqrt(80)
        for c in range(10)
    ]


def test_short_features_agree_with_the_definition():
    audio = (tone(440) + 0.1 * np.random.default_rng(0).normal(size=16000)).astype(np.float32)
    features = short_mfcc(audio)
    assert features.shape == (49, 10)
    assert features.dtype == np.float32
    for frame in (0, 24, 48):
        np.testing.assert_allclose(features[frame], slow_short_mfcc(audio, frame), atol=1e-4)
    np.testing.assert_allclose(short_mfcc(-0.5 * audio), features, atol=1e-4)
    assert np.isfinite(short_mfcc(np.zeros(16000, np.float32))).all()


def test_zeros_give_the_floor_of_the_logarithm():
    features = mfcc(np.zeros(16000, np.float32))
    np.testing.assert_allclose(features[:, 0], 80 * math.log(1e-12) / math.sqrt(80), rtol=1e-6)
    np.testing.assert_allclose(features[:, 1:], 0, atol=1e-4)


def test_twice_the_level_moves_only_the_first_coefficient():
    audio = np.random.default_rng(0).normal(size=16000).astype(np.float32)
    difference = mfcc(2 * audio) - mfcc(audio)
    np.testing.assert_allclose(difference[:, 0], 80 * math.log(2) / math.sqrt(80), rtol=1e-4)
    np.testing.assert_allclose(difference[:, 1:], 0, atol=1e-4)


@pytest.mark.parametrize(
    "audio", [np.zeros(0), np.zeros(15999), np.zeros((16000, 2)), np.full(16000, np.nan)]
)
def test_audio_that_is_no_second_of_sound_is_refused(audio: np.ndarray):
    for compute in (mfcc, short_mfcc):
        with pytest.raises(InputError, match="give 16000 finite samples"):
            compute(audio.astype(np.float32))


def test_audio_is_cut_or_filled_to_a_second():
    assert fit_length(np.ones(20000, np.float32)).sum() == 16000
    short = fit_length(np.ones(10, np.float32))
    assert short.shape == (16000,)
    assert short[:10].all()
    assert not short[10:].any()
