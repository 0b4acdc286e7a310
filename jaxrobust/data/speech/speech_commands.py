"""Google Speech Commands: one-second recordings of single words, in the publisher's folder layout."""

import hashlib
import tarfile
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from jaxrobust.data.dataset import Parts
from jaxrobust.data.recipe import Files, Progress, Recipe
from jaxrobust.data.sources import below, check_sha256, download
from jaxrobust.data.speech import keywords, mfcc, short_mfcc
from jaxrobust.data.speech.keywords import Clip, Features, keyword_parts, read_audio
from jaxrobust.errors import InputError

_ARCHIVE = "speech_commands_v0.02.tar.gz"
_URL = f"https://storage.googleapis.com/download.tensorflow.org/data/{_ARCHIVE}"
_SHA256 = "af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58"
_NOISE = "_background_noise_"
_COPIES = 3  # augmented copies of each training sample: 1.4 GB of features in all
_TEN_WORDS = ("down", "go", "left", "no", "off", "on", "right", "stop", "up", "yes")
CLASSES_12 = (*keywords.CLASSES[:2], *_TEN_WORDS)
_COPIES_12 = 1  # 0.4 GB of features in all, as every other word is a sample

# P. Warden, arXiv:1804.03209, section 7: the split is a function of the speaker alone, so that it stays the
# same when recordings are added.
_HASH_RANGE = 2**27 - 1
_VALIDATION, _TEST = 10, 10  # per cent


def speaker_part(speaker: str) -> str:
    """The part that all recordings of a speaker belong to, by the SHA-1 hash of the name in the files."""
    number = int(hashlib.sha1(speaker.encode()).hexdigest(), 16) % (_HASH_RANGE + 1)
    percent = number * (100 / _HASH_RANGE)
    return "validation" if percent < _VALIDATION else "test" if percent < _VALIDATION + _TEST else "train"


def find_clips(folder: Path) -> dict[str, list[Clip]]:
    """The recordings `<word>/<speaker>_nohash_<n>.wav` of each part, sorted by name.

    Raises:
        InputError: there are none.
    """
    clips: dict[str, list[Clip]] = {part: [] for part in keywords.PARTS}
    for path in sorted(folder.glob("[!_.]*/*.[wW][aA][vV]")):
        speaker = path.name.split("_nohash_")[0]
        number = int.from_bytes(hashlib.sha1(speaker.encode()).digest()[:6], "big")
        clips[speaker_part(speaker)].append(Clip(path.parent.name, number, partial(read_audio, path)))
    if not any(clips.values()):
        raise InputError(
            f"{folder} holds no recordings <word>/<speaker>_nohash_<n>.wav: name the right folder."
        )
    return clips


def build(split: str, folder: Path, progress: Progress) -> Parts:
    """The arrays of one split: inputs `(n, 98, 40)`, labels into `keywords.CLASSES`, groups = speakers.

    Raises:
        InputError: the archive has a wrong checksum, a recording is damaged, or words or noise are missing.
    """
    make = partial(keyword_parts, copies=_COPIES, published=split == "published")
    return _read(make, folder, progress)


def build_12(split: str, folder: Path, progress: Progress) -> Parts:
    """The same recordings as ten words, silence and all other words: inputs `(n, 49, 10)`.

    Raises:
        InputError: as `build`.
    """
    features = Features(short_mfcc.short_mfcc, short_mfcc.SHAPE)
    how: Any = {"classes": CLASSES_12, "features": features, "every_unknown": True}
    return _read(partial(keyword_parts, copies=_COPIES_12, **how), folder, progress)


def _read(make: Callable[..., Parts], folder: Path, progress: Progress) -> Parts:
    if not _is_unpacked(folder):
        with tempfile.TemporaryDirectory() as scratch:
            _unpack(folder / _ARCHIVE, Path(scratch), progress)
            return _read(make, Path(scratch), progress)
    source = "Google Speech Commands v0.02" if _is_v002(folder) else "Google Speech Commands"
    noises = [read_audio(path) for path in sorted((folder / _NOISE).glob("*.[wW][aA][vV]"))]
    if not noises:
        raise InputError(
            f"speech_commands has no recordings in {folder / _NOISE}, which silence is made of: "
            "put the original ones there."
        )
    return make(source, find_clips(folder), noises, progress=progress)


def _unpack(archive: Path, folder: Path, progress: Progress) -> None:
    progress(f"unpacking {archive.name}", 0, 0)
    check_sha256(archive, _SHA256)
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")


def fetch(folder: Path, progress: Progress) -> None:
    """Download and unpack version 0.02 (2.4 GB) into `folder`.

    Raises:
        OSError: no network.
        InputError: the download has a wrong checksum.
    """
    archive = folder / _ARCHIVE
    download(_URL, archive, _SHA256, progress)
    _unpack(archive, folder, progress)
    archive.unlink()


def _is_unpacked(folder: Path) -> bool:
    return all((folder / word).is_dir() for word in keywords.WORDS)


def _is_v002(folder: Path) -> bool:
    # Words that version 0.01 does not have.
    return all((folder / word).is_dir() for word in ("backward", "forward", "follow", "learn", "visual"))


def _contents(folder: Path) -> list[Path]:
    return sorted(folder.glob("[!.]*/*.[wW][aA][vV]")) if _is_unpacked(folder) else [folder / _ARCHIVE]


FILES = Files(
    locate=below(
        "speech_commands",
        "speech_commands_v0.02",
        "SpeechCommands/speech_commands_v0.02",
        "speech_dataset",
        holding=lambda folder: _is_unpacked(folder) or (folder / _ARCHIVE).is_file(),
    ),
    contents=_contents,
    fetch=fetch,
    advice=f"name the folder that holds {_ARCHIVE}, or the folders yes, no, up ... unpacked from it, "
    "with folder= or in JAXROBUST_DATA",
)

RECIPE = Recipe(
    name="speech_commands",
    splits=("speakers", "published"),
    build=build,
    version=1,
    shape=mfcc.SHAPE,
    classes=keywords.CLASSES,
    settings={"mfcc": mfcc.SETTINGS, "keywords": keywords.SETTINGS, "copies": _COPIES},
    files=FILES,
)

RECIPE_12 = Recipe(
    name="speech_commands_12",
    splits=("speakers",),
    build=build_12,
    version=1,
    shape=short_mfcc.SHAPE,
    classes=CLASSES_12,
    settings={"mfcc": short_mfcc.SETTINGS, "keywords": keywords.SETTINGS, "copies": _COPIES_12},
    files=FILES,
)
