"""Attacks: gradient ascent inside a bounded region, and the robust loss; `register` takes in your own."""

from typing import Any


def __getattr__(name: str) -> Any:
    if name in ("register", "ATTACKS"):  # not at once: it imports every attack
        from jaxrobust.attacks import registry

        return getattr(registry, name)
    raise AttributeError(f"jaxrobust.attacks has no name {name!r}")
