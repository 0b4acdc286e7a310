"""Cachable evaluations of trained grid points: numbers out, for tables and figures."""

from jaxrobust.studies.evaluations.activity import neuron_activity
from jaxrobust.studies.evaluations.examples import example_answers
from jaxrobust.studies.evaluations.landscape import (
    adversarial_landscape,
    adversarial_landscape_sweep,
    random_landscape,
    random_landscape_sweep,
)
from jaxrobust.studies.evaluations.mismatch import (
    MISMATCH_LEVELS,
    N_DRAWS,
    box_corner_accuracy,
    corner_sweep,
    mismatch_accuracy,
    mismatch_sweep,
    perturbed_accuracy,
    phase_change_accuracy,
    phase_change_sweep,
    quantized_accuracy,
    weight_noise_sweep,
)
from jaxrobust.studies.evaluations.spectrum import loss_spectrum
from jaxrobust.studies.evaluations.verified import BOX_SIZES, verified_test_accuracy
from jaxrobust.studies.evaluations.weights import mean_absolute_weights
from jaxrobust.studies.evaluations.worst_case import ATTACK_SIZES, worst_case_accuracy, worst_case_sweep

__all__ = [
    "ATTACK_SIZES",
    "BOX_SIZES",
    "MISMATCH_LEVELS",
    "N_DRAWS",
    "adversarial_landscape",
    "adversarial_landscape_sweep",
    "box_corner_accuracy",
    "corner_sweep",
    "example_answers",
    "loss_spectrum",
    "mean_absolute_weights",
    "mismatch_accuracy",
    "mismatch_sweep",
    "neuron_activity",
    "perturbed_accuracy",
    "phase_change_accuracy",
    "phase_change_sweep",
    "quantized_accuracy",
    "random_landscape",
    "random_landscape_sweep",
    "verified_test_accuracy",
    "weight_noise_sweep",
    "worst_case_accuracy",
    "worst_case_sweep",
]
