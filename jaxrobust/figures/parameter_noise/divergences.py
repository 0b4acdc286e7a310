"""How the divergences of the robust term are named and drawn."""

from typing import NamedTuple

from jaxrobust.figures.style import LineStyle


class Divergence(NamedTuple):
    """The name of a divergence for readers, and its line style."""

    name: str
    style: LineStyle


DIVERGENCES = {
    "kl": Divergence("KL", LineStyle("#000000", 1.5)),
    "reverse_kl": Divergence("Reverse KL", LineStyle("#4c84e6", 1.5)),
    "js": Divergence("Jensen-Shannon", LineStyle("#32a83a", 1.5)),
    "l2": Divergence("L2 of the outputs", LineStyle("#fc033d", 1.5)),
}
