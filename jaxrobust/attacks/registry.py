"""Attacks by name: on parameters, with ``search``, or on inputs, called as ``attack(loss, inputs, key)``."""

from jaxrobust.attacks.input_attack import InputAttack, apgd, fgsm, pgd
from jaxrobust.attacks.parameter_attack import ParameterAttack
from jaxrobust.errors import InputError
from jaxrobust.registry import Registry


class _Attacks(Registry):
    """Settings of attacks of both kinds."""

    def fits(self, value: object) -> bool:
        """Whether a value attacks parameters or inputs."""
        kinds = (ParameterAttack, InputAttack, *map(type, self.named.values()))
        return isinstance(value, kinds) or hasattr(value, "search")


ATTACKS = _Attacks(
    "attack",
    (),
    {
        "parameters": ParameterAttack(),
        "fgsm": fgsm(8 / 255),
        "pgd": pgd(8 / 255, n_steps=10),
        "apgd": apgd(8 / 255, n_steps=10),
    },
)


def register(name: str, settings: type) -> type:
    """Register an attack of your own: a frozen dataclass with defaults.

    On parameters it has ``search(loss, parameters, key) -> parameters`` and may take the place of
    ``ParameterAttack`` everywhere; on inputs it has ``__call__(loss, inputs, key) -> inputs``, with
    ``loss(inputs)`` one number for the whole batch.

    Raises:
        InputError: It has neither, cannot be imported by worker processes, or the name exists.
    """
    if isinstance(settings, type) and not hasattr(settings, "search") and "__call__" not in vars(settings):
        raise InputError(
            f"The attack {name!r} needs search(loss, parameters, key) to attack parameters, or "
            f"__call__(loss, inputs, key) to attack inputs."
        )
    return ATTACKS.register(name, settings)
