"""Image sets through tensorflow-datasets, without TensorFlow.

The stock builders need TensorFlow to prepare their data. A subclass that reads the original files with the
standard library and yields encoded PNG images does not; what it prepares in the array_record format, the
stock `tfds.data_source` reads as well.
"""

import contextlib
import io
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Integer, UInt8

from jaxrobust.data.images.image_parts import Images
from jaxrobust.data.recipe import Files, Progress
from jaxrobust.data.sources import below, reach
from jaxrobust.errors import InputError

Labelled = tuple[UInt8[np.ndarray, "n h w c"], Integer[np.ndarray, " n"]]


@dataclass(frozen=True)
class TfdsImages:
    """An image set that has a stock builder in tensorflow-datasets.

    Attributes:
        name: the stock builder's name, as in "fashion_mnist".
        originals: the original files' names; tensorflow-datasets knows their addresses and checksums.
        read: images and labels of "train" and "test" from the paths of the original files, by file name.
    """

    name: str
    originals: tuple[str, ...]
    read: Callable[[Mapping[str, Path]], Mapping[str, Labelled]]

    def images(self, folder: Path, progress: Progress) -> Images:
        """All images from a folder with the original files, or one that tensorflow-datasets has prepared.

        Raises:
            InputError: a file is missing or has a wrong checksum.
        """
        if self.is_prepared(folder):
            return self._from_builder(self._builder(folder), progress)
        for file in self.originals:
            if not (folder / file).is_file():
                raise InputError(f"{self.name} is incomplete: put the original {file} into {folder}.")
        with tempfile.TemporaryDirectory() as scratch:
            builder = self._builder(Path(scratch))
            progress(f"preparing {self.name}", 0, 0)
            self._prepare(builder, manual=folder)
            return self._from_builder(builder, progress)

    def fetch(self, folder: Path, progress: Progress) -> None:
        """Download the original files and prepare them in `folder`, as tensorflow-datasets does.

        Raises:
            OSError: no network.
            InputError: what came has a wrong checksum.
        """
        builder = self._builder(folder)
        reach(self._addresses(builder)[self.originals[0]])
        progress(f"downloading {self.name}", 0, 0)
        self._prepare(builder, manual=None)

    def is_prepared(self, folder: Path) -> bool:
        """True if `folder` is a data folder of tensorflow-datasets with this set in array_record format."""
        return any((folder / self.name).glob("*/*.array_record*"))

    def files(self, *folders: str, advice: str) -> Files:
        """How `load` finds the set: its originals, or prepared, in a place or in `folders` below it."""
        return Files(
            locate=below(
                *folders,
                holding=lambda folder: (
                    any((folder / file).is_file() for file in self.originals) or self.is_prepared(folder)
                ),
            ),
            contents=self.contents,
            fetch=self.fetch,
            advice=advice,
        )

    def contents(self, folder: Path) -> list[Path]:
        """The files in `folder` that the arrays depend on."""
        prepared = sorted((folder / self.name).glob("*/*.array_record*"))
        return prepared or [path for file in self.originals if (path := folder / file).is_file()]

    def _builder(self, data_folder: Path) -> Any:
        import tensorflow_datasets as tfds
        from tensorflow_datasets.core.registered import skip_registration

        stock: Any = tfds.builder_cls(self.name)

        def split_generators(builder: Any, dl_manager: Any) -> dict[str, Iterator[tuple[int, dict]]]:
            paths = dl_manager.download(self._addresses(builder))
            labelled = self.read({file: Path(path) for file, path in paths.items()})
            return {
                part: _encoded(part, *labelled[part], builder.info.features) for part in ("train", "test")
            }

        # The name of the class is the name of the data set; the checksums are looked up beside the class's
        # module, so they are handed over.
        changes = {"_split_generators": split_generators, "url_infos": stock.url_infos}
        with skip_registration():
            builder_class: Any = type(stock.__name__, (stock,), changes)
        return builder_class(data_dir=str(data_folder), file_format="array_record")

    def _addresses(self, builder: Any) -> dict[str, str]:
        addresses = {info.filename: url for url, info in builder.url_infos.items()}
        return {file: addresses[file] for file in self.originals}

    def _prepare(self, builder: Any, manual: Path | None) -> None:
        import tensorflow_datasets as tfds
        from tensorflow_datasets.core.download.download_manager import NonMatchingChecksumError

        settings: Any = tfds.download.DownloadConfig(manual_dir=manual, try_download_gcs=False)
        tfds.disable_progress_bar()
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                builder.download_and_prepare(download_config=settings)
        except NonMatchingChecksumError as error:
            file = next((file for file in self.originals if file in str(error)), "a file")
            where = "the download" if manual is None else str(manual)
            raise InputError(
                f"{file} of {self.name} from {where} has a wrong checksum, so it is cut short or not the "
                "original: delete it and get it again."
            ) from error

    def _from_builder(self, builder: Any, progress: Progress) -> Images:
        (train_images, train_labels), (test_images, test_labels) = (
            self._read_split(builder, part, progress) for part in ("train", "test")
        )
        return Images(train_images, train_labels, test_images, test_labels)

    def _read_split(self, builder: Any, part: str, progress: Progress) -> Labelled:
        import tensorflow_datasets as tfds
        from PIL import Image

        # Left to itself, tensorflow-datasets warns that it would rather decode with OpenCV.
        source = builder.as_data_source(part, decoders={"image": tfds.decode.SkipDecoding()})
        images, labels = np.empty((len(source), *builder.info.features["image"].shape), np.uint8), []
        for row in range(len(source)):
            example = source[row]
            pixels = np.asarray(Image.open(io.BytesIO(example["image"])))
            images[row] = pixels.reshape(images.shape[1:])
            labels.append(int(example["label"]))
            if row % 5000 == 0:
                progress(f"reading {self.name} ({part})", row, len(source))
        return images, np.array(labels)


def _encoded(part: str, images: np.ndarray, labels: np.ndarray, features: Any) -> Iterator[tuple[int, dict]]:
    from PIL import Image

    for row, (image, label) in enumerate(zip(images, labels, strict=True)):
        file = io.BytesIO()
        Image.fromarray(image.squeeze()).save(file, "png", compress_level=1)
        file.seek(0)
        example = {"image": file, "label": int(label)}
        yield row, example | ({"id": f"{part}_{row:05d}"} if "id" in features else {})
