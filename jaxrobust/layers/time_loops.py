"""Which form of the time loop of spiking neurons is computed: scans, or one GPU kernel where it is chosen.

``JAXROBUST_TIME_LOOP=kernel`` chooses the kernel on a GPU. It is a matter of the machine like the choice
between mapping models one by one or side by side: no part of a result's key, but of its record.
"""

import os
import warnings
from functools import cache
from types import ModuleType
from typing import Literal

import jax
import jax.numpy as jnp

from jaxrobust.errors import InputError
from jaxrobust.layers import adaptive_neurons
from jaxrobust.layers.adaptive_neurons import NeuronConstants

SWITCH = "JAXROBUST_TIME_LOOP"
TimeLoop = Literal["scan", "kernel"]


def chosen() -> TimeLoop:
    """The form that this machine computes; a warning says so if it cannot compile the kernel.

    Raises:
        InputError: The environment asks for another one.
    """
    asked = os.environ.get(SWITCH, "scan")
    if asked not in ("scan", "kernel"):
        raise InputError(f"{SWITCH} is scan or kernel, not {asked!r}.")
    return "kernel" if asked == "kernel" and jax.default_backend() == "gpu" and _compiles() else "scan"


def module_for(dtype: jnp.dtype) -> ModuleType:
    """The module whose ``mean_rates`` and ``spike_trains`` are to be used for currents of a dtype."""
    if dtype != jnp.float32 or chosen() == "scan":
        return adaptive_neurons
    from jaxrobust.layers import time_loop_kernel

    return time_loop_kernel


@cache
def _compiles() -> bool:
    constants = NeuronConstants(0.9, 0.9, 0.01, 2.0, 1.0, 2.0, 0.3)
    shapes = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((2, 16, 16), (16, 16))]
    try:  # JAX 0.12 announces that it will drop Pallas on Triton, whose module will then be missing
        from jaxrobust.layers.time_loop_kernel import mean_rates

        jax.jit(jax.grad(lambda x, w: jnp.sum(mean_rates(x, w, constants)))).lower(*shapes).compile()
    except Exception as error:  # whatever compilers raise for a GPU that they do not know
        warnings.warn(f"{SWITCH}=kernel has no effect: it does not compile here ({error}).", stacklevel=2)
        return False
    return True
