"""Tables 1 and 2 of Cosentino et al. 2019, in percent: mean and deviation of five trials."""

from typing import NamedTuple


class Published(NamedTuple):
    """A mean with its published deviation, in percent."""

    mean: float
    deviation: float


# Kept weights in percent.
SPARSITIES = ("100.0", "51.3", "16.9", "8.7", "3.6", "1.8")

# Of the strategy "original". FGSM: clean images after natural and adversarial training, then attacked
# images; the same for PGD.
_ROWS = {
    "mnist": {
        "100.0": "98.33±.33 98.25±.11 8.79±.40 94.30±.84 98.37±.03 98.38±.09 2.31±.88 45.32±.20",
        "51.3": "98.35±.07 98.13±.06 9.32±.22 97.09±.24 98.39±.04 98.07±.12 2.01±1.02 60.14±.99",
        "16.9": "98.08±.06 97.90±.08 11.50±1.38 97.46±.16 98.13±.02 97.73±.26 0.74±.11 59.91±.81",
        "8.7": "97.84±.10 97.54±.14 8.09±1.80 97.02±.21 97.85±.08 97.20±.14 1.93±.71 57.60±.25",
        "3.6": "97.12±.09 97.00±.10 7.42±2.97 95.23±.75 97.14±.07 95.58±.78 2.16±1.21 48.81±.98",
        "1.8": "95.88±.35 95.49±.34 4.17±1.29 90.15±1.45 95.47±.23 92.67±1.62 4.16±1.28 38.23±2.33",
    },
    "fashion_mnist": {
        "100.0": "89.04±.33 89.00±.28 8.51±1.24 86.96±.26 88.91±.04 88.83±.11 3.78±.40 24.67±.71",
        "51.3": "88.93±.27 88.64±.29 9.03±.67 86.79±.34 89.11±.05 89.10±.12 4.44±.31 28.66±.57",
        "16.9": "88.45±.11 88.12±.16 8.79±1.11 86.53±.34 88.40±.14 87.87±.32 4.99±.21 27.62±.97",
        "8.7": "88.02±.23 87.72±.25 9.85±1.30 85.30±.35 87.50±.29 86.38±.96 5.44±.38 25.75±2.20",
        "3.6": "87.41±.37 87.13±.25 9.37±.65 82.30±.69 87.19±.48 83.44±1.33 5.69±.99 23.83±1.00",
        "1.8": "86.13±.22 85.70±.20 8.96±.62 78.07±1.40 86.21±.28 81.66±1.35 5.22±1.24 23.46±.79",
    },
}


def published_number(
    dataset: str, attack: str, sparsity: str, *, adversarial: bool, attacked: bool
) -> Published | None:
    """Look up a published number; None for other data sets, attacks and sparsities.

    Args:
        dataset: ``"mnist"`` or ``"fashion_mnist"``.
        attack: ``"FGSM"`` or ``"PGD"``, of training and test.
        sparsity: One of ``SPARSITIES``.
        adversarial: Whether the training was adversarial.
        attacked: Whether the test images are attacked.

    Example:
        >>> published_number("mnist", "FGSM", "1.8", adversarial=True, attacked=True)
        Published(mean=90.15, deviation=1.45)
    """
    row = _ROWS.get(dataset, {}).get(sparsity)
    if row is None or attack not in ("FGSM", "PGD"):
        return None
    place = 4 * (attack == "PGD") + 2 * attacked + adversarial
    mean, deviation = row.split()[place].split("±")
    return Published(float(mean), float(deviation))
