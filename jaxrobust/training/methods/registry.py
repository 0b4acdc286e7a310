"""Training methods by name."""

from jaxrobust.attacks.input_attack import pgd
from jaxrobust.attacks.parameter_attack import ParameterAttack
from jaxrobust.perturbations.mismatch import GaussianMismatch
from jaxrobust.registry import Registry
from jaxrobust.training.methods.adversarial_training import AdversarialTraining
from jaxrobust.training.methods.forward_noise import ForwardNoise
from jaxrobust.training.methods.parameter_attack import ParameterAttackTraining
from jaxrobust.training.methods.perturbed_forward import PerturbedForward
from jaxrobust.training.methods.sharpness_aware import SharpnessAware
from jaxrobust.training.methods.standard import Standard
from jaxrobust.training.methods.trades import Trades

METHODS = Registry(
    "method",
    ("loss",),
    {
        "standard": Standard(),
        "forward_noise": ForwardNoise(0.3),
        "perturbed_forward": PerturbedForward(GaussianMismatch(0.3)),
        "beta": ParameterAttackTraining(Standard(), 0.25, ParameterAttack(relative_size=0.1)),
        "forward_noise_beta": ParameterAttackTraining(
            ForwardNoise(0.3), 0.1, ParameterAttack(relative_size=0.1)
        ),
        "sam": SharpnessAware(Standard(), 0.05),
        "adversarial": AdversarialTraining(Standard(), pgd(8 / 255, n_steps=10)),
        "trades": Trades(Standard(), 6.0, pgd(8 / 255, n_steps=10)),
    },
)


def register(name: str, settings: type) -> type:
    """Register a method of your own: a frozen dataclass with defaults that keeps the contract of ``Method``.

    ``-method=name`` chooses it, ``-method.weight=0.3`` sets its fields, ``--help`` lists them, and class and
    fields are in the key of results.

    Raises:
        InputError: It does not keep the contract, cannot be imported by worker processes, or the name exists.
    """
    return METHODS.register(name, settings)
