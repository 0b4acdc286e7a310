"""Rounds: a trained network is pruned, set back by a strategy, and trained again under its mask.

A point of a round holds the same settings as the dense training before it, which is round 0, and::

    dense      the finished round 0
    previous   the finished round before, whose weights decide what is pruned
    round      its number
    pruning    a rule, as LayerwisePruning
    strategy   as Rewind(0)

Its key contains those of both parents, so that another rate leaves round 0 a hit, and another learning rate
nothing. Masks are arguments of the compiled training: one program serves all rounds.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

import datajuicer as dj
from jaxrobust import data
from jaxrobust.errors import InputError
from jaxrobust.networks.network import Network, Variables
from jaxrobust.pruning.masks import Masks, full, kept_counts
from jaxrobust.pruning.rules import Pruning
from jaxrobust.studies.side_by_side import dataset_of, only, train_side_by_side
from jaxrobust.studies.sources import WITHIN
from jaxrobust.studies.sparse_tickets.strategies import Strategy
from jaxrobust.studies.stages import Points, Stage
from jaxrobust.studies.training_points import (
    KEEP_OPTIMIZER,
    SETTINGS,
    check_point,
    code_of,
    load_variables,
    network_of,
    training_of,
)
from jaxrobust.training.checkpoints import load_tree, save_tree
from jaxrobust.training.optimizers import Masks as MaskProjection
from jaxrobust.training.optimizers import Memory, Projected
from jaxrobust.training.training import Seeds, Training, program_structure

MASKS = "masks"  # the entry of a finished round
_FILE = "masks.safetensors"
# What a round takes from the dense training; where it starts is decided by its strategy.
_CARRIED = tuple(name for name in SETTINGS if name not in ("start", "start_step", "keep_steps"))


def ticket_point(
    previous: Mapping[str, Any],
    *,
    pruning: Pruning,
    strategy: Strategy,
    keep_steps: tuple[int, ...] = (),
) -> dict[str, Any]:
    """A grid point of the round after ``previous``, planned or finished.

    Args:
        previous: The dense training (a typed point) or a round.
        pruning: What is pruned.
        strategy: Where the kept weights start.
        keep_steps: Steps whose parameters are kept; 0 is the start under the mask.

    Raises:
        InputError: The previous point is no typed one, or the dense training does not provide the start.
    """
    missing = [name for name in _CARRIED if name not in previous]
    if missing:
        raise InputError(f"The previous round lacks {', '.join(missing)}; begin with training_point(...).")
    dense = previous.get("dense", previous)
    strategy.check(dense)
    return {
        **{name: previous[name] for name in _CARRIED},
        "keep_steps": keep_steps,
        # Every round keeps its optimizer's state if the dense training does: the next may go on from it.
        KEEP_OPTIMIZER: dense.get(KEEP_OPTIMIZER, False),
        "data_folder": previous.get("data_folder", ""),
        "dense": dense,
        "previous": previous,
        "round": previous.get("round", 0) + 1,
        "pruning": pruning,
        "strategy": strategy,
        "train": train_ticket,
    }


def round_stages(
    n_rounds: int, pruning: Pruning, strategies: Mapping[str, Sequence[Strategy]]
) -> list[Stage]:
    """The stages ``round_1`` to ``round_<n_rounds>`` of an experiment whose first stage is ``train``.

    Args:
        n_rounds: Rounds after the dense training.
        pruning: The rule of every round.
        strategies: By the ``"training"`` of the dense points (a name of the user's), those each continues
            with; dense points without that entry, or with another, have no rounds.
    """

    def first(points: Points) -> list[dict[str, Any]]:
        return [
            _named(ticket_point(dense, pruning=pruning, strategy=strategy), dense)
            for dense in points["train"]
            for strategy in strategies.get(dense.get("training", ""), ())
        ]

    def later(name: str) -> Any:
        return lambda points: [
            _named(ticket_point(one, pruning=pruning, strategy=one["strategy"]), one) for one in points[name]
        ]

    return [
        Stage(f"round_{k}", first if k == 1 else later(f"round_{k - 1}"), "train", chained=k > 1)
        for k in range(1, n_rounds + 1)
    ]


def _named(point: dict[str, Any], previous: Mapping[str, Any]) -> dict[str, Any]:
    return {**point, **{name: previous[name] for name in ("training", "l1") if name in previous}}


def masks_of(point: Mapping[str, Any], network: Network) -> Masks:
    """Load what a finished point keeps: everything after the dense training."""
    shapes = jax.eval_shape(network.init, jax.random.key(0))[0]
    if MASKS not in point:
        return full(shapes)
    like = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, bool), shapes)
    return load_tree(point[MASKS].path(), like=like)[0]


def prune(point: Mapping[str, Any], network: Network) -> Masks:
    """Compute the masks of a round whose previous one is finished."""
    previous = point["previous"]
    key = jax.random.fold_in(jax.random.fold_in(jax.random.key(point["seed"]), 2), point["round"])
    parameters = load_variables(previous, network).parameters
    return point["pruning"].prune(parameters, masks_of(previous, network), key)


def seed_of_round(seed: int, round_: int) -> int:
    """A seed of the order of the data and of the draws of a round, other than those of any other round."""
    return int(np.random.SeedSequence([seed, round_]).generate_state(1)[0] >> 1)


def _training(
    point: Mapping[str, Any],
    network: Network,
    folder: Path,
    masks: Masks,
    start: Variables | None,
    start_optimizer: Memory | None,
) -> Training:
    round_, seeds = point["round"], Seeds(*point["seeds"])
    return training_of(
        point,
        network,
        folder,
        optimizer=Projected(point["optimizer"], MaskProjection(masks)),
        start=start,
        start_optimizer=start_optimizer,
        seed=seed_of_round(point["seed"], round_),
        seeds=Seeds(*(None if one is None else seed_of_round(one, round_) for one in seeds)),
    )


def program_of(model: Mapping[str, Any]) -> str:
    """What rounds must have in common to train in one program; number and kind of rounds do not count."""
    blank = data.blank(model["dataset"], split=model["split"] or None)
    network = network_of(model, blank)
    shapes = jax.eval_shape(network.init, jax.random.key(0))[0]
    training = _training(model, network, Path(), shapes, None, None)
    return repr((model["dataset"], model["split"], model.get("data_folder", ""), program_structure(training)))


def train_together(model: list[dict[str, Any]], job: list[dj.Job]) -> list[dict[str, Any] | Exception]:
    """Train rounds of one program side by side; for each the entries of ``train_ticket``, or why not."""
    for point in model:
        check_point({**point, "start": None, "start_step": None})
    dataset = dataset_of(model[0])
    network = network_of(model[0], dataset)
    masks = [prune(point, network) for point in model]
    for kept, its_job in zip(masks, job, strict=True):
        save_tree(its_job.folder / _FILE, kept)
    trainings = [
        _training(
            point,
            network,
            its_job.folder,
            kept,
            point["strategy"].start(point, network),
            point["strategy"].start_optimizer(point, network),
        )
        for point, its_job, kept in zip(model, job, masks, strict=True)
    ]
    results = train_side_by_side(trainings, dataset, job)
    return [
        result
        if isinstance(result, Exception)
        else {**result, MASKS: its_job.artifact(_FILE), "kept_weights": kept_counts(kept)}
        for result, its_job, kept in zip(results, job, masks, strict=True)
    ]


def code_of_round(model: Mapping[str, Any]) -> tuple[Any, ...]:
    """Whose code a round depends on."""
    return (*code_of(model), prune, model.get("pruning"), model.get("strategy"))


@dj.cachable(
    dependencies=[
        *(f"model:{name}" for name in (*_CARRIED, "keep_steps")),
        f"model:{KEEP_OPTIMIZER}?=False",
        *(f"model:{name}" for name in ("dense", "previous", "round", "pruning", "strategy")),
    ],
    table_name="train_ticket",
    batched=train_together,
    group=program_of,
    code_of=code_of_round,
    code_within=WITHIN,
)
def train_ticket(model: dict[str, Any], job: dj.Job) -> dict[str, Any]:
    """Train one round.

    Returns:
        The entries of ``training_points.train``; ``masks`` (a file); and ``kept_weights``, the kept weights
        and all weights of each parameter by its path.
    """
    return only(train_together([model], [job]))
