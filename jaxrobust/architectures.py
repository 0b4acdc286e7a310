"""What a grid point holds: each architecture's settings, and the cachable training behind ``"train"``.

``ecg_lsnn.make()`` gives a grid point: every setting with its default, the architecture's name, and under
``"train"`` the function that trains it, for ``datajuicer.run(grid, "train", store_key="*")("{*}")``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax

import datajuicer as dj
from jaxrobust import data
from jaxrobust.data.dataset import Dataset
from jaxrobust.errors import InputError
from jaxrobust.models.lsnn import LSNN
from jaxrobust.models.mlp import MLP
from jaxrobust.models.network import Network
from jaxrobust.robustness.attack import ParameterAttack
from jaxrobust.settings import Setting, check_types, nearest
from jaxrobust.training.checkpoints import save_tree
from jaxrobust.training.loop import CHECKPOINT, Trained, Training, TrainingDiverged, TrainingStopped, train
from jaxrobust.training.methods import ForwardNoise, Method, ParameterAttackTraining, Standard
from jaxrobust.training.optimizers import OPTIMIZERS
from jaxrobust.training.schedule import Schedule

PARAMETERS = "parameters.safetensors"

TRAINING_SETTINGS = {
    "seed": Setting(0, "seed of the parameters, the order of the data and all random draws"),
    "batch_size": Setting(100, "samples a training step"),
    "optimizer": Setting("adam", "adam or sgd"),
    "reg": Setting(0.001, "weight of the firing-rate regulariser"),
    "beta_robustness": Setting(0.125, "weight of the robust term (beta); 0 trains without attack"),
    "boundary_loss": Setting("kl", "what the attack increases: kl, reverse_kl, js, l2 or madry"),
    "n_attack_steps": Setting(10, "steps of the attack"),
    "p_norm": Setting("inf", "direction of the attack's steps: inf (sign) or 2 (normalised gradient)"),
    "attack_size_mismatch": Setting(0.2, "size of the attack relative to each parameter (zeta)"),
    "attack_size_constant": Setting(0.0, "size of the attack, the same for all parameters"),
    "initial_std_mismatch": Setting(0.001, "random start of the attack, relative to each parameter"),
    "initial_std_constant": Setting(0.0, "random start of the attack, the same for all parameters"),
    "treat_as_constant": Setting(False, "hold the attacked parameters fixed in the gradient"),
    "noisy_forward_std": Setting(0.0, "forward noise relative to each parameter; 0 trains without"),
}

NEURON_SETTINGS = {
    "n_hidden": Setting(256, "spiking units"),
    "dt": Setting(1.0, "length of a time step in ms"),
    "tau": Setting(20.0, "membrane time constant in ms"),
    "tau_adaptation": Setting(98.0, "time constant of the adaptive threshold in ms"),
    "beta": Setting(2.0, "strength of the threshold's adaptation"),
    "thr": Setting(0.01, "resting threshold"),
    "refr": Setting(2, "refractory period in time steps; refr - 1 steps after a spike are blocked"),
}


@dataclass(frozen=True)
class Architecture:
    """A kind of network and everything that can be set about its training.

    Attributes:
        name: As in ``train.py -arch=name``.
        about: One line on what it is.
        settings: Every setting; together they make up the key of a trained model.
        network: Builds the network for a grid point and its data.
    """

    name: str
    about: str
    settings: Mapping[str, Setting]
    network: Callable[[Mapping[str, Any], Dataset], Network]

    def make(self) -> dict[str, Any]:
        """A grid point with every default; ``data_folder`` says where to look for the data first."""
        defaults = {name: setting.default for name, setting in self.settings.items()}
        return {"architecture": self.name, **defaults, "data_folder": "", "train": self.train}

    @property
    def train(self) -> dj.Cachable:
        """The training of one grid point, cached under its settings."""
        return dj.cachable(
            dependencies=[f"model:{name}" for name in self.settings],
            table_name=f"train_{self.name}",
            batched=train_models,
            group=program_of,
        )(train_model)


def _lsnn(model: Mapping[str, Any], dataset: Dataset) -> LSNN:
    constants = {name: model[name] for name in NEURON_SETTINGS}
    return LSNN(n_in=dataset.train.inputs.shape[-1], n_out=len(dataset.classes), **constants)


def _mlp(model: Mapping[str, Any], dataset: Dataset) -> MLP:
    n_in = 1
    for size in dataset.train.inputs.shape[1:]:
        n_in *= size
    return MLP(n_in=n_in, n_hidden=model["n_hidden"], n_out=len(dataset.classes))


ecg_lsnn = Architecture(
    name="ecg_lsnn",
    about="spiking network (LSNN) that tells four kinds of heartbeats apart, MIT-BIH Arrhythmia Database",
    settings={
        "dataset": Setting("mitdb", "mitdb, or generated_ecg for synthetic heartbeats"),
        "split": Setting(
            "patients",
            "patients (no patient in two parts), patients_normal_pvc (the same, two classes) or published "
            "(by beat)",
        ),
        "n_epochs": Setting((150.0, 50.0), "epochs of each phase"),
        "learning_rate": Setting((1e-3, 1e-4), "learning rate of each phase"),
        "eval_step_interval": Setting(400, "training steps between validations"),
        **TRAINING_SETTINGS,
        **NEURON_SETTINGS,
    },
    network=_lsnn,
)

digits_mlp = Architecture(
    name="digits_mlp",
    about="small fully connected network on scikit-learn's handwritten digits",
    settings={
        "dataset": Setting("digits", "digits: 8x8 images that come with scikit-learn"),
        "split": Setting("stratified", "how the data are divided"),
        "n_epochs": Setting((60.0, 20.0), "epochs of each phase"),
        "learning_rate": Setting((1e-3, 1e-4), "learning rate of each phase"),
        "eval_step_interval": Setting(50, "training steps between validations"),
        "n_hidden": Setting((64, 64), "units of each hidden layer"),
        **TRAINING_SETTINGS,
    },
    network=_mlp,
)

ARCHITECTURES = {architecture.name: architecture for architecture in (ecg_lsnn, digits_mlp)}


def architecture_of(model: Mapping[str, Any]) -> Architecture:
    """The architecture of a grid point.

    Raises:
        InputError: It names none, or one that does not exist.
    """
    name = model.get("architecture")
    if name not in ARCHITECTURES:
        hint = nearest(str(name), ARCHITECTURES)
        raise InputError(f"There is no architecture {name!r}; there are {', '.join(ARCHITECTURES)}.{hint}")
    return ARCHITECTURES[name]


def dataset_of(model: Mapping[str, Any]) -> Dataset:
    """The data set of a grid point, prepared and memory-mapped."""
    return data.load(model["dataset"], split=model["split"] or None, folder=model.get("data_folder") or None)


def with_available_data(
    grid: Sequence[Mapping[str, Any]], notice: Callable[[str], None], *, download: bool = True
) -> list[dict[str, Any]]:
    """Prepare every data set of a grid; where one cannot be had, its built-in stand-in takes its place.

    The stand-in is an ordinary setting of the point, so its results have keys of their own and never mix with
    those on real data.

    Args:
        grid: Grid points.
        notice: Called with one sentence for each data set that is replaced.
        download: Whether a data set may be downloaded and prepared now; if not, only what lies ready counts.

    Raises:
        InputError: Files are damaged, or a data set or split does not exist.
    """
    replaced: dict[tuple[str, str, str], bool] = {}
    points = []
    for point in grid:
        wanted = (point["dataset"], point["split"], point["data_folder"])
        if wanted not in replaced:
            replaced[wanted] = not _obtain(point, notice, download)
        points.append(_on_stand_in(point) if replaced[wanted] else dict(point))
    return points


def _obtain(point: Mapping[str, Any], notice: Callable[[str], None], download: bool) -> bool:
    name, folder = point["dataset"], point["data_folder"] or None
    try:
        if not download:
            return name not in data.STAND_INS or data.available(name, folder)
        dataset_of(point)
    except data.DataNotFound as error:
        if name not in data.STAND_INS:
            raise
        notice(f"{error} The built-in stand-in {data.STAND_INS[name]!r} takes its place; its results say so.")
        return False
    return True


def on_stand_ins(grid: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The same grid on built-in data: every data set that has a stand-in replaced by it."""
    return [_on_stand_in(point) if point["dataset"] in data.STAND_INS else dict(point) for point in grid]


def _on_stand_in(point: Mapping[str, Any]) -> dict[str, Any]:
    name = data.STAND_INS[point["dataset"]]
    return {**point, "dataset": name, "split": data.DATASETS[name].splits[0], "data_folder": ""}


def network_of(model: Mapping[str, Any], dataset: Dataset) -> Network:
    """The network of a grid point."""
    return architecture_of(model).network(model, dataset)


def check(model: Mapping[str, Any]) -> None:
    """Raise ``InputError`` for a grid point that cannot be trained, without touching any data."""
    architecture = architecture_of(model)
    check_types(model, architecture.settings, architecture.name)
    if model["optimizer"] not in OPTIMIZERS:
        raise InputError(f"optimizer must be one of {', '.join(OPTIMIZERS)}, not {model['optimizer']!r}.")
    method_of(model)
    schedule_of(model)


def schedule_of(model: Mapping[str, Any]) -> Schedule:
    """The learning rates of a grid point."""
    return Schedule(n_epochs=model["n_epochs"], learning_rates=model["learning_rate"])


def method_of(
    model: Mapping[str, Any], *, with_noise: bool | None = None, with_attack: bool | None = None
) -> Method:
    """The training method of a grid point; parts of weight zero are left out unless asked for."""
    with_noise = model["noisy_forward_std"] > 0 if with_noise is None else with_noise
    with_attack = model["beta_robustness"] > 0 if with_attack is None else with_attack
    for name in ("noisy_forward_std", "beta_robustness", "reg"):
        if not 0 <= model[name] < float("inf"):
            raise InputError(f"{name} must be a finite number of at least 0, not {model[name]!r}.")
    natural = ForwardNoise(std=model["noisy_forward_std"]) if with_noise else Standard()
    attack = ParameterAttack(
        relative_size=model["attack_size_mismatch"],
        absolute_size=model["attack_size_constant"],
        initial_relative_std=model["initial_std_mismatch"],
        initial_absolute_std=model["initial_std_constant"],
        n_steps=model["n_attack_steps"],
        norm=model["p_norm"],
    )
    robust = ParameterAttackTraining(
        natural=natural,
        beta=model["beta_robustness"],
        attack=attack,
        boundary_loss=model["boundary_loss"],
        treat_as_constant=model["treat_as_constant"],
    )
    return robust if with_attack else natural


# Settings that are numbers inside one compiled program; models that differ in these alone train together.
NUMBERS = {
    "seed",
    "reg",
    "beta_robustness",
    "attack_size_mismatch",
    "attack_size_constant",
    "initial_std_mismatch",
    "initial_std_constant",
    "noisy_forward_std",
}


def program_of(model: Mapping[str, Any]) -> dict[str, Any]:
    """What models must have in common to train in one program."""
    architecture = architecture_of(model)
    shared = {name: model[name] for name in architecture.settings if name not in NUMBERS}
    return {"architecture": architecture.name, **shared}


def train_model(model: dict, job: dj.Job) -> dict[str, Any]:
    """Train one grid point; see ``train_models``."""
    (result,) = train_models([model], [job])
    if isinstance(result, Exception):
        raise result
    return result


def train_models(model: list[dict], job: list[dj.Job]) -> list[dict[str, Any] | Exception]:
    """Train grid points of one program side by side.

    Returns:
        For each the best parameters (a file), validation accuracy, metrics over time, and where its data came
        from; or the reason why it has none.
    """
    for point in model:
        check(point)
    dataset = dataset_of(model[0])
    network = network_of(model[0], dataset)
    with_noise = any(point["noisy_forward_std"] > 0 for point in model)
    with_attack = any(point["beta_robustness"] > 0 for point in model)
    trainings = [
        Training(
            network=network,
            method=method_of(point, with_noise=with_noise, with_attack=with_attack),
            schedule=schedule_of(point),
            optimizer=point["optimizer"],
            batch_size=point["batch_size"],
            seed=point["seed"],
            eval_step_interval=point["eval_step_interval"],
            reg=point["reg"],
            folder=its_job.folder,
        )
        for point, its_job in zip(model, job, strict=True)
    ]
    for its_job in job:
        its_job.note(
            data_source=dataset.source,
            data_split=dataset.split,
            data_fingerprint=dataset.fingerprint,
            device=jax.devices()[0].device_kind,
            models_in_program=len(model),
        )

    def progress(done: int, total: int, text: str) -> None:
        for its_job in job:
            its_job.progress(done, total, text)

    def stop_requested() -> bool:
        return any(its_job.stop_requested() for its_job in job)

    try:
        results = train(
            trainings, dataset.train, dataset.validation, progress=progress, stop_requested=stop_requested
        )
    except TrainingStopped as stopped:
        raise dj.Interrupted(str(stopped)) from stopped
    return [
        result if isinstance(result, TrainingDiverged) else _finish(result, dataset, its_job)
        for result, its_job in zip(results, job, strict=True)
    ]


def _finish(trained: Trained, dataset: Dataset, job: dj.Job) -> dict[str, Any]:
    save_tree(job.folder / PARAMETERS, (trained.parameters, trained.statistics))
    (job.folder / CHECKPOINT).unlink(missing_ok=True)
    return {
        "trained": job.key,
        "parameters": job.artifact(PARAMETERS),
        "validation_accuracy": trained.validation_accuracy,
        "best_step": trained.best_step,
        "n_steps": trained.n_steps,
        "history": trained.history,
        "data_source": dataset.source,
        "data_is_synthetic": dataset.synthetic,
        "n_test_samples": len(dataset.test.labels),
    }
