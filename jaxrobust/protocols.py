"""Named protocols: everything that must be fixed for two numbers to be comparable.

The methods of the published comparison (section 3.4) are settings on top of an architecture's defaults. Each
grid point also carries the method's name under ``"method"``, for tables and figures.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import datajuicer as dj

STANDARD: Mapping[str, Any] = {"method": "Standard", "beta_robustness": 0.0}
FORWARD_NOISE: Mapping[str, Any] = {
    "method": "Forward noise",
    "beta_robustness": 0.0,
    "noisy_forward_std": 0.3,
}
BETA: Mapping[str, Any] = {"method": "Beta", "beta_robustness": 0.25, "attack_size_mismatch": 0.1}
FORWARD_NOISE_BETA: Mapping[str, Any] = {
    "method": "Forward noise + beta",
    "beta_robustness": 0.1,
    "noisy_forward_std": 0.3,
    "attack_size_mismatch": 0.1,
}

# Seeds of the networks behind each published number.
SEEDS = (0, 1)


def with_methods(
    grid: Sequence[dict[str, Any]], methods: Sequence[Mapping[str, Any]], seeds: Sequence[int] = SEEDS
) -> list[dict[str, Any]]:
    """Every grid point under every method and seed."""
    points = [point for method in methods for point in dj.configure(list(grid), dict(method))]
    return dj.split(points, "seed", list(seeds))
