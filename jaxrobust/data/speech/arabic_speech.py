"""Arabic Speech Commands: a subset of 30 speakers, packed as one FLAC file a round."""

import csv
from functools import lru_cache, partial
from pathlib import Path

from jaxrobust.data.dataset import Parts
from jaxrobust.data.recipe import Files, Progress, Recipe
from jaxrobust.data.sources import below, check_sha256
from jaxrobust.data.speech import keywords, mfcc
from jaxrobust.data.speech.keywords import Audio, Clip, keyword_parts, read_audio

_COPIES = 9  # augmented copies of each training sample
_PARTS = {"train": "train", "val": "validation", "test": "test"}
_INDEX = "index.csv"
_NOISES = ("noise_boiler.flac", "noise_washing_machine.flac")
_SHA256 = {
    "index.csv": "9114a01acc177d699cc96e38bb6e1ff07c28858cbdb84d074f5315cc65e66626",
    "noise_boiler.flac": "f55348f7499c53c39f459821b72e37e49af2088e618eb0728f75ea0e1af302a0",
    "noise_washing_machine.flac": "3814849df5327db90097544cf54414186016de0c0227e8bfffd159dccfeef645",
    "round01.flac": "ad66f57aa617bf75ee90bda7e0ad3b988c24f943af96d8e5ebd7ada9f58139d5",
    "round02.flac": "c05f41cbd6a0ea5c3a945d9838eaad4064e2c0af8345cad1e3ca90aa84a0cae7",
    "round03.flac": "65f9bfe155ec85b4dedd459b38f3a315f5792bdafcaed9978890621891db54b8",
    "round04.flac": "263f4a731a7a47927061d77462aa7b16f0f5f7f56562aee3e5d96cac65f21105",
    "round05.flac": "2b9f9b3696e6b29aefad6d59fc660cd6c159045be71f5fbcc7b9ff43c7d5db36",
    "round06.flac": "3ced7e267957901d78e6259078fd8049ea80b2bb03c138b3687df17585980dbf",
}


def find_clips(folder: Path) -> dict[str, list[Clip]]:
    """The recordings of each part of the publisher's split, which no two parts share a speaker of.

    Raises:
        InputError: a file is missing or has a wrong checksum.
    """
    for name, sha256 in _SHA256.items():
        check_sha256(folder / name, sha256)
    read_round = lru_cache(maxsize=None)(lambda name: read_audio(folder / name))

    def read(name: str, start: int, frames: int) -> Audio:
        return read_round(name)[start : start + frames]

    clips: dict[str, list[Clip]] = {part: [] for part in keywords.PARTS}
    with (folder / _INDEX).open(newline="") as file:
        for row in csv.DictReader(file):
            # Folders of the publisher are named in English, so that the six words have the published names.
            audio = partial(read, row["file"], int(row["start"]), int(row["frames"]))
            clips[_PARTS[row["split"]]].append(Clip(row["label"], int(row["speaker"]), audio))
    return clips


def build(split: str, folder: Path, progress: Progress) -> Parts:
    """The arrays: inputs `(n, 98, 40)`, labels into `keywords.CLASSES`, groups = speakers.

    Raises:
        InputError: a file is missing or damaged.
    """
    clips = find_clips(folder)
    noises = [read_audio(folder / name) for name in _NOISES]
    return keyword_parts(
        "Arabic Speech Commands (30 speakers)", clips, noises, copies=_COPIES, progress=progress
    )


def _contents(folder: Path) -> list[Path]:
    return [path for name in _SHA256 if (path := folder / name).is_file()]


RECIPE = Recipe(
    name="arabic_speech",
    splits=("speakers",),
    build=build,
    version=1,
    shape=mfcc.SHAPE,
    classes=keywords.CLASSES,
    settings={"mfcc": mfcc.SETTINGS, "keywords": keywords.SETTINGS, "copies": _COPIES},
    files=Files(
        locate=below(
            "arabic_speech_commands",
            "speech/arabic_speech_commands",
            holding=lambda folder: any((folder / name).is_file() for name in _SHA256 if name != _INDEX),
        ),
        contents=_contents,
        fetch=None,
        advice="name the folder that holds index.csv and round01.flac to round06.flac with folder= or in "
        "JAXROBUST_DATA",
    ),
)
