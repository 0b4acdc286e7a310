"""What the record of a result says about the device that computed it."""

import jax

from jaxrobust.layers import time_loops
from jaxrobust.products import precision_of_products


def device_notes() -> dict[str, str]:
    """Name of the device, precision of products, and the form of spiking time loops if it is not the scan."""
    notes = {"device": jax.devices()[0].device_kind, "products": precision_of_products()}
    return notes | ({"time_loop": "kernel"} if time_loops.chosen() == "kernel" else {})
