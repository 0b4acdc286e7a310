"""Published numbers (Li et al. 2019, tables 1 to 4, 7 and 8), means of five trials, and those they quote."""

from typing import NamedTuple


class Published(NamedTuple):
    """Percent, means of five trials: clean, certified, under PGD and under FGSM at the data set's radius."""

    clean: float
    certified: float
    pgd: float
    fgsm: float


PUBLISHED: dict[tuple[str, str, str], Published] = {
    ("cifar10", "small", "BCOP"): Published(64.53, 50.01, 51.26, 51.57),
    ("cifar10", "small", "RKO"): Published(61.77, 47.46, 53.53, 53.65),
    ("cifar10", "small", "OSSN"): Published(62.18, 48.03, 53.05, 53.22),
    ("cifar10", "small", "SVCM"): Published(62.39, 47.59, 52.36, 52.53),
    ("cifar10", "small", "RK-L2NE"): Published(58.82, 44.65, 50.76, 50.86),
    ("cifar10", "small", "BCOP-Fixed"): Published(50.61, 36.44, 38.03, 38.16),
    ("cifar10", "large", "BCOP"): Published(72.41, 58.72, 64.39, 64.53),
    ("cifar10", "large", "RKO"): Published(70.01, 55.76, 63.25, 63.32),
    ("cifar10", "large", "OSSN"): Published(67.51, 53.64, 59.93, 60.02),
    ("cifar10", "large", "SVCM"): Published(69.65, 53.61, 62.37, 62.48),
    ("cifar10", "large", "RK-L2NE"): Published(56.75, 43.40, 50.55, 50.63),
    ("cifar10", "large", "BCOP-Fixed"): Published(47.14, 27.43, 41.00, 41.07),
    ("cifar10", "fc", "FC"): Published(62.60, 49.97, 50.05, 50.21),
    ("mnist", "small", "BCOP"): Published(97.54, 45.84, 78.00, 79.22),
    ("mnist", "small", "RKO"): Published(97.28, 43.58, 77.95, 78.43),
    ("mnist", "small", "OSSN"): Published(96.86, 42.95, 73.62, 74.32),
    ("mnist", "small", "SVCM"): Published(97.24, 28.94, 71.03, 72.66),
    ("mnist", "small", "RK-L2NE"): Published(95.85, 39.77, 67.14, 68.34),
    ("mnist", "small", "BCOP-Fixed"): Published(93.57, 7.51, 61.32, 63.56),
    ("mnist", "large", "BCOP"): Published(98.77, 56.66, 86.86, 86.93),
    ("mnist", "large", "RKO"): Published(98.44, 55.18, 84.67, 84.47),
    ("mnist", "large", "OSSN"): Published(98.31, 53.77, 83.37, 83.24),
    ("mnist", "large", "SVCM"): Published(97.93, 38.00, 81.37, 81.28),
    ("mnist", "large", "RK-L2NE"): Published(96.76, 37.79, 75.81, 76.19),
    ("mnist", "large", "BCOP-Fixed"): Published(65.20, 0.00, 42.08, 42.76),
    ("mnist", "fc", "FC"): Published(98.71, 54.46, 81.96, 83.64),
}

# Certified at a small radius (table 8), of the large network with BCOP and the fully connected one.
SMALL_RADII = {"mnist": 0.3, "cifar10": 0.1}
SMALL: dict[tuple[str, str, str], float] = {
    ("mnist", "large", "BCOP"): 97.11,
    ("mnist", "fc", "FC"): 97.06,
    ("cifar10", "large", "BCOP"): 62.97,
    ("cifar10", "fc", "FC"): 53.67,
}


class Quoted(NamedTuple):
    """A network of another paper, in percent at the data set's radius; None where there is no number.

    Attributes:
        name: Of the network.
        source: Where clean and certified accuracy are from; attacks are those of Li et al.
        clean: Accuracy.
        certified: At the radius.
        pgd: Under PGD.
        fgsm: Under FGSM.
    """

    name: str
    source: str
    clean: float
    certified: float | None
    pgd: float | None = None
    fgsm: float | None = None


KW, QW = "Wong et al. 2018", "Qian and Wegman 2019"
OTHERS: dict[str, tuple[Quoted, ...]] = {
    "mnist": (
        Quoted("KW-Large", KW, 88.12, 44.53),
        Quoted("KW-Small, as attacked", KW, 87.73, None, 59.38, 59.03),
        Quoted("KW-Large, as attacked", KW, 88.39, None, 61.85, 61.12),
        Quoted("L2NNN, model 3", QW, 98.65, 42.13, 86.86, 85.83),
        Quoted("L2NNN, model 4", QW, 98.23, 27.59, 86.25, 84.17),
    ),
    "cifar10": (
        Quoted("KW-Large", KW, 59.76, 50.60),
        Quoted("KW-ResNet", KW, 61.20, 51.96),
        Quoted("KW-Small, as attacked", KW, 54.39, None, 49.94, 49.98),
        Quoted("KW-Large, as attacked", KW, 60.14, None, 55.53, 55.55),
        Quoted("L2NNN, model 3", QW, 79.15, 44.46, 72.07, 72.11),
        Quoted("L2NNN, model 4", QW, 77.15, 31.41, 71.89, 71.92),
    ),
}

# Percent of the first 100 test images: clean, and under foolbox's Boundary and Pointwise attacks (table 3).
DECISIONS: dict[str, dict[str, tuple[float, float, float]]] = {
    "cifar10": {
        "BCOP-Large": (77.6, 71.2, 77.2),
        "BCOP-Small": (74.2, 61.2, 74.0),
        "KW-Large": (68.0, 64.0, 68.0),
        "KW-Small": (63.0, 60.0, 63.0),
    },
}

# Wasserstein distances between generated and real images (table 4): mean and deviation. Images of CIFAR-10
# were enlarged to 64x64, which doubles distances; STL-10 is 64x64 already.
WASSERSTEIN: dict[tuple[str, str], dict[str, tuple[float, float]]] = {
    ("STL-10", "maxmin"): {"OSSN": (7.39, 0.31), "RKO": (8.95, 0.12), "BCOP": (9.91, 0.11)},
    ("STL-10", "relu"): {"OSSN": (7.06, 0.72), "RKO": (7.82, 0.21), "BCOP": (8.28, 0.19)},
    ("CIFAR-10", "maxmin"): {"OSSN": (3.29, 0.05), "RKO": (4.95, 0.08), "BCOP": (5.34, 0.07)},
    ("CIFAR-10", "relu"): {"OSSN": (3.07, 0.12), "RKO": (4.20, 0.06), "BCOP": (4.39, 0.07)},
}
WASSERSTEIN_RATES = {"maxmin": 1e-4, "relu": 1e-3}
