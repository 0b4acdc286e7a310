"""Perturbations by name."""

from jaxrobust.perturbations.faults import StuckAt
from jaxrobust.perturbations.mismatch import BoxCorner, GaussianMismatch, LogNormalMismatch, WeightRangeNoise
from jaxrobust.perturbations.noise import AdditiveNoise, MultiplicativeNoise
from jaxrobust.registry import Registry

PERTURBATIONS = Registry(
    "perturbation",
    ("perturb",),
    {
        "gaussian_mismatch": GaussianMismatch(0.1),
        "log_normal_mismatch": LogNormalMismatch(0.1),
        "weight_range_noise": WeightRangeNoise(0.1),
        "box_corner": BoxCorner(0.1),
        "additive_noise": AdditiveNoise(0.1),
        "multiplicative_noise": MultiplicativeNoise(0.1),
        "stuck_at": StuckAt(0.01),
    },
)


def register(name: str, settings: type) -> type:
    """Register a perturbation of your own: a frozen dataclass with ``perturb(key, tree)`` and defaults.

    Raises:
        InputError: It does not keep the contract, cannot be imported by worker processes, or the name exists.
    """
    return PERTURBATIONS.register(name, settings)
