"""Perturbations of trees of arrays; `register` takes in your own (docs/own_method.md)."""

from typing import Any


def __getattr__(name: str) -> Any:
    if name in ("register", "PERTURBATIONS"):  # not at once: it imports every perturbation
        from jaxrobust.perturbations import registry

        return getattr(registry, name)
    raise AttributeError(f"jaxrobust.perturbations has no name {name!r}")
