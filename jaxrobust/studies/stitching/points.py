"""Grid points of stitches: two trained donors, where they are cut, and how the layer between is found.

A stitch is a second stage. Its point holds two points of the first, planned or finished, and its key contains
theirs. Two functions make one: ``train_stitch`` trains the layer on the task, ``match_stitch`` computes it in
closed form. Both store the layer alone, a few kilobytes; ``load_stitched`` joins it with the donors.
"""

from collections.abc import Mapping
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp

import datajuicer as dj
from jaxrobust import data
from jaxrobust.criteria import Criterion, CrossEntropy
from jaxrobust.data.dataset import Dataset, Examples
from jaxrobust.errors import InputError
from jaxrobust.networks.network import Variables
from jaxrobust.stitching.layers import Pointwise, StitchLayer
from jaxrobust.stitching.masks import MaskRule, mask_by
from jaxrobust.stitching.matching import activation_sums, match
from jaxrobust.stitching.stitched import ONLY_THE_STITCH, Cut, Donors, Stitched
from jaxrobust.studies.evaluations.trained import Trained
from jaxrobust.studies.side_by_side import dataset_of, only, train_as_jobs
from jaxrobust.studies.sources import LOOP, WITHIN, reader_of
from jaxrobust.studies.training_points import load_variables, network_of
from jaxrobust.training.augmentation import Augmentation
from jaxrobust.training.checkpoints import load_tree, save_tree
from jaxrobust.training.methods import Method, Standard
from jaxrobust.training.optimizers import Adam, Optimizer
from jaxrobust.training.schedule import Phases, Schedule
from jaxrobust.training.training import Seeds, Training

MATCH_SETTINGS = ("front", "end", "cut", "layer", "dataset", "split", "n_match")
TRAIN_SETTINGS = (
    *MATCH_SETTINGS,
    "start",
    "mask",
    "donors",
    "method",
    "optimizer",
    "schedule",
    "batch_size",
    "seed",
    "seeds",
    "augmentation",
    "criterion",
)
# Not this module, which reads data and files.
CODE_WITHIN = (*WITHIN, "jaxrobust.stitching", "jaxrobust.studies.stitching.evaluations")
STITCH = "stitch_file"
_FILE = "stitch.safetensors"
LayerStart = Literal["layer", "least_squares"]


def stitch_point(
    front: Mapping[str, Any],
    end: Mapping[str, Any],
    cut: Cut,
    *,
    layer: StitchLayer = Pointwise(),  # noqa: B008 - frozen
    start: LayerStart = "layer",
    mask: MaskRule | None = None,
    donors: Donors = "frozen",
    method: Method = Standard(),  # noqa: B008
    optimizer: Optimizer = Adam(),  # noqa: B008
    schedule: Schedule = Phases((10.0, 10.0, 10.0), (1e-3, 1e-4, 1e-5)),  # noqa: B008
    batch_size: int = 128,
    seed: int = 0,
    seeds: Seeds = Seeds(),  # noqa: B008
    augmentation: Augmentation | None = None,
    criterion: Criterion = CrossEntropy(),  # noqa: B008
    dataset: str = "",
    split: str = "",
    n_match: int = 5000,
) -> dict[str, Any]:
    """A grid point whose layer is trained.

    Args:
        front: An earlier typed point, whose first layers are used.
        end: An earlier typed point, whose last layers are used.
        cut: Where.
        layer: The map between.
        start: ``"layer"`` as the layer says; ``"least_squares"`` from the closed-form match.
        mask: How the mask of a masked layer is made, from correlations of training data; None for none.
        donors: Whether batch normalization of the donors is ``"frozen"`` or ``"adapting"``.
        method: The training method.
        optimizer: The optimizer.
        schedule: Epochs and learning rates; 30 epochs as published, on the stitch's data.
        batch_size: Samples per step.
        seed: Seed of all that is random.
        seeds: Seeds that differ from ``seed``.
        augmentation: What changes the training batches, if anything.
        criterion: The loss of a batch.
        dataset: What the stitch is trained on; empty for the front's data.
        split: Its split.
        n_match: Training samples of the closed-form match and of correlations.

    Raises:
        InputError: The donors do not fit together at the cut, or a setting contradicts another.
    """
    if start not in get_args(LayerStart):
        raise InputError(f'A stitch starts as its "layer" says or from "least_squares", not {start!r}.')
    if layer.masked != (mask is not None):
        raise InputError("A mask needs a masked layer, as Pointwise(masked=True), and a rule; give both.")
    point = {
        **match_point(front, end, cut, layer=layer, dataset=dataset, split=split, n_match=n_match),
        "start": start,
        "mask": mask,
        "donors": donors,
        "method": method,
        "optimizer": optimizer,
        "schedule": schedule,
        "batch_size": batch_size,
        "seed": seed,
        "seeds": seeds,
        "augmentation": augmentation,
        "criterion": criterion,
        "stitch": train_stitch,
    }
    _check(point)
    return point


def match_point(
    front: Mapping[str, Any],
    end: Mapping[str, Any],
    cut: Cut,
    *,
    layer: StitchLayer = Pointwise(),  # noqa: B008
    dataset: str = "",
    split: str = "",
    n_match: int = 5000,
) -> dict[str, Any]:
    """A grid point whose layer is the closed-form match; arguments as of ``stitch_point``.

    Raises:
        InputError: The donors do not fit together at the cut, or there are no samples.
    """
    if n_match < 1:
        raise InputError(f"n_match is a number of training samples, at least 1, not {n_match}.")
    point = {
        "front": front,
        "end": end,
        "cut": cut,
        "layer": layer,
        "dataset": dataset or front["dataset"],
        "split": split or ("" if dataset else front["split"]),
        "n_match": n_match,
        "data_folder": front.get("data_folder", ""),
        "stitch": match_stitch,
    }
    _check(point)
    return point


def stitched_of(point: Mapping[str, Any]) -> Stitched:
    """The stitched network of a point, without its variables; reads the donors' data sets.

    Raises:
        InputError: The donors do not fit together at the cut.
    """
    return _stitched(point, *(dataset_of(point[name]) for name in ("front", "end")))


def _stitched(point: Mapping[str, Any], front_data: Dataset, end_data: Dataset) -> Stitched:
    front, end = network_of(point["front"], front_data), network_of(point["end"], end_data)
    return Stitched(front, end, point["cut"], point["layer"], point.get("donors", "frozen"))


def _check(point: Mapping[str, Any]) -> None:
    """Check that the donors fit together, by the shapes of the data alone, which need not be there."""
    blanks = [
        data.blank(point[name]["dataset"], split=point[name]["split"] or None) for name in ("front", "end")
    ]
    _stitched(point, *blanks)


def load_stitched(
    point: Mapping[str, Any], part: str = "test", n_samples: int = 0, dataset: str = ""
) -> Trained:
    """Load a finished stitch with its donors and data, as ``load_trained`` does for other points.

    Args:
        point: A finished point.
        part: ``"train"``, ``"validation"`` or ``"test"``.
        n_samples: How many samples, taken at even distances; 0 for all.
        dataset: Other data than the stitch was made on; empty for its own.

    Raises:
        InputError: The point has no result.
    """
    if STITCH not in point:
        raise InputError("The stitch has no result yet; train.py -exp=… computes it.")
    stitched = stitched_of(point)
    front, end = _donors(point, stitched)
    like = _stored(jax.eval_shape(stitched.init, jax.random.key(0)), stitched)
    stored = load_tree(point[STITCH].path(), like=like)[0]
    parameters = {"end": end.parameters, "front": front.parameters, "stitch": stored["stitch"]}
    statistics = {"end": end.statistics, "front": front.statistics, **stored["statistics"]}
    own = {"dataset": dataset, "split": ""} if dataset else {}
    examples = getattr(dataset_of({**point, **own}), part).at_even_distances(n_samples)
    variables = Variables(parameters, statistics)
    return Trained(stitched, variables, jnp.asarray(examples.inputs), jnp.asarray(examples.labels))


def _code_of(model: Mapping[str, Any]) -> tuple[Any, ...]:
    donors = [model[name].get("network") for name in ("front", "end")]
    names = ("layer", "method", "optimizer", "schedule", "augmentation", "criterion")
    return (*LOOP, Stitched, match, mask_by, *donors, *(model.get(name) for name in names), *reader_of(model))


@dj.cachable(
    dependencies=[f"model:{name}" for name in MATCH_SETTINGS],
    table_name="match_stitch",
    code_of=_code_of,
    code_within=CODE_WITHIN,
)
def match_stitch(model: dict[str, Any], job: dj.Job) -> dict[str, Any]:
    """Compute a stitch in closed form from training data.

    Returns:
        ``stitch_file``, ``data_source``, ``n_test_samples``.
    """
    dataset, stitched = dataset_of(model), stitched_of(model)
    donors = _donors(model, stitched)
    inputs = jnp.asarray(dataset.train.at_even_distances(model["n_match"]).inputs)
    variables = stitched.join(*donors, match(stitched, *donors, inputs))
    return _finish(variables, stitched, dataset, job)


@dj.cachable(
    dependencies=[f"model:{name}" for name in TRAIN_SETTINGS],
    table_name="train_stitch",
    code_of=_code_of,
    code_within=CODE_WITHIN,
)
def train_stitch(model: dict[str, Any], job: dj.Job) -> dict[str, Any]:
    """Train a stitch; the donors keep their parameters.

    Returns:
        ``stitch_file``, ``validation_accuracy``, ``n_steps``, ``history``, ``data_source``,
        ``n_test_samples``.
    """
    dataset, stitched = dataset_of(model), stitched_of(model)
    n_steps = model["schedule"].n_steps(len(dataset.train.labels), model["batch_size"])
    training = Training(
        network=stitched,
        method=model["method"],
        schedule=model["schedule"],
        optimizer=model["optimizer"],
        batch_size=model["batch_size"],
        seed=model["seed"],
        seeds=model["seeds"],
        eval_step_interval=n_steps,
        folder=job.folder,
        augmentation=model["augmentation"],
        criterion=model["criterion"],
        start=_start(model, stitched, dataset.train),
        trainable=ONLY_THE_STITCH,
        keep="last",
    )
    trained = only(train_as_jobs([training], dataset, [job]))
    variables = Variables(trained.parameters, trained.statistics)
    return {
        **_finish(variables, stitched, dataset, job),
        "validation_accuracy": trained.validation_score,
        "n_steps": trained.n_steps,
        "history": trained.history,
    }


def _start(model: Mapping[str, Any], stitched: Stitched, examples: Examples) -> Variables:
    donors = _donors(model, stitched)
    inputs = jnp.asarray(examples.at_even_distances(model["n_match"]).inputs)
    if model["start"] == "least_squares":
        stitch = match(stitched, *donors, inputs)
    else:
        seed = model["seed"] if model["seeds"].start is None else model["seeds"].start
        stitch = stitched.layer.init(jax.random.key(seed), *stitched.shapes)
    mask = None
    if model["mask"] is not None:
        correlations = activation_sums(stitched, *donors, inputs).correlations()
        mask = jnp.asarray(mask_by(model["mask"], correlations, model["seed"]))
    return stitched.join(*donors, stitch, mask)


def _donors(model: Mapping[str, Any], stitched: Stitched) -> tuple[Variables, Variables]:
    return (
        load_variables(model["front"], stitched.front),
        load_variables(model["end"], stitched.end),
    )


def _stored(variables: Variables, stitched: Stitched) -> dict[str, Any]:
    """What a result keeps: the layer, its mask, and statistics of donors that adapted."""
    names = ("stitch",) if stitched.donors == "frozen" else ("end", "front", "stitch")
    return {
        "statistics": {name: variables.statistics[name] for name in names},
        "stitch": variables.parameters["stitch"],
    }


def _finish(variables: Variables, stitched: Stitched, dataset: Dataset, job: dj.Job) -> dict[str, Any]:
    save_tree(job.folder / _FILE, _stored(variables, stitched))
    return {
        STITCH: job.artifact(_FILE),
        "data_source": dataset.source,
        "n_test_samples": len(dataset.test.labels),
    }
