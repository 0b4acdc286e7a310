"""The published keyword task for recordings of any source: six words, silence and unknown."""

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from jaxrobust.data.dataset import Examples, Parts
from jaxrobust.data.recipe import Progress
from jaxrobust.data.speech.mfcc import CLIP, SAMPLING_RATE, SHAPE, fit_length, mfcc
from jaxrobust.errors import InputError

WORDS = ("yes", "no", "up", "down", "left", "right")
CLASSES = ("_silence_", "_unknown_", *WORDS)
PARTS = ("train", "validation", "test")
NOBODY = -1  # the speaker of silence

_SEED = 0
_EXTRA = 0.1  # silence and unknown: so many each, as a share of the words
_SHIFT = 1600  # samples: 0.1 s
_NOISE_PROBABILITY, _NOISE_VOLUME = 0.8, 0.1
SETTINGS = {"seed": _SEED, "extra": _EXTRA, "shift": _SHIFT, "noise": [_NOISE_PROBABILITY, _NOISE_VOLUME]}

Audio = Float32[np.ndarray, " _"]  # any length


@dataclass(frozen=True)
class Features:
    """What is computed of one second of audio.

    Attributes:
        compute: from `(16000,)` samples in -1..1 to the features.
        shape: of the features, frames and coefficients.
    """

    compute: Callable[[Audio], np.ndarray]
    shape: tuple[int, int]


ALL_COEFFICIENTS = Features(mfcc, SHAPE)


@dataclass(frozen=True)
class Clip:
    """One spoken word.

    Attributes:
        word: what is said; words outside `WORDS` serve as unknown.
        speaker: a number for the person.
        read: gives the audio at 16 kHz, in -1..1.
    """

    word: str
    speaker: int
    read: Callable[[], Audio]


def read_audio(path: Path) -> Audio:
    """The samples of a mono sound file at 16 kHz, in -1..1.

    Raises:
        InputError: it cannot be decoded, is empty, or has another rate or several channels.
    """
    import soundfile

    try:
        with soundfile.SoundFile(path) as file:
            promised, rate = file.frames, file.samplerate
            audio = file.read(dtype="float32")
    except (OSError, RuntimeError) as error:
        raise InputError(f"{path} cannot be decoded ({error}): delete it and get it again.") from error
    _check_complete(path, promised, audio)
    if not len(audio):
        raise InputError(f"{path} holds no samples: delete it and get it again.")
    if rate != SAMPLING_RATE or audio.ndim != 1:
        raise InputError(
            f"{path} has shape {audio.shape} at {rate} Hz: give mono recordings of {SAMPLING_RATE} Hz."
        )
    return audio


def _check_complete(path: Path, n_read: int, audio: np.ndarray) -> None:
    """Raise `InputError` for a file that ends before its header says: the rest would be taken for silence."""
    promised = _frames_in_header(path) if path.suffix.lower() == ".wav" else None
    if len(audio) < n_read or (promised is not None and len(audio) < promised):
        raise InputError(
            f"{path} is cut off: its header promises {max(n_read, promised or 0)} samples, but it holds "
            f"{len(audio)}; delete it and get it again."
        )


def _frames_in_header(path: Path) -> int | None:
    """Samples that a WAV file promises, read off its chunks; None where that is not said."""
    with path.open("rb") as file:
        if file.read(4) != b"RIFF" or len(file.read(8)) < 8:
            return None
        bytes_per_frame = 0
        while len(head := file.read(8)) == 8:
            kind, size = struct.unpack("<4sI", head)
            if kind == b"fmt " and size >= 16:
                block = file.read(size + size % 2)
                (bytes_per_frame,) = struct.unpack_from("<H", block, 12)
            elif kind == b"data":
                is_known = bytes_per_frame and size not in (0, 0xFFFFFFFF)
                return size // bytes_per_frame if is_known else None
            else:
                file.seek(size + size % 2, 1)
    return None


def keyword_parts(
    source: str,
    clips: Mapping[str, Sequence[Clip]],
    noises: Sequence[Audio],
    *,
    copies: int,
    progress: Progress,
    published: bool = False,
    classes: tuple[str, ...] = CLASSES,
    features: Features = ALL_COEFFICIENTS,
    every_unknown: bool = False,
) -> Parts:
    """Features of the words, of silence and of unknown words, for each part of `clips`.

    Training holds every sample once as it is and `copies` times augmented: shifted by up to 0.1 s and, with
    probability 0.8, under background noise of volume 0 to 0.1. Validation and test hold every sample once as
    it is. Silence is background noise of volume 0 to 1; each part takes it from its own stretch of the
    recordings.

    Args:
        source: the phrase for `Parts`.
        clips: the recordings of "train", "validation" and "test".
        noises: background recordings, each several seconds long.
        copies: augmented copies of each training sample.
        progress: called for every hundred samples.
        published: as in the published preparation: one shifted copy of every sample in all parts, with noise
            in training, nothing as it is, and noise from all of the recordings everywhere.
        classes: silence, unknown and the words.
        features: what is computed of each second; 98 frames of 40 coefficients by default.
        every_unknown: every recording of another word is a sample, in place of a tenth of the words' number.

    Raises:
        InputError: a part has no recordings of a word or of unknown words, or there is no noise.
    """
    from threadpoolctl import threadpool_limits

    if not noises:
        raise InputError(f"{source} has no background noise recordings to make silence of: add them.")
    made = {}
    with threadpool_limits(1):  # these products are so small that threads only wait for each other
        for number, part in enumerate(PARTS):
            random = np.random.default_rng([_SEED, number])
            chosen = _with_unknown(source, part, clips[part], classes, random, every_unknown)
            background = noises if published else [_stretch(noise, number) for noise in noises]
            plain = (False, *[True] * copies) if part == "train" else (False,)
            variants = (True,) if published else plain
            made[part] = _features(
                chosen, classes, background, variants, part == "train", random, progress, part, features
            )
    return Parts(source, classes, **made)


def _with_unknown(
    source: str,
    part: str,
    clips: Sequence[Clip],
    classes: tuple[str, ...],
    random: np.random.Generator,
    every_unknown: bool,
) -> list[Clip]:
    words = [clip for clip in clips if clip.word in classes[2:]]
    others = [clip for clip in clips if clip.word not in classes[2:]]
    missing = set(classes[2:]) - {clip.word for clip in words}
    if missing or not others:
        what = f"of {sorted(missing)[0]!r}" if missing else "of other words for the unknown class"
        raise InputError(f"{source} has no recordings {what} in its {part} part: check that it is complete.")
    if every_unknown:
        return words + others
    count = min(math.ceil(_EXTRA * len(words)), len(others))
    return words + [others[row] for row in random.choice(len(others), count, replace=False)]


def _features(
    clips: Sequence[Clip],
    classes: tuple[str, ...],
    noises: Sequence[Audio],
    variants: Sequence[bool],
    with_noise: bool,
    random: np.random.Generator,
    progress: Progress,
    part: str,
    features: Features,
) -> Examples:
    words = sum(clip.word in classes[2:] for clip in clips)
    samples: list[Clip | None] = [*clips, *[None] * math.ceil(_EXTRA * words)]  # None: silence
    order = random.permutation(len(samples))
    inputs = np.empty((len(variants) * len(samples), *features.shape), np.float32)
    labels, speakers = np.empty(len(inputs), np.int32), np.empty(len(inputs), np.int64)
    for at, position in enumerate(order):
        clip = samples[position]
        audio = None if clip is None else fit_length(clip.read())
        for variant, augmented in enumerate(variants):
            row = variant * len(samples) + at
            if clip is None or audio is None:
                sound = random.uniform(0, 1) * _cut(noises, random)
                labels[row], speakers[row] = 0, NOBODY
            else:
                sound = augment(audio, noises if with_noise else (), random) if augmented else audio
                labels[row] = classes.index(clip.word) if clip.word in classes[2:] else 1
                speakers[row] = clip.speaker
            inputs[row] = features.compute(np.clip(sound, -1, 1).astype(np.float32))
        if at % 100 == 0:
            progress(f"computing speech features ({part})", at, len(samples))
    return Examples(inputs, labels, speakers)


def augment(audio: Audio, noises: Sequence[Audio], random: np.random.Generator) -> Audio:
    """The audio moved by up to 0.1 s either way and, given `noises`, mostly under background noise."""
    shift = int(random.integers(-_SHIFT, _SHIFT))
    moved = np.zeros_like(audio)
    if shift >= 0:
        moved[shift:] = audio[: len(audio) - shift]
    else:
        moved[:shift] = audio[-shift:]
    if noises and random.random() < _NOISE_PROBABILITY:
        moved += np.float32(random.uniform(0, _NOISE_VOLUME)) * _cut(noises, random)
    return moved


def _cut(noises: Sequence[Audio], random: np.random.Generator) -> Audio:
    noise = noises[int(random.integers(len(noises)))]
    first = int(random.integers(max(1, len(noise) - CLIP + 1)))
    return fit_length(noise[first:])


def _stretch(noise: Audio, part: int) -> Audio:
    """The first eight tenths for training, one for validation, one for the test."""
    edges = (0, 0.8, 0.9, 1.0)
    return noise[int(edges[part] * len(noise)) : int(edges[part + 1] * len(noise))]
