"""Nine parameterizations of Lipschitz networks on the digits that come with scikit-learn.

Found at L2 radius 0.5 with one seed (docs/lipschitz.md): SLL certifies 61 % of the test images, BCOP 57 %,
RKO 54 %, Cayley 52 %, the others 4 to 36 %. Takes about four minutes with two workers.
Command: python train.py -exp=lipschitz_digits && python make_figures.py -exp=lipschitz_digits
"""

from pathlib import Path
from typing import Any

from jaxrobust.figures.lipschitz.comparison import compare
from jaxrobust.studies.lipschitz.protocols import PARAMETERIZATIONS, digits_comparison
from jaxrobust.studies.lipschitz.robustness import robustness_sweep


class lipschitz_digits:
    """The small network, every method, one seed, 40 epochs."""

    def train_grid(self) -> list[dict[str, Any]]:
        """Nine models; SOC's kernels of 3x3 do not fit the second convolution, which sees images of 2x2."""
        methods = tuple(method for method in PARAMETERIZATIONS if method != "SOC")
        return digits_comparison(methods)

    def evaluate(self, grid: list[dict[str, Any]], **how: Any) -> list[dict[str, Any]]:
        """Certificates, PGD, FGSM and the Square attack on all test images."""
        return robustness_sweep(grid, n_steps=50, n_queries=300, **how)

    def visualize(self, grid: list[dict[str, Any]], folder: Path) -> list[Path]:
        """Certified accuracy over the radius, and the table."""
        return compare(grid, folder, "lipschitz_digits")
