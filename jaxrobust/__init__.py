"""Neural networks that keep working when parameters, activations or inputs are a little wrong.

``import jaxrobust as jr`` gives the names below. Each is imported when it is first used, so that
``import jaxrobust`` loads neither JAX nor anything else.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # for editors and type checkers; a test compares it with the table below
    from jaxrobust import attacks, certificates, criteria, data, figures, networks, perturbations
    from jaxrobust.attacks.input_attack import InputAttack, apgd, attack_inputs, fgsm, pgd
    from jaxrobust.attacks.parameter_attack import ParameterAttack, attack
    from jaxrobust.attacks.robust_loss import robust_loss
    from jaxrobust.certificates.lsnn_intervals import lsnn_bounds
    from jaxrobust.certificates.propagation import output_bounds
    from jaxrobust.certificates.verification import box_around, verified
    from jaxrobust.criteria import CrossEntropy, SquaredError
    from jaxrobust.errors import InputError
    from jaxrobust.measures.mismatch import accuracy, mismatch_accuracies, perturbed_accuracies
    from jaxrobust.measures.spectra import hessian_spectrum
    from jaxrobust.measures.worst_case import worst_case
    from jaxrobust.networks.cnn import CNN
    from jaxrobust.networks.linen import LinenNetwork
    from jaxrobust.networks.lsnn import LSNN
    from jaxrobust.networks.mlp import MLP
    from jaxrobust.networks.padded_lsnn import PaddedLSNN
    from jaxrobust.networks.resnet import ResNet
    from jaxrobust.networks.taps import Taps
    from jaxrobust.perturbations.faults import BitFlips, Quantization, StuckAt
    from jaxrobust.perturbations.mismatch import (
        BoxCorner,
        GaussianMismatch,
        LogNormalMismatch,
        WeightRangeNoise,
    )
    from jaxrobust.perturbations.noise import AdditiveNoise, MultiplicativeNoise
    from jaxrobust.perturbations.perturbation import Chain, Matching, Selected, at
    from jaxrobust.perturbations.phase_change_memory import PhaseChangeMemory
    from jaxrobust.training import methods, optimizers
    from jaxrobust.training.loop import train
    from jaxrobust.training.schedule import Phases
    from jaxrobust.training.training import Training

# Which module defines each name, below jaxrobust.
_MODULES = {
    "attacks.input_attack": ("InputAttack", "apgd", "attack_inputs", "fgsm", "pgd"),
    "attacks.parameter_attack": ("ParameterAttack", "attack"),
    "attacks.robust_loss": ("robust_loss",),
    "certificates.lsnn_intervals": ("lsnn_bounds",),
    "certificates.propagation": ("output_bounds",),
    "certificates.verification": ("box_around", "verified"),
    "criteria": ("CrossEntropy", "SquaredError"),
    "errors": ("InputError",),
    "measures.mismatch": ("accuracy", "mismatch_accuracies", "perturbed_accuracies"),
    "measures.spectra": ("hessian_spectrum",),
    "measures.worst_case": ("worst_case",),
    "networks.cnn": ("CNN",),
    "networks.linen": ("LinenNetwork",),
    "networks.lsnn": ("LSNN",),
    "networks.mlp": ("MLP",),
    "networks.padded_lsnn": ("PaddedLSNN",),
    "networks.resnet": ("ResNet",),
    "networks.taps": ("Taps",),
    "perturbations.faults": ("BitFlips", "Quantization", "StuckAt"),
    "perturbations.mismatch": ("BoxCorner", "GaussianMismatch", "LogNormalMismatch", "WeightRangeNoise"),
    "perturbations.noise": ("AdditiveNoise", "MultiplicativeNoise"),
    "perturbations.perturbation": ("Chain", "Matching", "Selected", "at"),
    "perturbations.phase_change_memory": ("PhaseChangeMemory",),
    "training.loop": ("train",),
    "training.schedule": ("Phases",),
    "training.training": ("Training",),
}
# Packages by the names that they have here.
_PACKAGES = {
    "attacks": "attacks",
    "certificates": "certificates",
    "criteria": "criteria",
    "data": "data",
    "figures": "figures",
    "methods": "training.methods",
    "networks": "networks",
    "optimizers": "training.optimizers",
    "perturbations": "perturbations",
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}

__all__ = sorted([*_HOMES, *_PACKAGES])  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        found = import_module(f"jaxrobust.{_PACKAGES[name]}")
    elif name in _HOMES:
        found = getattr(import_module(f"jaxrobust.{_HOMES[name]}"), name)
    else:
        raise AttributeError(f"jaxrobust has no name {name!r}; it has {', '.join(__all__)}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return [*__all__, *(name for name in globals() if name.startswith("__"))]
