"""Training methods: each a loss over (parameters, batch, key), put together from small parts.

A method is a frozen dataclass whose numbers are leaves of a tree, so that they can change, or become an axis
of many models, without compiling anew; which parts it has is its structure. Methods nest: most take a
``base`` method, whose loss they attack, perturb or add to. A new method is one file with one class with
``loss``; the training loop knows none of them.
"""

from jaxrobust.training.methods.adversarial_training import AdversarialTraining
from jaxrobust.training.methods.adversarial_weights import AdversarialWeights
from jaxrobust.training.methods.attacked_samples import AttackedSamples
from jaxrobust.training.methods.contractive import ContractivePenalty
from jaxrobust.training.methods.firing_rates import FiringRates
from jaxrobust.training.methods.forward_noise import ForwardNoise
from jaxrobust.training.methods.gradient_difference import GradientDifference
from jaxrobust.training.methods.model_perturbation import ModelPerturbation
from jaxrobust.training.methods.noisy_activations import NoisyActivations
from jaxrobust.training.methods.norm_penalty import NormPenalty
from jaxrobust.training.methods.objective import Batch, Method, Number, Objective
from jaxrobust.training.methods.parameter_attack import ParameterAttackTraining
from jaxrobust.training.methods.perturbed_forward import PerturbedForward
from jaxrobust.training.methods.registry import METHODS, register
from jaxrobust.training.methods.sharpness_aware import SharpnessAware
from jaxrobust.training.methods.standard import Standard
from jaxrobust.training.methods.trades import Trades
from jaxrobust.training.methods.variance_aware import VarianceAwareNoise
from jaxrobust.training.methods.weight_magnitude import WeightMagnitude

__all__ = [
    "METHODS",
    "AdversarialTraining",
    "AdversarialWeights",
    "AttackedSamples",
    "Batch",
    "ContractivePenalty",
    "FiringRates",
    "ForwardNoise",
    "GradientDifference",
    "Method",
    "ModelPerturbation",
    "NoisyActivations",
    "NormPenalty",
    "Number",
    "Objective",
    "ParameterAttackTraining",
    "PerturbedForward",
    "SharpnessAware",
    "Standard",
    "Trades",
    "VarianceAwareNoise",
    "WeightMagnitude",
    "register",
]
