"""The published settings of the sparse tickets (Cosentino et al. 2019), and how much of them is computed.

Network 784-300-100-10 without biases; batches of 60, Adam at 1.2e-3 with epsilon 1e-7, label smoothing 0.1;
L-infinity attacks of size 0.3 away from the predicted class, inputs in [0, 1]; the loss is the mean of that
on clean and on attacked inputs. A round prunes 20 % of the kept weights of the first two layers and 10 % of
the last. Two things differ from the released code: batches run across the ends of epochs, so that all have 60
samples, and trainings are counted in steps.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import datajuicer as dj
from jaxrobust.attacks.input_attack import InputAttack, apgd, fgsm, pgd
from jaxrobust.criteria import CrossEntropy
from jaxrobust.networks.mlp import MLP
from jaxrobust.pruning.rules import LayerwisePruning
from jaxrobust.studies.sparse_tickets.strategies import Continue, Reinitialize, Rewind, RewindToEnd, Strategy
from jaxrobust.studies.training_points import training_point
from jaxrobust.training.methods import AdversarialTraining, Method, Standard
from jaxrobust.training.optimizers import Adam
from jaxrobust.training.probes import Probes, UnderInputAttack
from jaxrobust.training.schedule import Steps

SIZE = 0.3
NETWORK = MLP(784, (300, 100), 10, start="glorot", has_biases=False)
RATES = (("w[12]", 0.2), ("w3", 0.1))
PUBLISHED_PRUNING = LayerwisePruning(RATES, "published")
LEARNING_RATE = 1.2e-3
FGSM = fgsm(SIZE, keep="last")
PGD = pgd(SIZE, n_steps=10, step=0.05, keep="last")
# As measured in the published code: the training's attack, away from the predicted class.
PUBLISHED_ATTACKS = {
    "FGSM": fgsm(SIZE, keep="last", labels="predicted"),
    "PGD": pgd(SIZE, n_steps=10, step=0.05, keep="last", labels="predicted"),
}
# For the matrix of trainings and attacks: true labels, the best of everything seen.
ATTACKS: dict[str, InputAttack] = {
    "FGSM": fgsm(SIZE),
    "PGD-10": pgd(SIZE, n_steps=10),
    "PGD-50, 5 restarts": pgd(SIZE, n_steps=50, n_restarts=5),
    "APGD-50": apgd(SIZE, n_steps=50),
}
SIZES = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 1.0)

# The names of the paper.
STRATEGIES: dict[str, Strategy] = {
    "original": Rewind(0),
    "random": Reinitialize(),
    "continued": Continue(),
    "end of dense training": RewindToEnd(),
}
# Rounds that the published tables report, by the sparsity that they name them by.
REPORTED = {0: "100.0", 3: "51.3", 8: "16.9", 11: "8.7", 15: "3.6", 18: "1.8"}


def strategy_name(point: Mapping[str, Any]) -> str:
    """The name of a round's strategy, ``"rewound to step k"`` for other steps; ``"dense"`` for round 0."""
    if "strategy" not in point:
        return "dense"
    for name, strategy in STRATEGIES.items():
        if strategy == point["strategy"]:
            return name
    step = getattr(point["strategy"], "step", None)
    return type(point["strategy"]).__name__ if step is None else f"rewound to step {step}"


def adversarial(attack: InputAttack) -> Method:
    """Training on clean and attacked inputs in equal parts, as published."""
    return AdversarialTraining(Standard(), attack, share=0.5, labels="predicted", criterion=CrossEntropy())


METHODS: dict[str, Method] = {"natural": Standard(), "fgsm": adversarial(FGSM), "pgd": adversarial(PGD)}


def dense_points(
    dataset: str,
    methods: Sequence[str],
    seeds: Sequence[int],
    n_steps: int,
    *,
    keep_steps: tuple[int, ...] = (0,),
    probed: Sequence[str] = (),
    n_probe_samples: int = 0,
    training: str = "",
    split: str = "leading",
) -> list[dict[str, Any]]:
    """Round 0: dense networks, a point for each method and seed.

    Args:
        dataset: ``"mnist"`` or ``"fashion_mnist"``.
        methods: Names in ``METHODS``; a natural training is shared by whatever attacks it later.
        seeds: One network each.
        n_steps: Steps of a training.
        keep_steps: Steps that rounds may be rewound to.
        probed: Names in ``PUBLISHED_ATTACKS``, under which accuracy is measured every 500 steps on
            validation data; none: those that a method is trained with.
        n_probe_samples: Validation samples that are attacked; 0 for all.
        training: Stands under ``"training"`` of the points; empty for the method's name.
        split: ``"leading"`` as published; other data sets than the two have others.
    """
    points = []
    for method in methods:
        names = probed or (
            [method.upper()] if method.upper() in PUBLISHED_ATTACKS else list(PUBLISHED_ATTACKS)
        )
        measurements = {
            name: UnderInputAttack({"FGSM": FGSM, "PGD": PGD}[name], labels="predicted") for name in names
        }
        point = training_point(
            NETWORK,
            dataset,
            split=split,
            method=METHODS[method],
            optimizer=Adam(eps=1e-7),
            schedule=Steps(n_steps, LEARNING_RATE),
            batch_size=60,
            eval_step_interval=500,
            criterion=CrossEntropy(smoothing=0.1),
            keep="last",
            keep_steps=keep_steps,
            probes=Probes(measurements, 500, n_probe_samples),
        )
        points += dj.split([{**point, "training": training or method}], "seed", list(seeds))
    return points
