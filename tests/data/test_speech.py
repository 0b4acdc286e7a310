import hashlib
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest

from jaxrobust import data
from jaxrobust.data.speech import arabic_speech, generated_speech, speech_commands
from jaxrobust.data.speech.keywords import CLASSES, WORDS
from jaxrobust.errors import InputError


def test_the_speaker_alone_decides_the_part_in_the_published_proportions():
    names = [f"{number:08x}" for number in range(20000)]
    parts = [speech_commands.speaker_part(name) for name in names]
    share = {part: parts.count(part) / len(parts) for part in ("train", "validation", "test")}
    assert share["validation"] == pytest.approx(0.1, abs=0.01)
    assert share["test"] == pytest.approx(0.1, abs=0.01)
    assert share["train"] == pytest.approx(0.8, abs=0.01)


def write_words(folder: Path, speakers: dict[str, list[str]]) -> Path:
    """A small data set in Google's layout: short clips of noise by the given speakers of each part."""
    import soundfile

    random = np.random.default_rng(0)
    for word in (*WORDS, "dog"):
        (folder / word).mkdir(parents=True)
        for names in speakers.values():
            for name in names:
                clip = 0.1 * random.normal(size=12000)
                soundfile.write(folder / word / f"{name}_nohash_0.wav", clip, 16000)
    (folder / "_background_noise_").mkdir()
    soundfile.write(folder / "_background_noise_" / "hiss.wav", 0.1 * random.normal(size=160000), 16000)
    return folder


@pytest.fixture
def speakers() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {"train": [], "validation": [], "test": []}
    for number in range(200):
        name = f"{number:08x}"
        found[speech_commands.speaker_part(name)].append(name)
    return {part: names[:2] for part, names in found.items()}


@pytest.mark.parametrize("split", ["speakers", "published"])
def test_google_s_layout(tmp_path: Path, speakers, split: str):
    folder = write_words(tmp_path / "words", speakers)
    dataset = data.load("speech_commands", split=split, folder=folder, cache=tmp_path)
    variants = 1 if split == "published" else 4
    assert dataset.train.counts(8) == tuple(variants * n for n in (2, 2, 2, 2, 2, 2, 2, 2))
    assert dataset.test.counts(8) == (2, 2, 2, 2, 2, 2, 2, 2)
    assert dataset.classes == CLASSES
    assert dataset.source == "Google Speech Commands", "without the words of version 0.02"
    train, validation, test = (
        set(part.groups) - {-1} for part in (dataset.train, dataset.validation, dataset.test)
    )
    assert not train & validation | train & test | validation & test
    assert len(train) == 2


def test_ten_words_and_all_others_of_the_same_recordings(tmp_path: Path, speakers):
    folder = write_words(tmp_path / "words", speakers)
    with pytest.raises(InputError, match="no recordings of 'go' in its train part"):
        data.load("speech_commands_12", folder=folder, cache=tmp_path)
    for word in ("go", "off", "on", "stop", "cat"):
        shutil.copytree(folder / "dog", folder / word)
    dataset = data.load("speech_commands_12", folder=folder, cache=tmp_path)
    assert dataset.classes[:3] == ("_silence_", "_unknown_", "down")
    assert (
        dataset.train.inputs.shape[1:] == (49, 10) == data.blank("speech_commands_12").train.inputs.shape[1:]
    )
    # Two speakers per part; silence is a tenth of the words, unknown is every recording of dog and cat.
    assert dataset.test.counts(12) == (2, 4, *[2] * 10)
    assert dataset.train.counts(12) == (4, 8, *[4] * 10)
    assert dataset.source == data.load("speech_commands", folder=folder, cache=tmp_path).source


def test_an_archive_is_unpacked_if_its_checksum_is_right(tmp_path: Path, speakers, monkeypatch):
    words = write_words(tmp_path / "words", speakers)
    folder = tmp_path / "archive"
    folder.mkdir()
    archive = folder / "speech_commands_v0.02.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(words, ".")
    with pytest.raises(InputError, match=r"speech_commands_v0.02.tar.gz has a wrong checksum.* get it again"):
        data.load("speech_commands", folder=folder, cache=tmp_path / "a")
    monkeypatch.setattr(speech_commands, "_SHA256", hashlib.sha256(archive.read_bytes()).hexdigest())
    packed = data.load("speech_commands", folder=folder, cache=tmp_path / "a")
    unpacked = data.load("speech_commands", folder=words, cache=tmp_path / "b")
    assert packed.fingerprint == unpacked.fingerprint


def test_a_download_is_unpacked_and_checked(tmp_path: Path, speakers, monkeypatch):
    words = write_words(tmp_path / "words", speakers)
    archive = tmp_path / "served.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(words, ".")
    monkeypatch.setattr(speech_commands, "_URL", archive.as_uri())
    with pytest.raises(InputError, match="wrong checksum and was thrown away"):
        data.load("speech_commands", cache=tmp_path / "cache")
    monkeypatch.setattr(speech_commands, "_SHA256", hashlib.sha256(archive.read_bytes()).hexdigest())
    dataset = data.load("speech_commands", cache=tmp_path / "cache")
    assert dataset.fingerprint == data.load("speech_commands", folder=words, cache=tmp_path / "b").fingerprint


def test_missing_background_noise_is_named(tmp_path: Path, speakers):
    folder = write_words(tmp_path / "words", speakers)
    shutil.rmtree(folder / "_background_noise_")
    with pytest.raises(
        InputError, match=r"no recordings in .*_background_noise_.*: put the original ones there"
    ):
        data.load("speech_commands", folder=folder, cache=tmp_path)


@pytest.mark.data
def test_original_recordings_of_google_are_read(real_data: Path):
    clips = speech_commands.find_clips(real_data / "speech/gsc_v001_sample")
    everything = [clip for part in clips.values() for clip in part]
    assert len(everything) == 140
    assert {word: sum(clip.word == word for clip in everything) for word in WORDS} == dict.fromkeys(WORDS, 10)
    assert len({clip.speaker for clip in everything}) == 29
    lengths = {len(clip.read()) for clip in everything}
    assert max(lengths) == 16000
    assert min(lengths) < 16000, "some originals are shorter than a second"


@pytest.mark.data
def test_arabic_speech_keeps_the_publisher_s_speakers_apart(real_data: Path):
    clips = arabic_speech.find_clips(real_data / "speech/arabic_speech_commands")
    assert {part: len(found) for part, found in clips.items()} == {
        "train": 1188,
        "validation": 396,
        "test": 396,
    }
    speakers = {part: {clip.speaker for clip in found} for part, found in clips.items()}
    assert {part: len(found) for part, found in speakers.items()} == {"train": 18, "validation": 6, "test": 6}
    assert len(set.union(*speakers.values())) == 30
    assert all(clip.read().shape == (16000,) for clip in clips["test"][::40])
    levels = [np.abs(clip.read()).max() for clip in clips["validation"][::40]]
    assert min(levels) > 0.001


@pytest.mark.data
@pytest.mark.parametrize("name", ["round03.flac", "index.csv"])
def test_a_damaged_file_of_arabic_speech_is_refused(real_data: Path, tmp_path: Path, name: str):
    for path in (real_data / "speech/arabic_speech_commands").iterdir():
        (tmp_path / path.name).symlink_to(path)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).unlink()
    (tmp_path / name).write_bytes(content[:-1000])
    with pytest.raises(InputError, match=rf"{name} has a wrong checksum"):
        data.load("arabic_speech", folder=tmp_path, cache=tmp_path / "cache")
    (tmp_path / name).unlink()
    with pytest.raises(InputError, match=rf"{name} is missing"):
        data.load("arabic_speech", folder=tmp_path, cache=tmp_path / "cache")


@pytest.mark.data
@pytest.mark.slow
def test_arabic_speech(real_data: Path, tmp_path: Path):
    dataset = data.load("arabic_speech", folder=real_data, cache=tmp_path)
    assert dataset.train.counts(8) == (650, 650, *[1080] * 6)
    assert dataset.validation.counts(8) == dataset.test.counts(8) == (22, 22, *[36] * 6)
    assert dataset.source == "Arabic Speech Commands (30 speakers)"


def test_a_generated_word_is_reproducible_and_no_speaker_repeats_itself():
    first = generated_speech.speak("keyword 1", 3, 0)
    assert first.shape == (16000,)
    assert first.dtype == np.float32
    assert 0.02 < np.abs(first).max() <= 1
    np.testing.assert_array_equal(first, generated_speech.speak("keyword 1", 3, 0))
    for other in (("keyword 1", 3, 1), ("keyword 1", 4, 0), ("keyword 2", 3, 0)):
        assert not np.array_equal(first, generated_speech.speak(*other))


def test_generated_speech(tmp_path: Path):
    dataset = data.load("generated_speech", cache=tmp_path)
    assert dataset.synthetic
    assert dataset.train.inputs.shape == (2768, 98, 40)
    assert dataset.test.counts(8) == (24, 24, *[40] * 6)
    train, validation, test = (
        set(part.groups) - {-1} for part in (dataset.train, dataset.validation, dataset.test)
    )
    assert (len(train), len(validation), len(test)) == (24, 6, 10)
    assert not train & validation | train & test | validation & test
