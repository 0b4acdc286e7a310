"""Networks as pure functions of parameters and inputs; `register` takes in your own (docs/own_network.md)."""

from typing import Any


def __getattr__(name: str) -> Any:
    # Not imported at once: the registry needs Flax, and importing a network must not load all of them.
    if name in ("register", "registered", "OwnNetwork"):
        from jaxrobust.networks.own import registry

        return getattr(registry, name)
    raise AttributeError(f"jaxrobust.networks has no name {name!r}")
