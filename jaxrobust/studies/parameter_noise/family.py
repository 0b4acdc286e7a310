"""An architecture: what can be set about a network and its training, and the cachable training itself."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import datajuicer as dj
from jaxrobust import data
from jaxrobust.data.dataset import Dataset
from jaxrobust.errors import InputError
from jaxrobust.networks.network import Network
from jaxrobust.settings import Setting, check_spelling, check_values
from jaxrobust.studies.earlier_defaults import EARLIER
from jaxrobust.studies.parameter_noise.patterns import check_patterns
from jaxrobust.studies.parameter_noise.recipes import (
    attack_of,
    joined_method_of,
    method_of,
    optimizer_of,
    schedule_of,
)
from jaxrobust.studies.side_by_side import dataset_of, only, preparing, train_side_by_side
from jaxrobust.studies.sources import WITHIN, training_code
from jaxrobust.training.augmentation import augmentation_named
from jaxrobust.training.training import Training, program_structure


@dataclass(frozen=True, eq=False)
class NetworkFamily:
    """A kind of network and everything that can be set about its training.

    Attributes:
        name: As in ``train.py -arch=name``.
        about: One line on what it is.
        settings: Every setting; together they make up the key of a trained model.
        network: Builds the network for a grid point and its data.
        learns: What kind of samples it takes.
    """

    name: str
    about: str
    settings: Mapping[str, Setting]
    network: Callable[[Mapping[str, Any], Dataset], Network]
    learns: Literal["images", "sequences"]

    def make(self) -> dict[str, Any]:
        """A grid point with every default; ``data_folder`` says where to look for the data first."""
        defaults = {name: setting.default for name, setting in self.settings.items()}
        return {"architecture": self.name, **defaults, "data_folder": "", "train": self.train}

    @property
    def train(self) -> dj.Cachable:
        """The training of one grid point, cached under its settings."""
        return dj.cachable(
            dependencies=[
                f"model:{name}?={setting.default!r}" if setting.optional else f"model:{name}"
                for name, setting in self.settings.items()
            ],
            table_name=f"train_{self.name}",
            earlier_defaults=EARLIER.get(f"train_{self.name}", ()),
            batched=self.train_together,
            group=self.program_of,
            code_of=self.code_of,
            code_within=WITHIN,
        )(self.train_one)

    def code_of(self, model: Mapping[str, Any]) -> tuple[Any, ...]:
        """The code that the training of a grid point depends on; ``train_one`` only puts it together."""
        return training_code(self.network, self.settings, model)

    def check(self, model: Mapping[str, Any]) -> None:
        """Raise ``InputError`` for a grid point that cannot be trained, without touching any data."""
        check_values(model, self.settings, self.name)
        check_spelling(model, [*self.settings, "data_folder"], self.name)
        data.check_identified(model["dataset"])
        blank = data.blank(model["dataset"], split=model["split"] or None)
        self._check_kind(blank)
        augmentation_named(model["augmentation"], blank.train.inputs.ndim)
        attack_of(model)
        optimizer_of(model)
        method_of(model)
        schedule_of(model)
        check_patterns(model, self.settings, self.network(model, blank))

    def _check_kind(self, dataset: Dataset) -> None:
        if dataset.is_regression:
            raise InputError(
                f"{self.name} learns classes, but {dataset.name} has targets of a regression; use "
                f"training_point(network, dataset, criterion=SquaredError())."
            )
        kind = {4: "images", 3: "sequences"}.get(dataset.train.inputs.ndim, "vectors")
        if kind != self.learns:
            raise InputError(
                f"{self.name} learns {self.learns}, but the data set {dataset.name} holds {kind}; "
                f"its own is {self.settings['dataset'].default}."
            )

    def program_of(self, model: Mapping[str, Any]) -> str:
        """Describe what points must have in common to train in one program, read off the built training.

        Methods that can be joined through parts of weight zero (``methods.joining``) count as one; whether
        they are is decided where they train.
        """
        dataset = data.blank(model["dataset"], split=model["split"] or None)
        training = replace(
            self.training_of(model, self.network(model, dataset), dataset, Path()),
            method=joined_method_of(model),
        )
        data_set = (model["dataset"], model["split"], model.get("data_folder", ""))
        return repr((data_set, program_structure(training)))

    def training_of(
        self,
        model: Mapping[str, Any],
        network: Network,
        dataset: Dataset,
        folder: Path,
    ) -> Training:
        """The training of a grid point."""
        is_image = dataset.train.inputs.ndim == 4
        input_bounds = (0.0, 1.0) if is_image else None
        return Training(
            network=network,
            method=method_of(model, input_bounds),
            schedule=schedule_of(model),
            optimizer=optimizer_of(model),
            batch_size=model["batch_size"],
            seed=model["seed"],
            eval_step_interval=model["eval_step_interval"],
            folder=folder,
            augmentation=augmentation_named(model["augmentation"], dataset.train.inputs.ndim),
            keep=model["keep"],
        )

    def train_one(self, model: dict[str, Any], job: dj.Job) -> dict[str, Any]:
        """Train one grid point; see ``train_together``."""
        return only(self.train_together([model], [job]))

    def train_together(
        self, model: list[dict[str, Any]], job: list[dj.Job]
    ) -> list[dict[str, Any] | Exception]:
        """Train grid points of one program side by side.

        Returns:
            For each the best parameters (a file), validation accuracy, metrics over time, and where its data
            came from; or the reason why it has none.
        """
        for point in model:
            self.check(point)
        preparing(job)
        dataset = dataset_of(model[0])
        network = self.network(model[0], dataset)
        trainings = [
            self.training_of(point, network, dataset, its_job.folder)
            for point, its_job in zip(model, job, strict=True)
        ]
        return train_side_by_side(trainings, dataset, job)
