"""Toy experiments of several stages, as files of a user; nothing of them is slow."""

from pathlib import Path

PARTS = """
import json
from dataclasses import dataclass, field
from pathlib import Path

import datajuicer as dj
from jaxrobust.studies.stages import Stage


@dataclass(frozen=True)
class Attack:
    size: float = 0.1
    n_steps: int = 3


@dataclass(frozen=True)
class Method:
    attack: Attack = field(default_factory=Attack)
    warm: bool = False


@dj.cachable(dependencies=["model:seed", "model:method"], on_code_change="ignore")
def learn(model):
    if model["seed"] == 13 and not Path("fixed").exists():
        raise ValueError("planted")
    return {"weights": [1.0, 2.0, 4.0, 8.0], "size": model["method"].attack.size}
"""

CHAIN = """
from experiments.toys._parts import Method, Stage, dj, json, learn

@dj.cachable(dependencies=["model:parent.trained", "model:rate"], on_code_change="ignore")
def prune(model):
    left = model["parent"]["weights"]
    return {"weights": left[: max(1, round(len(left) * model["rate"]))]}


def prune_all(earlier):
    return lambda points: [{"parent": parent, "rate": 0.5} for parent in points[earlier]]


class chain:
    stages = (
        "train",
        Stage("round_1", prune_all("train"), prune),
        Stage("round_2", prune_all("round_1"), prune, chained=True),
    )

    def train_grid(self):
        return dj.split([{"method": Method(), "train": learn}], "seed", SEEDS)

    def evaluate(self, grid, **how):
        return [{**point, "left": len(point["weights"])} for point in grid]

    def visualize(self, grid, folder):
        folder.mkdir(exist_ok=True)
        path = folder / "chain.json"
        path.write_text(json.dumps([[point["stage"], point["left"]] for point in grid]))
        return [path]
"""

PAIRS = """
from experiments.toys._parts import Method, dj, json, learn

@dj.cachable(dependencies=["model:front", "model:end", "model:layer"], on_code_change="ignore")
def join(model):
    return {"weights": model["front"]["weights"] + model["end"]["weights"], "layer": model["layer"]}


class pairs:
    stages = ("train", "stitch")

    def train_grid(self):
        return dj.split([{"method": Method(), "train": learn}], "seed", SEEDS)

    def stitch_grid(self, points):
        trained = points["train"]
        return [
            {"front": one, "end": other, "layer": 2, "stitch": join}
            for one in trained
            for other in trained
            if one is not other
        ]

    def visualize(self, grid, folder):
        folder.mkdir(exist_ok=True)
        path = folder / "pairs.json"
        stitched = dj.query(grid, "*", where={"stage": "stitch"})
        rows = [[p["front"]["seed"], p["end"]["seed"], p["layer"], len(p["weights"])] for p in stitched]
        path.write_text(json.dumps(rows))
        return [path]
"""


def write(folder: Path, seeds: str = "[0, 1]") -> Path:
    """Write the two experiments into a folder of experiments, and return it."""
    experiments = folder / "experiments"
    (experiments / "toys").mkdir(parents=True)
    for name, code in (("chain", CHAIN), ("pairs", PAIRS), ("_parts", PARTS)):
        (experiments / "toys" / f"{name}.py").write_text(code.replace("SEEDS", seeds))
    return experiments
