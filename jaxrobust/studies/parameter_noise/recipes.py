"""From the settings of a grid point to its method, optimizer and schedule."""

from collections.abc import Mapping
from typing import Any

from jaxrobust.attacks.input_attack import InputAttack
from jaxrobust.attacks.parameter_attack import ParameterAttack
from jaxrobust.errors import InputError
from jaxrobust.perturbations.mismatch import NOISE_MODES
from jaxrobust.perturbations.perturbation import Matching
from jaxrobust.training.methods import (
    AdversarialWeights,
    ContractivePenalty,
    FiringRates,
    ForwardNoise,
    GradientDifference,
    Method,
    ModelPerturbation,
    NormPenalty,
    ParameterAttackTraining,
    PerturbedForward,
    SharpnessAware,
    Standard,
    WeightMagnitude,
)
from jaxrobust.training.methods.joining import join
from jaxrobust.training.optimizers import (
    BlockCoordinateDescent,
    Optimizer,
    Projected,
    WeightClipping,
    optimizer_named,
)
from jaxrobust.training.schedule import Phases

Settings = Mapping[str, Any]


def schedule_of(model: Settings) -> Phases:
    """The learning rates of a grid point."""
    return Phases(n_epochs=model["n_epochs"], learning_rates=model["learning_rate"])


def optimizer_of(model: Settings) -> Optimizer:
    """The optimizer of a grid point."""
    optimizer = optimizer_named(model["optimizer"])
    if isinstance(optimizer, BlockCoordinateDescent):
        optimizer = BlockCoordinateDescent(
            ascent_rate=model["abcd_etaA"], size=model["attack_size_mismatch"], n_cycles=model["abcd_L"]
        )
    if not model["weight_clipping"]:
        return optimizer
    return Projected(optimizer, WeightClipping(model["weight_clipping"]))


def attack_of(model: Settings) -> ParameterAttack:
    """The attack on the parameters of a grid point."""
    return ParameterAttack(
        relative_size=model["attack_size_mismatch"],
        absolute_size=model["attack_size_constant"],
        initial_relative_std=model["initial_std_mismatch"],
        initial_absolute_std=model["initial_std_constant"],
        n_steps=model["n_attack_steps"],
        norm=model["p_norm"],
        factors=_factors(model["attack_factors"]),
    )


def _factors(words: tuple[str, ...]) -> tuple[tuple[str, float], ...]:
    """Read words such as ``w_rec=0.5``."""
    factors = []
    for word in words:
        pattern, equals, factor = word.rpartition("=")
        try:
            factors.append((pattern, float(factor)))
        except ValueError:
            equals = ""
        if not equals or not pattern:
            raise InputError(f"attack_factors takes words such as w_rec=0.5 or .*bias=0, not {word!r}.")
    return tuple(factors)


def _forward_noise(model: Settings) -> Method:
    std, pattern = model["noisy_forward_std"], model["noisy_forward_params"]
    mode = model["noisy_forward_mode"]
    if (mode, pattern) == ("ind", ".*"):
        return ForwardNoise(std)
    return PerturbedForward(Matching(NOISE_MODES[mode](std), pattern))


def method_of(model: Settings, input_bounds: tuple[float, float] | None = None) -> Method:
    """Build the training method of a grid point, without the parts whose weight is zero.

    Args:
        model: Its settings.
        input_bounds: The range of the inputs, which an attack on them does not leave.

    Raises:
        InputError: The parts do not go together.
    """
    if model["eps_pga"] and not model["awp"]:
        raise InputError(
            f"eps_pga={model['eps_pga']} is the size of AWP's attack on the inputs, but awp is false; "
            f"set awp to true or eps_pga to 0."
        )
    differentiated_twice = {
        "hessian_robustness": model["hessian_robustness"] and model["beta_robustness"],
        "contractive": model["contractive"],
    }
    twice = [name for name, weight in differentiated_twice.items() if weight]
    if twice and model.get("neuron_parameters"):
        raise InputError(
            f"{twice[0]} takes second derivatives, which a network with neuron_parameters does not give; "
            f"leave one of the two out."
        )
    around = [name for name in ("awp", "amp_size", "sam_rho") if model[name]]
    if len(around) > 1:
        raise InputError(f"{' and '.join(around)} each choose where the gradient is taken; set one of them.")
    if around and model["beta_robustness"]:
        raise InputError(
            f"{around[0]} attacks the parameters in its own way; set beta_robustness=0.0 to use it alone."
        )

    method: Method = _forward_noise(model) if model["noisy_forward_std"] > 0 else Standard()
    warmup = model["warmup"]
    if model["beta_robustness"] > 0:
        robust = GradientDifference if model["hessian_robustness"] else ParameterAttackTraining
        method = robust(
            base=method,
            beta=model["beta_robustness"],
            attack=attack_of(model),
            boundary_loss=model["boundary_loss"],
            treat_as_constant=model["treat_as_constant"],
            warmup=warmup,
        )
    if model["awp"]:
        inputs = InputAttack(model["eps_pga"], model["nb_iter"], input_bounds) if model["eps_pga"] else None
        method = AdversarialWeights(method, attack_of(model), model["awp_gamma"], inputs, warmup)
    elif model["amp_size"]:
        method = ModelPerturbation(method, model["amp_size"], warmup)
    elif model["sam_rho"]:
        method = SharpnessAware(method, model["sam_rho"], model["sam_adaptive"], warmup=warmup)
    if model["l1_weight_decay"]:
        method = NormPenalty(method, model["l1_weight_decay"], "l1", model["l1_weight_decay_params"])
    if model["l2_weight_decay"]:
        norm = "l2_squared" if model["l2_squared"] else "l2"
        method = NormPenalty(method, model["l2_weight_decay"], norm, model["l2_weight_decay_params"])
    if model["contractive"]:
        method = ContractivePenalty(method, model["contractive"], model["contractive_params"])
    if model.get("weight_increase"):
        hidden = tuple(f"w{layer}" for layer in range(1, len(model["n_hidden"]) + 1))
        method = WeightMagnitude(method, model["weight_increase"], parameters=hidden)
    return FiringRates(method, model["reg"])


# The parts that switch off at weight zero, and none of those that choose where the gradient is taken.
_EVERY_PART = {
    "beta_robustness": 1.0,
    "noisy_forward_std": 1.0,
    "awp": False,
    "eps_pga": 0.0,
    "amp_size": 0.0,
    "sam_rho": 0.0,
}


def joined_method_of(model: Settings) -> Method:
    """Build the method of a grid point with every part that can be joined to it, at weight zero.

    Points whose joined methods have one structure may share a program; see ``methods.joining``.
    """
    beside = {**model, **_EVERY_PART}
    beside["hessian_robustness"] = model["hessian_robustness"] and model["beta_robustness"] > 0
    return join([method_of(model), method_of(beside)])[0]
