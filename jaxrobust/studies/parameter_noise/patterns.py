"""Whether the patterns of a grid point name parameters of its network."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp

from jaxrobust.errors import InputError
from jaxrobust.networks.network import Network
from jaxrobust.path_rules import assign, matching
from jaxrobust.settings import Setting
from jaxrobust.studies.parameter_noise.recipes import attack_of
from jaxrobust.trees import Parameters

PATTERNS = ("noisy_forward_params", "l1_weight_decay_params", "l2_weight_decay_params", "contractive_params")


def check_patterns(model: Mapping[str, Any], settings: Mapping[str, Setting], network: Network) -> None:
    """Raise ``InputError`` for a pattern that cannot be read or names no parameter; defaults always do."""
    for name in (*PATTERNS, "attack_factors"):
        if model[name] == settings[name].default:
            continue
        parameters = _shapes(network)
        try:
            if name == "attack_factors":
                assign(attack_of(model).factors, parameters)
            else:
                matching([model[name]] if isinstance(model[name], str) else model[name], parameters)
        except InputError as error:
            raise InputError(f"{name}={model[name]!r}: {error}") from error


# Large networks take a while even to be described, and a grid has many points of each.
@lru_cache(maxsize=16)
def _shapes(network: Network) -> Parameters:
    # The seed has no value: a key would be an array, which starts the accelerator and takes its memory.
    seed = jax.ShapeDtypeStruct((), jnp.uint32)
    return jax.eval_shape(lambda seed: network.init(jax.random.key(seed)).parameters, seed)
