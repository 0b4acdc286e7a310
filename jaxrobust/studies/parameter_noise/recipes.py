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


def method_of(
    model: Settings,
    together_with: tuple[Settings, ...] = (),
    input_bounds: tuple[float, float] | None = None,
) -> Method:
    """The training method of a grid point.

    Args:
        model: Its settings.
        together_with: Models that train in the same program: parts of weight zero are left out unless one of
            them has such a part.
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

    def has(name: str) -> bool:
        return any(point[name] > 0 for point in (model, *together_with))

    method: Method = _forward_noise(model) if has("noisy_forward_std") else Standard()
    warmup = model["warmup"]
    if has("beta_robustness"):
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
