"""What is measured of finished rounds: attacks on inputs, imperfect hardware, masks and start weights.

Every function takes finished points and returns points of its own, told apart by ``"measured"``.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import datajuicer as dj
from jaxrobust.attacks.input_attack import InputAttack, fgsm, pgd
from jaxrobust.studies.evaluations.input_attacks import attack_sweep
from jaxrobust.studies.evaluations.mismatch import mismatch_sweep
from jaxrobust.studies.evaluations.worst_case import worst_case_sweep
from jaxrobust.studies.sparse_tickets.protocol import ATTACKS, PUBLISHED_ATTACKS, SIZES, strategy_name
from jaxrobust.studies.sparse_tickets.weights import input_map, mask_overlap, start_weights

Grid = Sequence[Mapping[str, Any]]


def density_of(point: Mapping[str, Any]) -> float:
    """The share of weights that a finished point keeps."""
    counts = point.get("kept_weights", {"all": (1, 1)}).values()
    return sum(kept for kept, _ in counts) / sum(total for _, total in counts)


def labeled(grid: Grid) -> list[dict[str, Any]]:
    """Finished points with their ``density`` and the name of their strategy as ``strategy_name``."""
    return [{**p, "density": density_of(p), "strategy_name": strategy_name(p)} for p in grid]


def published_accuracy(grid: Grid, attacks: Sequence[str] = ("FGSM",), **how: Any) -> list[dict[str, Any]]:
    """Test accuracy, clean and under the published attacks, on all test samples."""
    chosen = {name: PUBLISHED_ATTACKS[name] for name in attacks}
    return _measured("published", attack_sweep([dict(p) for p in grid], chosen, **how))


def attack_matrix(grid: Grid, n_samples: int, **how: Any) -> list[dict[str, Any]]:
    """Accuracy under attacks that no training used, with true labels."""
    points = [{**p, "n_samples": n_samples} for p in grid]
    return _measured("matrix", attack_sweep(points, ATTACKS, **how))


def size_curves(
    grid: Grid, n_samples: int, sizes: Sequence[float] = SIZES, **how: Any
) -> list[dict[str, Any]]:
    """Accuracy over the size of FGSM and PGD-10; at size 1 an attack that works leaves nothing."""
    points = [{**p, "n_samples": n_samples} for p in grid]
    found = []
    for name, make in (("FGSM", fgsm), ("PGD-10", pgd)):
        attacks: dict[str, InputAttack] = {f"{size:g}": make(size) for size in sizes}
        swept = attack_sweep(points, attacks, **how)
        found += [{**p, "size": float(p["attack_name"]), "attack_name": name} for p in swept]
    return _measured("sizes", found)


def on_hardware(
    grid: Grid,
    n_samples: int,
    levels: Sequence[float] = (0.3,),
    n_draws: int = 10,
    sizes: Sequence[float] = (0.1,),
    **how: Any,
) -> list[dict[str, Any]]:
    """Clean accuracy of devices with mismatch, and under the worst parameters in a box around the trained."""
    points = [{**p, "n_samples": n_samples, "n_draws": n_draws} for p in grid]
    return [
        *_measured("mismatch", mismatch_sweep(points, levels, **how)),
        *_measured("worst case", worst_case_sweep(points, sizes, **how)),
    ]


def overlaps(grid: Grid, **how: Any) -> list[dict[str, Any]]:
    """Jaccard index of tickets of the same round and strategy: other seeds, and other trainings."""
    pairs = [
        {
            "one": one,
            "other": other,
            "round": one["round"],
            "density": density_of(one),
            "pair": "seeds" if one["training"] == other["training"] else "trainings",
            "trainings": " and ".join(sorted({one["training"], other["training"]})),
        }
        for place, one in enumerate(grid)
        for other in grid[place + 1 :]
        if one["round"] == other["round"]
        and one["strategy"] == other["strategy"]
        and (one["seed"] == other["seed"]) != (one["training"] == other["training"])
    ]
    found = dj.run(pairs, mask_overlap, store_key="overlap", **how)("{one}", "{other}") if pairs else []
    return _measured("overlap", found)


def weights(grid: Grid, **how: Any) -> list[dict[str, Any]]:
    """Histograms of the weights that rounds start from, and the weights kept per pixel."""
    points = [dict(point) for point in grid]
    points = dj.run(points, start_weights, store_key="start_weights", **how)("{*}")
    return _measured("weights", dj.run(points, input_map, store_key="input_map", **how)("{*}"))


def _measured(kind: str, points: Grid) -> list[dict[str, Any]]:
    return [{**point, "measured": kind} for point in points]
