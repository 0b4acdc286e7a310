"""Which parameters are trained: path rules that divide a tree of parameters."""

from dataclasses import dataclass

import jax

from jaxrobust.errors import InputError
from jaxrobust.path_rules import assign
from jaxrobust.trees import Parameters, settings_tree, static


def _is_none(x: object) -> bool:
    return x is None


@settings_tree
@dataclass(frozen=True)
class Trainable:
    """Trained and frozen parameters, by the first rule that fits each path.

    Frozen leaves keep their bits, whatever the optimizer does, and no gradient of them is computed: the
    optimizer never sees them. Attacks and noise see all parameters.

    Attributes:
        rules: As ``((".*bn.*", False), (".*", True))``; no rules train everything.
    """

    rules: tuple[tuple[str, bool], ...] = static(default=())

    def split(self, parameters: Parameters) -> tuple[Parameters, Parameters]:
        """Return the trained and the frozen parameters, each with ``None`` in place of the others.

        Raises:
            InputError: A rule fits no parameter, or nothing is trained.
        """
        if not self.rules:
            return parameters, jax.tree.map(lambda _: None, parameters)
        flags = assign(self.rules, parameters)
        if not any(jax.tree.leaves(flags)):
            raise InputError(f"The rules {self.rules} train no parameter; end with ('.*', True).")
        trained = jax.tree.map(lambda p, flag: p if flag else None, parameters, flags)
        frozen = jax.tree.map(lambda p, flag: None if flag else p, parameters, flags)
        return trained, frozen

    @staticmethod
    def merge(trained: Parameters, frozen: Parameters) -> Parameters:
        """Put the two parts together again."""
        return jax.tree.map(lambda t, f: f if t is None else t, trained, frozen, is_leaf=_is_none)
