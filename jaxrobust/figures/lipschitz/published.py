"""Published numbers (Li et al. 2019, tables 1 and 2), aggregated from the results of five trials."""

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
