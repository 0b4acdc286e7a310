from pathlib import Path

import numpy as np
import pytest

from jaxrobust.data.speech import keywords
from jaxrobust.data.speech.keywords import CLASSES, Clip, augment, keyword_parts, read_audio
from jaxrobust.data.speech.mfcc import SHAPE, mfcc
from jaxrobust.errors import InputError


def silent(what: str, done: int, total: int) -> None:
    pass


def sound(seed: int) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).normal(size=16000)).astype(np.float32)


def clips(per_word: int, seed: int) -> list[Clip]:
    made = []
    for number, word in enumerate((*keywords.WORDS, "dog", "cat")):
        for take in range(per_word):
            made.append(Clip(word, seed, lambda key=1000 * seed + 20 * number + take: sound(key)))
    return made


@pytest.fixture
def recordings() -> dict[str, list[Clip]]:
    return {"train": clips(5, 1), "validation": clips(2, 2), "test": clips(2, 3)}


@pytest.fixture
def noises() -> list[np.ndarray]:
    # Another loudness in each stretch tells which part it was taken for.
    level = np.repeat([0.01, 0.1, 1.0], [128000, 16000, 16000])
    return [(level * np.random.default_rng(9).uniform(-0.9, 0.9, 160000)).astype(np.float32)]


def test_counts_follow_the_published_shares(recordings, noises):
    parts = keyword_parts("toys", recordings, noises, copies=2, progress=silent)
    # 30 words: 3 silence and 3 unknown; each once as it is and twice augmented.
    assert parts.train.counts(8) == (9, 9, 15, 15, 15, 15, 15, 15)
    assert parts.validation.counts(8) == (2, 2, 2, 2, 2, 2, 2, 2)
    assert parts.classes == CLASSES
    assert parts.train.inputs.shape == (108, *SHAPE)
    assert set(parts.test.groups) == {3, keywords.NOBODY}


def test_validation_and_test_are_not_augmented(recordings, noises):
    parts = keyword_parts("toys", recordings, noises, copies=2, progress=silent)
    for part, given in ((parts.validation, recordings["validation"]), (parts.test, recordings["test"])):
        plain = {mfcc(clip.read()).tobytes() for clip in given}
        assert all(row.tobytes() in plain for row in part.inputs[part.labels > 0])


def test_training_holds_each_sample_as_it_is_and_augmented(recordings, noises):
    parts = keyword_parts("toys", recordings, noises, copies=2, progress=silent)
    plain = {mfcc(clip.read()).tobytes() for clip in recordings["train"]}
    is_plain = [row.tobytes() in plain for row in parts.train.inputs]
    words = parts.train.labels > 0
    assert sum(is_plain) == words.sum() // 3
    assert all(is_plain[row] for row in range(36) if words[row])
    assert parts.train.labels[:36].tolist() == parts.train.labels[36:72].tolist()


def test_silence_of_each_part_comes_from_its_own_stretch_of_the_noise(recordings, noises):
    parts = keyword_parts("toys", recordings, noises, copies=0, progress=silent)
    loudness = [
        part.inputs[part.labels == 0][..., 0].max() for part in (parts.train, parts.validation, parts.test)
    ]
    assert loudness[0] < loudness[1] < loudness[2]


def test_the_published_way_augments_everything_once(recordings, noises):
    parts = keyword_parts("toys", recordings, noises, copies=2, progress=silent, published=True)
    assert parts.train.counts(8) == (3, 3, 5, 5, 5, 5, 5, 5)
    plain = {mfcc(clip.read()).tobytes() for part in recordings.values() for clip in part}
    for part in (parts.train, parts.validation, parts.test):
        assert sum(row.tobytes() in plain for row in part.inputs) <= 1, "a shift of zero is rare"


def test_the_same_settings_give_the_same_features(recordings, noises):
    first, second = (keyword_parts("toys", recordings, noises, copies=1, progress=silent) for _ in range(2))
    np.testing.assert_array_equal(first.train.inputs, second.train.inputs)


def test_a_shift_fills_with_zeros_and_is_at_most_a_tenth_of_a_second():
    audio = np.arange(1, 16001, dtype=np.float32)
    random = np.random.default_rng(0)
    shifts = set()
    for _ in range(300):
        moved = augment(audio, (), random)
        inside = np.flatnonzero(moved)
        shift = int(inside[0] + 1 - moved[inside[0]])
        assert moved[inside[0]] + shift == inside[0] + 1
        assert len(inside) == 16000 - abs(shift)
        shifts.add(shift)
    assert min(shifts) < -1400
    assert 1400 < max(shifts) < 1600


def test_noise_comes_in_four_of_five_cases_and_stays_quiet():
    random = np.random.default_rng(0)
    silence = np.zeros(16000, np.float32)
    noisy = [np.abs(augment(silence, [np.ones(50000, np.float32)], random)).max() for _ in range(500)]
    assert 0.75 < np.mean(np.array(noisy) > 0) < 0.85
    assert 0.09 < max(noisy) <= 0.1


@pytest.mark.parametrize(
    ("left_out", "message"),
    [
        (("up",), "no recordings of 'up' in its test part"),
        (("dog", "cat"), "of other words for the unknown class"),
    ],
)
def test_missing_words_are_named(recordings, noises, left_out, message: str):
    recordings["test"] = [clip for clip in recordings["test"] if clip.word not in left_out]
    with pytest.raises(InputError, match=message):
        keyword_parts("toys", recordings, noises, copies=0, progress=silent)


def test_missing_noise_is_an_error(recordings):
    with pytest.raises(InputError, match="no background noise"):
        keyword_parts("toys", recordings, [], copies=0, progress=silent)


def test_sound_files_of_another_kind_are_refused(tmp_path: Path):
    import soundfile

    soundfile.write(tmp_path / "rate.wav", np.zeros(8000), 8000)
    soundfile.write(tmp_path / "stereo.wav", np.zeros((16000, 2)), 16000)
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), 16000)
    (tmp_path / "text.wav").write_text("no sound")
    for name, message in (
        ("rate", "at 8000 Hz: give mono"),
        ("stereo", r"shape \(16000, 2\)"),
        ("empty", "holds no samples"),
        ("text", "cannot be decoded .*: delete it and get it again"),
    ):
        with pytest.raises(InputError, match=message):
            read_audio(tmp_path / f"{name}.wav")


def test_float_files_keep_what_is_beyond_full_scale(tmp_path):
    import soundfile

    wave = 20 * np.sin(np.arange(16000) / 20)
    soundfile.write(tmp_path / "loud.wav", wave, 16000, subtype="FLOAT")
    np.testing.assert_allclose(read_audio(tmp_path / "loud.wav"), wave, rtol=1e-6)


def test_a_recording_that_is_cut_off_is_refused(tmp_path):
    import soundfile

    path = tmp_path / "whole.wav"
    soundfile.write(path, np.sin(np.arange(16000) / 20), 16000)
    assert len(read_audio(path)) == 16000
    cut = tmp_path / "cut.WAV"
    cut.write_bytes(path.read_bytes()[: 44 + 2 * 1652])
    with pytest.raises(InputError, match="cut off: its header promises 16000 samples, but it holds 1652"):
        read_audio(cut)
