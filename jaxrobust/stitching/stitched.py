"""Two networks joined by a stitching layer, as one network."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Literal, get_args

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from jaxrobust.errors import InputError
from jaxrobust.networks.cuts import positions_after, positions_before, sample_shape, shape_at
from jaxrobust.networks.network import Network, Outputs, Shape, Variables
from jaxrobust.networks.tapping import positions_of, run_with_taps
from jaxrobust.networks.taps import EVERY, NO_TAPS, Statistics, Tap, Taps
from jaxrobust.stitching.layers import Pointwise, StitchLayer
from jaxrobust.trees import Parameters

Donors = Literal["frozen", "adapting"]
# Path rules of ``Training.trainable``: the donors keep their parameters.
ONLY_THE_STITCH = (("stitch/.*", True), (".*", False))


@dataclass(frozen=True)
class Cut:
    """Where two networks are cut.

    Attributes:
        front: The position whose value the front network gives.
        end: The position whose value the end network gets.

    Example:
        >>> Cut.at("relu3")
        Cut(front='relu3', end='relu3')
    """

    front: str
    end: str

    @classmethod
    def at(cls, position: str) -> "Cut":
        """Cut both networks at a position of one name."""
        return cls(position, position)

    @classmethod
    def published(cls, block: str) -> "Cut":
        """Cut residual networks as the published system did by accident.

        Its hooks stored the sum of a block by reference, and an activation that works in place changed it
        before it was read: the front gives the value after the activation, the end gets it before its own.
        """
        return cls(f"{block}/relu", f"{block}/add")


@dataclass(frozen=True)
class Stitched:
    """``F(x) = end_after(T(front_until(x)))``: a network made of two, whose only new parameters are T's.

    Like any other network it can be trained, saved, attacked, perturbed, and cut again. Compiled, a forward
    pass computes the front up to the cut and the end from the cut on, and nothing twice. Where the end's
    position lies within a residual block, the shortcut around it gets the original inputs, as in the
    published system; ``networks.cuts.cut_positions`` lists the positions without such a way around.

    Parameters: ``front``, ``end`` (the donors' trees) and ``stitch`` (the layer's). To train the stitch alone
    pass ``trainable=ONLY_THE_STITCH``. Statistics: ``front``, ``end``, and ``stitch``, which has ``mask`` if
    the layer is masked.

    Positions: ``input``, those of the front up to the cut as ``front/...``, ``stitch`` (what the end gets),
    those of the end after it as ``end/...``, ``logits``.

    Attributes:
        front: The network whose first layers are used.
        end: The network whose last layers are used.
        cut: Where.
        layer: The map T.
        donors: With ``"frozen"``, dropout and batch normalization of the donors work as in evaluation while
            the stitch is trained, and their statistics stay; ``"adapting"`` normalizes by the batch and
            updates the statistics, as the published system did.

    Raises:
        InputError: A position does not exist, the shapes do not fit, or the donors take different inputs.

    Example:
        >>> from jaxrobust.networks.mlp import MLP
        >>> one = MLP(n_in=3, n_hidden=(4, 4), n_out=2)
        >>> network = Stitched(one, one, Cut("relu1", "relu1"), Pointwise("identity"))
        >>> list(network.positions)
        ['input', 'front/fc1', 'front/relu1', 'stitch', 'end/fc2', 'end/relu2', 'logits']
    """

    front: Network
    end: Network
    cut: Cut
    layer: StitchLayer = Pointwise()
    donors: Donors = "frozen"

    def __post_init__(self):
        if self.donors not in get_args(Donors):
            raise InputError(f'donors of a stitch are "frozen" or "adapting", not {self.donors!r}.')
        front, end = sample_shape(self.front), sample_shape(self.end)
        if prod(front) != prod(end):
            raise InputError(
                f"The front takes samples of shape {front}, the end of {end}; both must take the same inputs."
            )
        self.layer.check(*self.shapes)

    @property
    def shapes(self) -> tuple[Shape, Shape]:
        """Shapes of one sample that the layer gets and gives."""
        return shape_at(self.front, self.cut.front), shape_at(self.end, self.cut.end)

    @property
    def positions(self) -> Mapping[str, Shape]:
        """Shape of one sample at every position."""
        front, end = sample_shape(self.front), sample_shape(self.end)
        return positions_of(self, front if len(front) >= len(end) else end)

    def init(self, key: Array) -> Variables:
        """Draw fresh donors and a fresh stitch; ``join`` puts trained donors in their place."""
        key_front, key_end, key_stitch = jax.random.split(key, 3)
        front, end = self.front.init(key_front), self.end.init(key_end)
        return self.join(front, end, self.layer.init(key_stitch, *self.shapes))

    def join(
        self,
        front: Variables,
        end: Variables,
        stitch: Parameters,
        mask: Float[Array, "in out"] | None = None,
    ) -> Variables:
        """Put the variables of the donors and the parameters of the layer together.

        Args:
            front: The front network's.
            end: The end network's.
            stitch: As ``layer.init`` or ``matching.match`` gives them.
            mask: Ones where the kernel is trained, zeros where it is held at zero; for masked layers only,
                ones everywhere by default.

        Raises:
            InputError: A mask is given for a layer without one.
        """
        if not self.layer.masked:
            if mask is not None:
                raise InputError("This stitch has no mask; say masked=True.")
            own = {}
        else:
            own = {"mask": jnp.ones_like(stitch["kernel"]) if mask is None else jnp.asarray(mask)}
            stitch = {**stitch, "kernel": stitch["kernel"] * own["mask"]}
        return Variables(
            {"end": end.parameters, "front": front.parameters, "stitch": stitch},
            {"end": end.statistics, "front": front.statistics, "stitch": own},
        )

    def forward(
        self,
        parameters: Parameters,
        statistics: Statistics,
        inputs: Float[Array, "batch ..."],
        *,
        key: Array | None = None,
        training: bool = False,
        tap: Taps = NO_TAPS,
    ) -> Outputs:
        """Compute the end's logits from the front's representation.

        Raises:
            InputError: The inputs do not fit; an unknown position; a missing key.
        """
        adapting = training and self.donors == "adapting"
        keys = (None, None) if key is None else tuple(jax.random.split(key))
        in_front, in_end = _within(tap, "front/"), _within(tap, "end/")
        named_front = _recorded(in_front, positions_before(self.front, self.cut.front))
        named_end = _recorded(in_end, positions_after(self.end, self.cut.end))

        def compute(own: Tap) -> tuple[Array, Statistics]:
            x = own("input", inputs)
            front = self._run_front(parameters, statistics, x, keys[0], adapting, in_front, named_front)
            own.recorded.update({f"front/{name}": front.activations[name] for name in named_front})
            mask = statistics["stitch"].get("mask")
            h = self.layer.apply(
                parameters["stitch"], front.activations[self.cut.front], self.shapes[1], mask
            )
            h = own("stitch", own.mark("front", h))
            end = self.end.forward(
                parameters["end"],
                statistics["end"],
                x,
                key=keys[1],
                training=adapting,
                tap=Taps(named_end, in_end.perturb, {**in_end.replace, self.cut.end: h}),
            )
            own.recorded.update({f"end/{name}": end.activations[name] for name in named_end})
            new = {
                "end": end.statistics,
                "front": front.statistics if own.is_live("front") else statistics["front"],
                "stitch": statistics["stitch"],
            }
            return own("logits", end.logits), new

        return run_with_taps(self, compute, tap, key=key, training=training)

    def bake(self, parameters: Parameters, statistics: Statistics | None = None) -> Parameters:
        """Bake both donors."""
        of = statistics or {"end": None, "front": None}
        return {
            "end": self.end.bake(parameters["end"], of["end"]),
            "front": self.front.bake(parameters["front"], of["front"]),
            "stitch": parameters["stitch"],
        }

    def _run_front(
        self,
        parameters: Parameters,
        statistics: Statistics,
        x: Array,
        key: Array | None,
        adapting: bool,
        taps: Taps,
        named: tuple[str, ...],
    ) -> Outputs:
        replace = dict(taps.replace)
        if adapting and self.cut.front != "logits":
            # Nothing reads the logits, so the statistics of layers after the cut stay as they are.
            replace["logits"] = jnp.zeros((x.shape[0], *_sizes(shape_at(self.front, "logits"))), x.dtype)
        return self.front.forward(
            parameters["front"],
            statistics["front"],
            x,
            key=key,
            training=adapting,
            tap=Taps((*named, self.cut.front), taps.perturb, replace),
        )


def _within(taps: Taps, prefix: str) -> Taps:
    """Return what concerns one donor, under its own names."""

    def own(names):
        return {name.removeprefix(prefix): value for name, value in names.items() if name.startswith(prefix)}

    names = (name for name in taps.record if name == EVERY or name.startswith(prefix))
    record = tuple(name.removeprefix(prefix) for name in names)
    return Taps(record, own(taps.perturbations), own(taps.replace))


def _recorded(taps: Taps, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return which of a donor's positions are recorded under its own name; its ends have other names."""
    return tuple(name for name in names if name not in ("input", "logits") and taps.records(name))


def _sizes(shape: Shape) -> tuple[int, ...]:
    return tuple(n or 0 for n in shape)
