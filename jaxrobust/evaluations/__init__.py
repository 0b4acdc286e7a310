"""Cachable evaluations of trained grid points: numbers out, for tables and figures."""

from jaxrobust.evaluations.activity import neuron_activity
from jaxrobust.evaluations.landscape import adversarial_landscape, random_landscape
from jaxrobust.evaluations.mismatch import (
    MISMATCH_LEVELS,
    N_DRAWS,
    box_corner_accuracy,
    mismatch_accuracy,
    mismatch_sweep,
    phase_change_accuracy,
    quantized_accuracy,
)
from jaxrobust.evaluations.spectrum import loss_spectrum
from jaxrobust.evaluations.verified import BOX_SIZES, verified_test_accuracy
from jaxrobust.evaluations.worst_case import ATTACK_SIZES, worst_case_accuracy

__all__ = [
    "ATTACK_SIZES",
    "BOX_SIZES",
    "MISMATCH_LEVELS",
    "N_DRAWS",
    "adversarial_landscape",
    "box_corner_accuracy",
    "loss_spectrum",
    "mismatch_accuracy",
    "mismatch_sweep",
    "neuron_activity",
    "phase_change_accuracy",
    "quantized_accuracy",
    "random_landscape",
    "verified_test_accuracy",
    "worst_case_accuracy",
]
