"""Generated keywords: the built-in stand-in for recorded speech, with the same features."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from jaxrobust.data.dataset import Parts
from jaxrobust.data.recipe import Progress, Recipe
from jaxrobust.data.speech import keywords, mfcc
from jaxrobust.data.speech.keywords import Clip, keyword_parts
from jaxrobust.data.speech.mfcc import CLIP, SAMPLING_RATE

_SEED = 11
_SPEAKERS = {"train": 24, "validation": 6, "test": 10}
_TAKES = 4  # recordings of each word by each speaker
_COPIES = 3
_CLASSES = (*keywords.CLASSES[:2], *(f"keyword {number}" for number in range(1, 7)))
_UNKNOWN = ("other 1", "other 2", "other 3")


@dataclass(frozen=True)
class Sound:
    """A piece of a word.

    Attributes:
        duration: seconds.
        first, second: a formant each, gliding from one frequency to another, in Hz.
        hiss: the loudness of noise around the second formant, against 1 for the voice.
    """

    duration: float
    first: tuple[int, int]
    second: tuple[int, int]
    hiss: float = 0.0


# Vowels, glides and fricatives as in textbook formant charts; several words share sounds, as real ones do.
_A = Sound(0.16, (750, 700), (1250, 1200))
_I = Sound(0.15, (300, 290), (2250, 2300))
_U = Sound(0.15, (320, 310), (850, 800))
_RISE = Sound(0.18, (400, 700), (1000, 2000))
_FALL = Sound(0.18, (700, 350), (2000, 950))
_S = Sound(0.13, (300, 300), (3400, 3300), hiss=6.0)
_SH = Sound(0.13, (300, 300), (2300, 2200), hiss=6.0)
_WORDS = dict(
    zip(
        (*_CLASSES[2:], *_UNKNOWN),
        (
            (_I, _S),
            (_RISE, _U),
            (_A, _S),
            (_S, _A, _U),
            (_FALL, _I),
            (_SH, _I),
            (_U, _I),
            (_FALL, _SH),
            (_A, _RISE),
        ),
        strict=True,
    )
)


def speak(word: str, speaker: int, take: int) -> Float32[np.ndarray, " 16000"]:
    """One made-up recording of one second; the same arguments give the same samples.

    A speaker has an own pitch, length of the vocal tract, pace and level; every take varies them a little and
    begins at another time. There is always faint noise.
    """
    random = np.random.default_rng([_SEED, speaker])
    pitch, tract, pace = random.uniform(90, 240), random.uniform(0.88, 1.14), random.uniform(0.8, 1.25)
    level, room = random.uniform(0.06, 0.2), random.uniform(0.001, 0.008)
    random = np.random.default_rng([_SEED, speaker, take, list(_WORDS).index(word)])
    pieces = [
        _utter(
            sound,
            pitch * np.exp(random.normal(0, 0.08)),
            tract * np.exp(random.normal(0, 0.03)),
            pace * np.exp(random.normal(0, 0.12)),
            random,
        )
        for sound in _WORDS[word]
    ]
    voice = np.concatenate(pieces)[: CLIP - 1600]
    audio = random.normal(0, room, CLIP)
    first = random.integers(800, CLIP - len(voice))
    audio[first : first + len(voice)] += level * np.exp(random.normal(0, 0.3)) * voice
    return np.clip(audio, -1, 1).astype(np.float32)


def _utter(sound: Sound, pitch: float, tract: float, pace: float, random: np.random.Generator) -> np.ndarray:
    time = np.arange(int(sound.duration * pace * SAMPLING_RATE))
    glide = np.linspace(0, 1, len(time))
    # A pulse train at the falling pitch excites two gliding formants.
    turns = np.cumsum(pitch * (1.05 - 0.15 * glide)) / SAMPLING_RATE
    pulses = (0.5 + 0.5 * np.cos(2 * np.pi * turns)) ** 3
    tones = []
    for start, end in (sound.first, sound.second):
        jitter = np.exp(random.normal(0, 0.04))
        phase = np.cumsum((start + (end - start) * glide) * tract * jitter) / SAMPLING_RATE
        tones.append(np.sin(2 * np.pi * phase))
    # Noise around the second formant: slow noise on its carrier.
    slow = np.convolve(random.normal(size=len(time)), np.hanning(24), mode="same") / 3
    voice = pulses * (tones[0] + 0.7 * tones[1]) / (1 + sound.hiss) + sound.hiss / 6 * slow * tones[1]
    return voice * np.minimum(1, 8 * np.minimum(glide, 1 - glide))


def build(split: str, folder: Path, progress: Progress) -> Parts:
    """The arrays: inputs `(n, 98, 40)`, labels for eight classes, groups = speakers; no shared speakers."""
    clips, first = {}, 0
    for part, count in _SPEAKERS.items():
        clips[part] = [
            Clip(word, speaker, partial(speak, word, speaker, take))
            for speaker in range(first, first + count)
            for word in _WORDS
            for take in range(_TAKES)
        ]
        first += count
    random = np.random.default_rng(_SEED)
    noises = [_background(slope, random) for slope in (0.0, 0.5, 1.0)]
    return keyword_parts(
        "generated keywords (synthetic)", clips, noises, copies=_COPIES, progress=progress, classes=_CLASSES
    )


def _background(slope: float, random: np.random.Generator) -> Float32[np.ndarray, " time"]:
    """Twenty seconds of noise whose amplitude falls with frequency to the power of `slope`."""
    length = 20 * SAMPLING_RATE
    spectrum = np.fft.rfft(random.normal(size=length)) / np.maximum(np.arange(length // 2 + 1), 1) ** slope
    noise = np.fft.irfft(spectrum, length)
    return (0.1 * noise / noise.std()).astype(np.float32)


RECIPE = Recipe(
    name="generated_speech",
    splits=("speakers",),
    build=build,
    version=1,
    shape=mfcc.SHAPE,
    classes=_CLASSES,
    settings={
        "seed": _SEED,
        "speakers": _SPEAKERS,
        "takes": _TAKES,
        "copies": _COPIES,
        "mfcc": mfcc.SETTINGS,
        "keywords": keywords.SETTINGS,
    },
    synthetic=True,
)
