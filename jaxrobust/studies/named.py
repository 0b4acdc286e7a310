"""What can be typed by its name in place of settings: ``-method=beta``, ``-criterion=hinge``."""

from typing import Any

from jaxrobust.attacks.registry import ATTACKS
from jaxrobust.criteria import CRITERIA
from jaxrobust.errors import InputError
from jaxrobust.networks.own.registry import OwnNetwork, registered
from jaxrobust.perturbations.registry import PERTURBATIONS
from jaxrobust.registry import Registry
from jaxrobust.training.methods import METHODS
from jaxrobust.training.optimizers import OPTIMIZERS

_OPTIMIZERS = Registry("optimizer", ("init", "step"), dict(OPTIMIZERS))
# The first that fits a value counts: criteria have a loss, as methods do.
REGISTRIES = (CRITERIA, METHODS, PERTURBATIONS, ATTACKS, _OPTIMIZERS)


def registry_of(value: Any) -> Registry | None:
    """The names that can be typed in place of a value."""
    return next((registry for registry in REGISTRIES if registry.fits(value)), None)


def named_in_place_of(value: Any, name: str) -> Any:
    """The settings of a name, of the kind of ``value``; None if there are no names for that kind.

    Raises:
        InputError: There are names, but not this one.
    """
    if isinstance(value, OwnNetwork):
        known = registered()
        if name not in known:
            raise InputError(f"There is no network {name!r} registered; there are {', '.join(known)}.")
        return known[name]
    registry = registry_of(value)
    return None if registry is None else registry.find(name)
