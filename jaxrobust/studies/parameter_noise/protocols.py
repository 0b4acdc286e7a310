"""Named protocols: everything that must be fixed for two numbers to be comparable.

A *method* is what the published comparison varies: settings on top of an architecture's
defaults. Each grid point carries the method's name under ``"method"``, for tables and figures. A *protocol*
is how much is computed: which data, how long a training, how many networks and devices stand behind a number.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import datajuicer as dj
from jaxrobust.studies.parameter_noise.catalogue import cnn, ecg_lsnn, family_of, resnet32, speech_lsnn

Method = Mapping[str, Any]
Grid = Sequence[Mapping[str, Any]]

STANDARD: Method = {"method": "Standard", "beta_robustness": 0.0}
FORWARD_NOISE: Method = {"method": "Forward noise", "beta_robustness": 0.0, "noisy_forward_std": 0.3}
BETA: Method = {"method": "Beta", "beta_robustness": 0.25, "attack_size_mismatch": 0.1}
FORWARD_NOISE_BETA: Method = {
    "method": "Forward noise + beta",
    "beta_robustness": 0.1,
    "noisy_forward_std": 0.3,
    "attack_size_mismatch": 0.1,
}
DROPOUT: Method = {"method": "Dropout", "beta_robustness": 0.0, "dropout_prob": 0.3}
AWP: Method = {
    "method": "AWP",
    "beta_robustness": 0.0,
    "awp": True,
    "awp_gamma": 0.1,
    "boundary_loss": "madry",
    "attack_size_mismatch": 0.2,
}

# What the published figures compare.
METHODS = (STANDARD, FORWARD_NOISE, BETA, FORWARD_NOISE_BETA, DROPOUT, AWP)

# Those whose worst case is published.
ATTACKED_METHODS = (STANDARD, FORWARD_NOISE, BETA, FORWARD_NOISE_BETA, AWP)

# Speech was trained with a larger weight of the robust term than ECG and images.
_SPEECH = {"Beta": {"beta_robustness": 0.5}, "Forward noise + beta": {"beta_robustness": 0.5}}

# Noise levels of the phase-change memory experiments.
NOISE_LEVELS = (0.026, 0.037, 0.056, 0.075, 0.11)

# Seeds of the networks behind each published number.
SEEDS = (0, 1)


def adversarial_model_perturbation(size: float) -> Method:
    """AMP with steps of length ``size`` for each tensor."""
    return {"method": f"AMP {size:g}", "beta_robustness": 0.0, "amp_size": size}


def beta(weight: float, size: float = 0.1) -> Method:
    """The robust term alone, with any weight and attack of relative ``size``."""
    return {"method": f"Beta {weight:g}", "beta_robustness": weight, "attack_size_mismatch": size}


def published_cnn() -> dict[str, Any]:
    """The CNN for Fashion-MNIST, normalized by batch statistics in evaluation too, as published.

    That takes much of the effect of mismatch and attacks away, so that no other normalisation can be compared
    with the published numbers.
    """
    return cnn.make() | {"normalisation": "batch"}


def published_networks() -> list[dict[str, Any]]:
    """The three networks of the published comparison with its data: speech, ECG and Fashion-MNIST."""
    return [speech_lsnn.make(), ecg_lsnn.make() | {"split": "published"}, published_cnn()]


def with_methods(grid: Grid, methods: Sequence[Method], seeds: Sequence[int] = SEEDS) -> list[dict[str, Any]]:
    """Every grid point under every method, as published for its architecture, and seed."""
    points = [
        {
            **point,
            **method,
            **(_SPEECH.get(method["method"], {}) if point["architecture"] == "speech_lsnn" else {}),
        }
        for method in methods
        for point in grid
    ]
    return dj.split(points, "seed", list(seeds))


def plain_resnet() -> dict[str, Any]:
    """The ResNet for CIFAR-10 without noise, attacks and clipping of its weights."""
    return resnet32.make() | {**STANDARD, "attack_size_mismatch": 0.0, "weight_clipping": 0.0}


def tuned_resnets(
    noises: Sequence[float], betas: Sequence[float], sizes: Sequence[float], modes: Sequence[str] = ("ind",)
) -> list[dict[str, Any]]:
    """ResNets for CIFAR-10 with noise, and with attacks after the first phase, seed 0.

    Published networks were tuned from one pretrained network: their first 60 epochs had no attack.

    Args:
        noises: Levels of the forward noise (eta).
        betas: Weights of the robust term.
        sizes: Sizes of the attack (zeta).
        modes: Noise relative to each weight (``"ind"``) or to the largest of its tensor (``"range"``).
    """
    point = resnet32.make()
    grid = [point | {"warmup": point["n_epochs"][0], "method": "Forward noise + beta"}]
    grid = dj.split(dj.split(grid, "noisy_forward_mode", list(modes)), "noisy_forward_std", list(noises))
    return dj.split(dj.split(grid, "beta_robustness", list(betas)), "attack_size_mismatch", list(sizes))


@dataclass(frozen=True)
class Protocol:
    """How much is computed for an experiment.

    Attributes:
        settings: For each architecture what replaces its defaults: data, epochs, learning rates and, for the
            evaluations, ``n_draws`` (devices a network) and ``n_samples`` (test samples, evenly drawn; 0 for
            all).
        seeds: The networks that are trained; those of the experiment if None.
        seeds_of: The same for single methods, by their names.
        only: For some keys the values that are kept, of all those that the experiment sweeps.
    """

    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    seeds: tuple[int, ...] | None = None
    seeds_of: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    only: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)

    def applied(self, grid: Grid) -> list[dict[str, Any]]:
        """The grid under this protocol.

        Learning rates that an experiment sets itself stay; epochs that it sets are shortened in proportion.
        """
        return dj.make_unique([self._replaced(point) for point in grid if self._keeps(point)])

    def evaluating(self, **counts: int) -> "Protocol":
        """The same models, evaluated on ``n_samples`` test samples or ``n_draws`` devices."""
        return replace(
            self, settings={name: {**settings, **counts} for name, settings in self.settings.items()}
        )

    def changed(self, architecture: str, **settings: Any) -> "Protocol":
        """The same with other settings for one architecture."""
        own = {**self.settings.get(architecture, {}), **settings}
        return replace(self, settings={**self.settings, architecture: own})

    def without(self, setting: str) -> "Protocol":
        """The same with one setting as each architecture has it by default, or as the experiment sets it."""
        kept = {
            name: {key: value for key, value in own.items() if key != setting}
            for name, own in self.settings.items()
        }
        return replace(self, settings=kept)

    def _keeps(self, point: Mapping[str, Any]) -> bool:
        seeds = self.seeds_of.get(point.get("method", ""), self.seeds)
        is_wanted = all(point[key] in values for key, values in self.only.items())
        return is_wanted and (seeds is None or point["seed"] in seeds)

    def _replaced(self, point: Mapping[str, Any]) -> dict[str, Any]:
        architecture = family_of(point)
        own = dict(self.settings.get(architecture.name, {}))
        usual = {name: architecture.settings[name].default for name in ("n_epochs", "learning_rate")}
        if point["learning_rate"] != usual["learning_rate"]:
            own.pop("learning_rate", None)
        if "n_epochs" in own and point["n_epochs"] != usual["n_epochs"]:
            share = sum(own["n_epochs"]) / sum(usual["n_epochs"])
            own["n_epochs"] = tuple(_rounded(epochs * share) for epochs in point["n_epochs"])
        if own.get("n_epochs", point["n_epochs"]) != point["n_epochs"]:
            own["published_n_epochs"] = point["n_epochs"]  # no setting: captions say what was shortened
        return {**point, **own}


def _rounded(epochs: float) -> float:
    """Two significant digits: what a caption can say."""
    return round(epochs, 1 - math.floor(math.log10(epochs))) if epochs else 0.0


PUBLISHED = Protocol()

# For two cores without a GPU: what the results that come with the project were trained with.
SHORT = Protocol(
    {
        "ecg_lsnn": {
            "n_epochs": (15.0, 5.0),
            "learning_rate": (5e-3, 5e-4),
            "eval_step_interval": 200,
            "n_attack_steps": 3,
            "n_draws": 50,
        },
        "speech_lsnn": {
            "dataset": "arabic_speech",
            "n_epochs": (8.0, 2.0),
            "learning_rate": (5e-3, 5e-4),
            "eval_step_interval": 100,
            "n_attack_steps": 4,
        },
        "cnn": {
            "n_epochs": (3.5, 0.5),
            "learning_rate": (1e-3, 1e-4),
            "eval_step_interval": 150,
            "n_attack_steps": 3,
            "n_draws": 50,
            "n_samples": 1000,
        },
    },
    seeds=(0,),
)

# The headline records: as long as SHORT, with two networks for the methods whose difference is the claim
# and the learning rates that come closest to what the published schedule shows
# (`learning_rates_experiment`): on images the published ones, on spiking networks five times those, with
# which they learn enough in a tenth of the epochs. Parameters are those of the last step: the 260
# validation samples of speech cannot choose any.
TWO_CORES = replace(
    SHORT.without("n_draws")
    .changed("ecg_lsnn", keep="last")
    .changed("speech_lsnn", keep="last")
    .changed("cnn", keep="last", learning_rate=(1e-4, 1e-5)),
    seeds_of={method["method"]: (0, 1) for method in (STANDARD, FORWARD_NOISE, FORWARD_NOISE_BETA)},
)

# The same for experiments that sweep a setting over many networks.
SHORT_SWEEP = Protocol(
    {
        "ecg_lsnn": {
            "n_epochs": (0.8, 0.2),
            "learning_rate": (5e-3, 5e-4),
            "eval_step_interval": 25,
            "n_attack_steps": 2,
            "n_draws": 50,
        },
        "speech_lsnn": {
            "dataset": "arabic_speech",
            "n_epochs": (1.2, 0.3),
            "learning_rate": (5e-3, 5e-4),
            "eval_step_interval": 25,
            "n_attack_steps": 2,
            "n_draws": 50,
        },
        "cnn": {
            "n_epochs": (0.08, 0.02),
            "learning_rate": (1e-3, 1e-4),
            "eval_step_interval": 25,
            "n_attack_steps": 2,
            "n_draws": 25,
            "n_samples": 1000,
        },
        "mnist_mlp": {"n_epochs": (5.0,), "n_samples": 2000},
        # A network of a quarter of the depth, as a gradient of ResNet32 takes seconds on a core.
        "resnet32": {
            "n_blocks": 1,
            "batch_size": 64,
            "n_epochs": (0.34, 0.06),
            "learning_rate": (0.05, 0.005),
            "warmup": 0.34,
            "eval_step_interval": 140,
            "n_draws": 10,
            "n_samples": 500,
        },
    },
    seeds=(0,),
)
